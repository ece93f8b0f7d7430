//! `cargo xtask leak-check`: the tests of the fenced unsafe code once more, under valgrind, which
//! fails on memory that nothing points to any more. Only definite leaks count; the kernel's writes,
//! which valgrind does not see, do not.

use anyhow::Result;

use crate::{setup, step};

/// The integration test of `relay-uring` that drives rings and receive buffers on real sockets.
const TEST: &str = "sockets";

/// Tests left out: one leaks on purpose, the other only repeats what the rest does, too slowly here.
const SKIPPED: [&str; 2] =
    ["a_dropped_ring_leaks_a_batch", "ten_thousand_connections_leave_nothing_behind"];

/// What cargo is to start the test with.
const RUNNER: &str = "target.'cfg(all())'.runner='valgrind --quiet --undef-value-errors=no \
                      --leak-check=full --show-leak-kinds=definite \
                      --errors-for-leak-kinds=definite --error-exitcode=9'";

/// Runs the tests under valgrind.
pub(crate) fn check() -> Result<()> {
    setup::packages()?;
    // The whole workspace, as everywhere, so that nothing is built twice.
    let mut command = step::cargo();
    command.args(["test", "--config", RUNNER, "--workspace", "--locked", "--test", TEST, "--"]);
    // valgrind runs one thread at a time anyway.
    command.arg("--test-threads=1");
    for test in SKIPPED {
        command.args(["--skip", test]);
    }
    step::run(&mut command)
}
