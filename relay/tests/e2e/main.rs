//! End-to-end tests: the built relay between other people's encoders, players and servers.

mod accounting;
mod churn;
mod commands;
mod controls;
mod enhanced;
mod hostile;
mod journal;
mod leaving;
mod lifecycle;
mod lost;
mod notify;
mod placing;
mod publish_play;
mod pull;
mod push;
mod push_return;
mod replace;
mod scale;
mod slow;
mod support;
mod timestamps;
mod units;
mod upstreams;
mod workers;
mod yardstick;
