//! `rtmp-load`. All it does is in the library.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    edgerelay_benches::cli::main()
}
