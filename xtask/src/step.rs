//! Runs one external command or one piece of work, prints it and how long it took.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    command
}

/// Runs `work` and prints its name and duration.
pub(crate) fn timed(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("==> {name}");
    let started = Instant::now();
    let outcome = work();
    let verdict = if outcome.is_ok() { "done" } else { "FAILED" };
    println!("<== {name}: {verdict} in {}", seconds(started.elapsed()));
    outcome
}

/// Runs `command` to its end; an exit code other than zero is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    timed(&line, || {
        let status = command.status().with_context(|| format!("start `{line}`"))?;
        if !status.success() {
            bail!("`{line}` ended with {status}");
        }
        Ok(())
    })
}

/// What `command` prints, without the end of the last line; an exit code other than zero is an error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` ended with {}", output.status);
    }
    let text =
        String::from_utf8(output.stdout).with_context(|| format!("the output of `{line}`"))?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// Whether `command` runs and ends with zero; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The command as a person would type it.
pub(crate) fn command_line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut line = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        let argument = argument.to_string_lossy();
        if argument.is_empty() || argument.contains(char::is_whitespace) {
            line.push_str(&format!("'{argument}'"));
        } else {
            line.push_str(&argument);
        }
    }
    line
}

/// A duration as CI prints it.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_prints_as_typed() {
        let mut command = Command::new("/usr/bin/apt-get");
        command.args(["install", "-y", "a b"]);
        assert_eq!(command_line(&command), "apt-get install -y 'a b'");
    }

    #[test]
    fn output_is_without_the_end_of_its_last_line() {
        assert_eq!(output(Command::new("echo").arg("a")).expect("echo works"), "a");
        assert!(output(&mut Command::new("false")).is_err());
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = run(&mut Command::new("false")).expect_err("false ends with one");
        assert!(error.to_string().contains("`false` ended with"), "{error}");
    }
}
