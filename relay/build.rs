//! Puts the kernel programs' object where the relay includes it from: the one that `cargo xtask ebpf`
//! built, or an empty file when there is none. Builds and fetches nothing itself.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../relay-ebpf/object");
    // The folder, which is always there: a file that is not would have us run every time.
    println!("cargo::rerun-if-changed={}", folder.display());
    let object = match fs::read(folder.join("edgerelay.o")) {
        Ok(object) => object,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("edgerelay.o"), object)?;
    Ok(())
}
