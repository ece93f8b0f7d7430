//! The project's own commands: `cargo xtask <command>`. Each prints what it runs and how long that
//! took. No product logic lives here.

mod appliance;
mod bench;
mod ci;
mod deb;
mod deny;
mod ebpf;
mod leaks;
mod manifests;
mod pinned;
mod remap;
mod run;
mod setup;
mod step;
mod test;
mod tidy;
mod units;
mod workspace;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Exit code of sysexits(3) for something the machine lacks.
const EX_UNAVAILABLE: u8 = 69;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "edgerelay's own commands", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what building and testing need: Debian packages, and cargo-deny into .tools
    Setup,
    /// Build the relay for release and run it
    Run {
        /// Arguments for `edgerelay run`, after `--`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Run all tests, or some
    Test {
        /// `unit`, `e2e`, `soak`, `manifests`, the name of a file in a `tests` folder, or a part of test names
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
    },
    /// Everything that a change must pass
    Ci,
    /// Check the rules of the house that the compiler and clippy do not
    Tidy,
    /// Build the kernel programs, which the relay embeds; installs the compiler for them
    Ebpf,
    /// Measure the relay beside other RTMP servers, in one run
    Bench(bench::BenchArguments),
    /// Have systemd and polkit read what `systemd/` holds, and measure how exposed the services are
    Units,
    /// Make the Debian package, with its bill of materials and checksums
    Deb(deb::DebArguments),
    /// Install the package on a Debian with systemd, as a user would, and look at what it does
    ApplianceTest(appliance::ApplianceArguments),
    /// Connect again and again until the input ends: a part of `appliance-test`
    #[command(hide = true)]
    Visit {
        /// Whom
        address: SocketAddr,
        /// How many milliseconds after the last time
        period: u64,
    },
    /// Run the tests of the fenced unsafe code under valgrind
    LeakCheck,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup => setup::everything(),
        Command::Run { arguments } => run::run(&arguments),
        Command::Test { only } => test::test(only.as_deref()),
        Command::ApplianceTest(arguments) => appliance::test(&arguments),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::Ci => ci::ci(),
        Command::Deb(arguments) => deb::deb(&arguments),
        Command::Ebpf => ebpf::ebpf(),
        Command::Tidy => step::timed("tidy", tidy::tidy),
        Command::Units => step::timed("units", units::check),
        Command::Visit { address, period } => {
            appliance::visit(address, Duration::from_millis(period))
        }
        Command::LeakCheck => step::timed("leak-check", leaks::check),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            if error.is::<setup::Missing>() {
                ExitCode::from(EX_UNAVAILABLE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
