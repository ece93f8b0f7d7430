//! End-to-end tests: the built relay between other people's encoders, players and servers.

mod replace;
mod scale;
mod support;
mod yardstick;
