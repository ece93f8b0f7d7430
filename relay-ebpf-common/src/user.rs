//! What user space needs besides: that the values are plain data, and a pin opened for reading only.

use std::ffi::CString;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::layout::{Connection, Heartbeat, PortKey, SocketOffsets, Totals};

// SAFETY: `repr(C)`, integers and arrays of integers only, no padding (asserted beside the types):
// every pattern of bits is a value, and every byte of a value is initialised. This holds for all of
// the following.
unsafe impl aya::Pod for PortKey {}
// SAFETY: as above.
unsafe impl aya::Pod for Connection {}
// SAFETY: as above.
unsafe impl aya::Pod for Totals {}
// SAFETY: as above.
unsafe impl aya::Pod for Heartbeat {}
// SAFETY: as above.
unsafe impl aya::Pod for SocketOffsets {}

/// The command of `bpf(2)` that opens a pin.
const BPF_OBJ_GET: libc::c_long = 7;
/// The descriptor serves look-ups alone, for which the right to read the pin is enough.
const BPF_F_RDONLY: u32 = 1 << 3;

/// The part of `bpf(2)`'s argument that [`BPF_OBJ_GET`] reads.
#[repr(C)]
struct ObjGet {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Opens what is pinned at `path`, for reading only. aya asks for writing, too, which takes more
/// rights than the relay has.
///
/// # Errors
///
/// What the kernel says: nothing is there, or it may not be read.
pub fn open_pin_read_only(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let argument = ObjGet { path: path.as_ptr() as u64, fd: 0, flags: BPF_F_RDONLY };
    // SAFETY: the kernel reads `size_of::<ObjGet>()` bytes of `argument`, and the string that it
    // points to; both outlive the call.
    let opened = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_OBJ_GET, &raw const argument, size_of::<ObjGet>())
    };
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(opened).map_err(io::Error::other)?;
    // SAFETY: a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
