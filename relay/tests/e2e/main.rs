//! End-to-end tests: the built relay between other people's encoders, players and servers.

mod support;
mod yardstick;
