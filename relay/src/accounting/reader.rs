//! Reads what the kernel programs counted, from the pins and without any capability.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray};
use edgerelay_ebpf_common::{
    Connection, Heartbeat, LAYOUT_VERSION, Service, Totals, maps, open_pin_read_only,
};

use super::monotonic_ns;
use super::pins::PinFolder;

/// A loader that has been silent for so long is gone: nobody keeps the maps tidy.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// The snapshot prints nothing; a page is more than enough.
const SNAPSHOT_READ_BYTES: usize = 4096;

/// Why the kernel's counts cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unavailable {
    #[error("nothing is pinned in {0}: `edgerelay accounting` does not run, or pins elsewhere")]
    Absent(String),
    #[error("{path} may not be read: {error}; the node has to be in the loader's group")]
    Forbidden { path: String, error: io::Error },
    #[error("{path}: {error}")]
    Unreadable { path: String, error: io::Error },
    #[error("a map cannot be read: {0}")]
    Map(#[from] MapError),
    #[error(
        "the maps are of layout {0} and this program knows {LAYOUT_VERSION}; restart \
         `edgerelay accounting` with the program of this version"
    )]
    Version(u32),
    #[error("`edgerelay accounting` has not been heard of for {} s", SILENCE_MAX.as_secs())]
    Silent,
}

/// The maps, opened for reading.
pub(super) struct Reader {
    connections: HashMap<MapData, u64, Connection>,
    totals: PerCpuArray<MapData, Totals>,
    heartbeat: Array<MapData, Heartbeat>,
    snapshot: PathBuf,
}

impl Reader {
    /// Opens what is pinned, if it is of our layout and a loader looks after it.
    pub(super) fn open(pins: &PinFolder) -> Result<Self, Unavailable> {
        let heartbeat = Array::try_from(Map::Array(open(pins, maps::HEARTBEAT)?))?;
        check(&heartbeat)?;
        let reader = Self {
            connections: HashMap::try_from(Map::HashMap(open(pins, maps::CONNECTIONS)?))?,
            totals: PerCpuArray::try_from(Map::PerCpuArray(open(pins, maps::TOTALS)?))?,
            heartbeat,
            snapshot: pins.pin(maps::SNAPSHOT),
        };
        reader.refresh()?;
        Ok(reader)
    }

    /// Has the kernel bring every counted connection up to date.
    pub(super) fn refresh(&self) -> Result<(), Unavailable> {
        if check(&self.heartbeat)?.snapshot == 0 {
            return Ok(());
        }
        let run = || -> io::Result<()> {
            let mut file = File::open(&self.snapshot)?;
            let mut nothing = [0; SNAPSHOT_READ_BYTES];
            while file.read(&mut nothing)? > 0 {}
            Ok(())
        };
        run().map_err(|error| refused(&self.snapshot, error))
    }

    /// Whether connections are looked at by the snapshot: without, those that only receive are not.
    pub(super) fn has_snapshot(&self) -> bool {
        self.heartbeat.get(&0, 0).is_ok_and(|heartbeat| heartbeat.snapshot != 0)
    }

    /// What is known of the socket that the kernel calls `cookie`.
    pub(super) fn connection(&self, cookie: u64) -> Option<Connection> {
        self.connections.get(&cookie, 0).ok()
    }

    /// The sums over all processors for one service.
    pub(super) fn totals(&self, service: Service) -> Totals {
        let each = self.totals.get(&(service as u32), 0);
        let mut sum = Totals::default();
        for part in each.iter().flat_map(|values| values.iter()) {
            sum.opened += part.opened;
            sum.closed += part.closed;
            sum.bytes_in += part.bytes_in;
            sum.bytes_out += part.bytes_out;
            sum.retransmits += part.retransmits;
            sum.untracked += part.untracked;
        }
        sum
    }
}

fn open(pins: &PinFolder, name: &str) -> Result<MapData, Unavailable> {
    let path = pins.pin(name);
    match open_pin_read_only(&path) {
        Ok(descriptor) => Ok(MapData::from_fd(descriptor)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Unavailable::Absent(pins.path().display().to_string()))
        }
        Err(error) => Err(refused(&path, error)),
    }
}

fn refused(path: &std::path::Path, error: io::Error) -> Unavailable {
    let path = path.display().to_string();
    match error.kind() {
        io::ErrorKind::PermissionDenied => Unavailable::Forbidden { path, error },
        _ => Unavailable::Unreadable { path, error },
    }
}

fn check(heartbeat: &Array<MapData, Heartbeat>) -> Result<Heartbeat, Unavailable> {
    let heartbeat = heartbeat.get(&0, 0)?;
    // Zero: a loader that has just begun.
    if heartbeat.version != LAYOUT_VERSION && heartbeat.version != 0 {
        return Err(Unavailable::Version(heartbeat.version));
    }
    let silence = Duration::from_nanos(monotonic_ns().saturating_sub(heartbeat.alive_ns));
    if silence > SILENCE_MAX { Err(Unavailable::Silent) } else { Ok(heartbeat) }
}
