//! Sessions as encoders, players and servers in the field use them, in memory and simulated time.

mod bounds;
mod client;
mod encoders;
mod intake;
mod names;
mod pair;
mod players;
mod split;
mod timing;
mod wire;
