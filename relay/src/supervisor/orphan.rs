//! Starts a program that is nobody's child but init's: `edgerelay detach`. What it needs for that is that the
//! process which starts it ends at once, so it is a process of its own that does nothing else.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// What shells say when there is no such program.
const EXIT_NOT_FOUND: u8 = 127;

/// Starts `command`, which gets this process's input and output, and does not wait for it.
#[must_use]
pub fn detach(command: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        return ExitCode::from(EXIT_NOT_FOUND);
    };
    match Command::new(program).args(arguments).spawn() {
        Ok(_left_alone) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edgerelay detach: {}: {error}", program.to_string_lossy());
            ExitCode::from(EXIT_NOT_FOUND)
        }
    }
}
