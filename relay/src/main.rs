//! The `edgerelay` command.

fn main() {}
