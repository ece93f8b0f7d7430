//! The kernel programs as they were compiled, and how they become part of the kernel.

use aya::programs::ProgramError;
use aya::{Btf, Ebpf, EbpfError, EbpfLoader};
use edgerelay_ebpf_common::{SocketOffsets, maps};
use std::path::Path;

use super::btf;

/// Empty when the relay was built without them.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/edgerelay.o"));

/// The kernel's description of its own types.
const KERNEL_TYPES: &str = "/sys/kernel/btf/vmlinux";

/// Callbacks at changes of state.
const STATE: u32 = 1 << 2;
/// Callbacks whenever a round trip was measured.
const ROUND_TRIP: u32 = 1 << 3;

/// Whether this build has the programs.
pub(super) fn is_compiled_in() -> bool {
    !OBJECT.is_empty()
}

/// Programs and maps in the kernel; nothing is attached.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    /// Whether the snapshot program is among them, and if not, why.
    pub(super) snapshot: Result<(), String>,
}

/// Loads programs and maps. Maps that are pinned in `pin_dir` already are used on.
///
/// With the snapshot, connections ask for callbacks at changes of state alone: it sees everything
/// else for less. Without, also whenever a round trip was measured.
pub(super) fn load(pin_dir: &Path, connections_max: u32) -> Result<Loaded, EbpfError> {
    let types = Btf::from_sys_fs().ok();
    let snapshot = match (&types, offsets()) {
        (Some(types), Ok(offsets)) => {
            let mut ebpf = create(pin_dir, connections_max, STATE, &offsets)?;
            match load_snapshot(&mut ebpf, types) {
                Ok(()) => return Ok(Loaded { ebpf: load_events(ebpf)?, snapshot: Ok(()) }),
                Err(error) => brief(&error.into()),
            }
        }
        (None, _) => "the kernel does not describe its types".to_owned(),
        (_, Err(why)) => why,
    };
    let callbacks = STATE | ROUND_TRIP;
    let ebpf = create(pin_dir, connections_max, callbacks, &SocketOffsets::default())?;
    Ok(Loaded { ebpf: load_events(ebpf)?, snapshot: Err(snapshot) })
}

fn offsets() -> Result<SocketOffsets, String> {
    let types = std::fs::read(KERNEL_TYPES).map_err(|error| format!("{KERNEL_TYPES}: {error}"))?;
    btf::socket_offsets(&types).map_err(|error| error.to_string())
}

fn create(
    pin_dir: &Path,
    connections_max: u32,
    callbacks: u32,
    offsets: &SocketOffsets,
) -> Result<Ebpf, EbpfError> {
    EbpfLoader::new()
        .default_map_pin_directory(pin_dir)
        .map_max_entries(maps::CONNECTIONS, connections_max)
        .override_global(maps::CALLBACKS, &callbacks, true)
        .override_global(maps::OFFSETS, offsets, true)
        .load(OBJECT)
}

fn load_snapshot(ebpf: &mut Ebpf, types: &Btf) -> Result<(), ProgramError> {
    snapshot(ebpf)?.load("tcp", types)
}

fn load_events(mut ebpf: Ebpf) -> Result<Ebpf, EbpfError> {
    events(&mut ebpf)?.load()?;
    Ok(ebpf)
}

/// The program that goes over all sockets.
pub(super) fn snapshot(ebpf: &mut Ebpf) -> Result<&mut aya::programs::Iter, ProgramError> {
    let program = ebpf.program_mut(maps::SNAPSHOT).ok_or(ProgramError::UnexpectedProgramType)?;
    program.try_into()
}

/// The program that is called when connections open, change and close.
pub(super) fn events(ebpf: &mut Ebpf) -> Result<&mut aya::programs::SockOps, ProgramError> {
    let program =
        ebpf.program_mut(maps::ON_SOCKET_EVENT).ok_or(ProgramError::UnexpectedProgramType)?;
    program.try_into()
}

/// An error with its causes in one line, without the verifier's log, which is pages long.
pub(super) fn brief(error: &EbpfError) -> String {
    if let EbpfError::ProgramError(ProgramError::LoadError { io_error, .. }) = error {
        return format!("the kernel refused the program: {io_error}");
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
