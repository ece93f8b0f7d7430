//! What the kernel counts of each connection, and the sums over roles and applications.
//!
//! An [`Account`] is made by the shard that opens the connection, brought up to date by whoever asks
//! the kernel, and read by whoever shows it. It asks the kernel nothing itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::role::ClientRole;

/// Where figures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum KernelSource {
    /// Nowhere: the kernel was not asked yet.
    #[default]
    None = 0,
    /// The socket was asked, `TCP_INFO`.
    TcpInfo = 1,
    /// The kernel programs' maps.
    Ebpf = 2,
}

impl KernelSource {
    /// The name in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::TcpInfo => "tcp_info",
            Self::Ebpf => "ebpf",
        }
    }
}

/// One connection as the kernel counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelFigures {
    /// Where the figures come from.
    pub source: KernelSource,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Payload bytes that the peer acknowledged.
    pub bytes_out: u64,
    /// Smoothed round-trip time, in microseconds; zero while unknown.
    pub rtt_us: u32,
    /// Segments sent again.
    pub retransmits: u32,
}

/// One connection's account. Every method may be called from any thread.
#[derive(Debug)]
pub struct Account {
    /// The kernel's name for the socket.
    cookie: u64,
    role: AtomicU8,
    app: Mutex<Arc<str>>,
    source: AtomicU8,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    rtt_us: AtomicU32,
    retransmits: AtomicU32,
    closed: AtomicBool,
}

impl Account {
    /// Of the connection whose socket the kernel calls `cookie`.
    #[must_use]
    pub fn new(cookie: u64) -> Self {
        Self {
            cookie,
            role: AtomicU8::new(ClientRole::Idle as u8),
            app: Mutex::default(),
            source: AtomicU8::new(KernelSource::None as u8),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            rtt_us: AtomicU32::new(0),
            retransmits: AtomicU32::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// The kernel's name for the socket.
    #[must_use]
    pub const fn cookie(&self) -> u64 {
        self.cookie
    }

    /// What the connection is for. That it is for nothing any more is not noted: what it moved, it
    /// moved for what it was.
    pub fn set_role(&self, role: ClientRole, app: &Arc<str>) {
        if role != ClientRole::Idle {
            *self.app.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(app);
            self.role.store(role as u8, Ordering::Release);
        }
    }

    /// What the connection is or was for, and in which application.
    #[must_use]
    pub fn group(&self) -> Group {
        let app = Arc::clone(&self.app.lock().unwrap_or_else(PoisonError::into_inner));
        let role = usize::from(self.role.load(Ordering::Acquire));
        Group { role: ClientRole::ALL.get(role).copied().unwrap_or(ClientRole::Idle), app }
    }

    /// Enters what the kernel says. Bytes never go back, whoever asked last.
    pub fn record(&self, figures: &KernelFigures) {
        self.bytes_in.fetch_max(figures.bytes_in, Ordering::Relaxed);
        self.bytes_out.fetch_max(figures.bytes_out, Ordering::Relaxed);
        self.retransmits.fetch_max(figures.retransmits, Ordering::Relaxed);
        self.rtt_us.store(figures.rtt_us, Ordering::Relaxed);
        self.source.store(figures.source as u8, Ordering::Release);
    }

    /// What is known.
    #[must_use]
    pub fn figures(&self) -> KernelFigures {
        let source = match self.source.load(Ordering::Acquire) {
            0 => KernelSource::None,
            1 => KernelSource::TcpInfo,
            _ => KernelSource::Ebpf,
        };
        KernelFigures {
            source,
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
            rtt_us: self.rtt_us.load(Ordering::Relaxed),
            retransmits: self.retransmits.load(Ordering::Relaxed),
        }
    }

    /// Whether the kernel programs bring it up to date. Who holds the socket asks it otherwise.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.source.load(Ordering::Relaxed) == KernelSource::Ebpf as u8
    }

    /// The kernel programs do not know it, or not any more: the socket is to be asked.
    pub fn uncover(&self) {
        if self.is_covered() {
            self.source.store(KernelSource::TcpInfo as u8, Ordering::Release);
        }
    }

    /// The socket is closed on our side. Its last figures may still come from the kernel programs.
    pub fn on_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether the socket is closed on our side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// What connections are summed up by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// What they are for.
    pub role: ClientRole,
    /// The application's configured name; empty for those of no application.
    pub app: Arc<str>,
}

/// The sums over connections of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GroupTotals {
    /// Connections that became of this kind.
    pub opened: u64,
    /// Connections that were closed, or became of another kind.
    pub closed: u64,
    /// Payload bytes received.
    pub bytes_in: u64,
    /// Payload bytes that peers acknowledged.
    pub bytes_out: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// The mean over open connections; none while none is known.
    pub rtt_seconds: Option<f64>,
}

/// What the kernel programs count of one service, whether the node ever got to see it or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceTotals {
    /// Connections opened, or open when counting began.
    pub opened: u64,
    /// Connections closed.
    pub closed: u64,
}

/// The sums, by role and application, as they are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelTotals {
    /// By the name of the role and of the application.
    pub groups: BTreeMap<(&'static str, Arc<str>), GroupTotals>,
    /// What the kernel programs count by port: connections opened and closed, by the service's name.
    pub services: BTreeMap<&'static str, ServiceTotals>,
    /// Connections that the kernel programs had no room for.
    pub untracked: u64,
    /// Connections that are missing from the sums because too many came at once.
    pub missed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_done_stays_what_it_was() {
        let account = Account::new(7);
        assert_eq!(account.group(), Group { role: ClientRole::Idle, app: "".into() });
        account.set_role(ClientRole::Publisher, &"live".into());
        account.set_role(ClientRole::Idle, &"".into());
        assert_eq!(account.group(), Group { role: ClientRole::Publisher, app: "live".into() });
    }

    #[test]
    fn bytes_do_not_go_back_when_another_source_takes_over() {
        let account = Account::new(7);
        let figures = |source, bytes_in| KernelFigures { source, bytes_in, ..Default::default() };
        account.record(&figures(KernelSource::Ebpf, 100));
        assert!(account.is_covered());
        account.uncover();
        account.record(&figures(KernelSource::TcpInfo, 90));
        assert_eq!(account.figures(), figures(KernelSource::TcpInfo, 100));
        assert!(!account.is_covered());
    }
}
