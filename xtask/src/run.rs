//! `cargo xtask run`: build for release, say what to try, become the relay.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context, Result};

use crate::step;

/// Builds the relay and replaces this process with `edgerelay run`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    step::run(step::cargo().args(["build", "--release", "--package", "edgerelay"]))?;
    if arguments.is_empty() {
        println!("edgerelay listens on rtmp://0.0.0.0:1935/live and http://127.0.0.1:8080");
        println!("publish: ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=30 \\");
        println!(
            "           -f lavfi -i sine=frequency=440 -c:v libx264 -preset veryfast -g 30 \\"
        );
        println!("           -c:a aac -f flv rtmp://127.0.0.1/live/test");
        println!("play:    ffplay rtmp://127.0.0.1/live/test");
    }
    let mut relay = step::cargo();
    relay.args(["run", "--quiet", "--release", "--package", "edgerelay", "--", "run"]);
    relay.args(arguments);
    println!("==> {}", step::command_line(&relay));
    let error = relay.exec();
    Err(error).context("start the relay")
}
