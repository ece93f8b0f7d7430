//! `cargo xtask ebpf`: the kernel programs, from source to the object that the relay embeds.
//!
//! There are two ways to a compiler for the BPF target, and the first that is open is taken. What is
//! missing is installed: packages with apt, `bpf-linker` into the checkout.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::{remap, setup, step, workspace};

const TARGET: &str = "bpfel-unknown-none";

/// The version in use. It speaks with the LLVM of both ways.
const LINKER_VERSION: &str = "0.13.0";

/// Where `llvm-22-dev` puts the library that the linker is made with.
const LLVM: &str = "/usr/lib/llvm-22";

/// Debian's compiler for the web, which is the one that has a BPF target beside it.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Debian packages that the linker is built with.
const LINKER_PACKAGES: [(&str, &str); 1] = [("llvm-22-dev", "the library that bpf-linker links")];

/// Debian packages of the second way.
const DEBIAN_PACKAGES: [(&str, &str); 2] = [
    ("rustc-web", "a compiler new enough for the BPF target"),
    ("libstd-rust-web-dev-bpf", "its core library for that target"),
];

/// How the programs are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// A nightly toolchain with the sources of the core library, which is built with the programs.
    Nightly,
    /// Debian's compiler and core library.
    Debian,
}

impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Nightly => "rustup's nightly toolchain with rust-src",
            Self::Debian => "Debian's rustc-web with libstd-rust-web-dev-bpf",
        })
    }
}

/// Builds the object and prints where it is.
pub(crate) fn ebpf() -> Result<()> {
    step::timed("ebpf", || {
        let (route, linker) = tools()?;
        compile(route, &linker)
    })
}

/// As [`ebpf`], for whoever wants to test what there is. Where the compiler cannot be had, says so,
/// loudly, and goes on: the relay is built and tested without kernel accounting then.
pub(crate) fn if_it_can_be_had() -> Result<()> {
    unless(|_| true)
}

/// As [`ebpf`], for a run whose green says that the programs were built. It goes on without them only
/// where it may not install what it lacks.
pub(crate) fn unless_forbidden() -> Result<()> {
    unless(|error| error.is::<setup::Missing>())
}

fn unless(excused: impl FnOnce(&anyhow::Error) -> bool) -> Result<()> {
    step::timed("ebpf", || match tools() {
        Ok((route, linker)) => compile(route, &linker),
        Err(error) if excused(&error) => {
            println!("SKIPPED: kernel accounting is not built, because {error:#}");
            Ok(())
        }
        Err(error) => Err(error),
    })
}

/// A compiler and a linker, installed if need be.
fn tools() -> Result<(Route, PathBuf)> {
    let route = if nightly_has_sources() { Route::Nightly } else { Route::Debian };
    println!("ebpf: by way of {route}");
    if route == Route::Debian {
        setup::install(&DEBIAN_PACKAGES)?;
    }
    Ok((route, linker()?))
}

fn compile(route: Route, linker: &Path) -> Result<()> {
    let object = build(route, linker)?;
    println!("ebpf: {}", object.display());
    Ok(())
}

fn nightly_has_sources() -> bool {
    let mut sysroot = Command::new("rustup");
    sysroot.args(["run", "nightly", "rustc", "--print", "sysroot"]).stderr(Stdio::null());
    let Ok(output) = sysroot.output() else { return false };
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    output.status.success() && path.join("lib/rustlib/src/rust/library/core").is_dir()
}

/// The pinned linker, built unless it is there.
fn linker() -> Result<PathBuf> {
    let folder = workspace::root().join(".tools");
    let program = folder.join("bin/bpf-linker");
    let version = Command::new(&program).arg("--version").output();
    if version.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout).trim() == format!("bpf-linker {LINKER_VERSION}")
    }) {
        println!("ebpf: bpf-linker {LINKER_VERSION} is in .tools");
        return Ok(program);
    }
    setup::install(&LINKER_PACKAGES)?;
    step::run(
        step::cargo()
            .args(["install", "--quiet", "--locked", "--force", "--version", LINKER_VERSION])
            .args(["--no-default-features", "--features", "llvm-22", "--root"])
            .arg(&folder)
            .arg("bpf-linker")
            .env("LLVM_PREFIX", LLVM)
            // It runs for a second; its own profile is for shipping it.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            // So that cargo builds it in a folder that it removes afterwards.
            .env_remove("CARGO_TARGET_DIR"),
    )?;
    Ok(program)
}

/// Compiles, and puts the object where the relay's build script looks for it.
fn build(route: Route, linker: &Path) -> Result<PathBuf> {
    let package = workspace::root().join("relay-ebpf");
    // Not where it was built without the wrapper, which to cargo is no reason to build anew.
    let target = workspace::target().join("ebpf-by-name");
    let mut flags = vec![
        format!("-Clinker={}", linker.display()),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
    ];
    flags.extend(remap::rust_flags(&target));
    let mut cargo = match route {
        Route::Debian => step::cargo(),
        Route::Nightly => {
            let mut rustup = Command::new("rustup");
            rustup.args(["run", "nightly", "cargo"]);
            rustup
        }
    };
    cargo.current_dir(&package).args(["build", "--release", "--locked", "--target", TARGET]);
    // What this process was started with is for the machine's own target.
    cargo.env_remove("RUSTFLAGS").env("RUSTC_WRAPPER", remap::compiler());
    cargo.env("CARGO_TARGET_DIR", &target).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    match route {
        Route::Debian => cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1"),
        Route::Nightly => {
            cargo.env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN").args(["-Z", "build-std=core"])
        }
    };
    step::run(&mut cargo)?;
    let built = target.join(TARGET).join("release/edgerelay-ebpf");
    let object = package.join("object/edgerelay.o");
    install(&built, &object)?;
    Ok(object)
}

/// Leaves a file that is the same as it is, so that the relay is not built anew.
fn install(built: &Path, object: &Path) -> Result<()> {
    let bytes = fs::read(built).with_context(|| format!("read {}", built.display()))?;
    if bytes.is_empty() {
        bail!("{} is empty", built.display());
    }
    if fs::read(object).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    fs::write(object, &bytes).with_context(|| format!("write {}", object.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_the_same_is_left_alone() {
        let folder = std::env::temp_dir().join(format!("edgerelay-xtask-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (built, object) = (folder.join("built"), folder.join("object"));
        fs::write(&built, b"one").expect("writes");
        install(&built, &object).expect("copies");
        let first = fs::metadata(&object).expect("is there").modified().expect("a time");
        install(&built, &object).expect("compares");
        assert_eq!(fs::metadata(&object).expect("is there").modified().expect("a time"), first);
        fs::write(&built, b"two").expect("writes");
        install(&built, &object).expect("copies");
        assert_eq!(fs::read(&object).expect("reads"), b"two");
        fs::remove_dir_all(&folder).expect("removes");
    }
}
