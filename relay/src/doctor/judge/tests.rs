//! What follows from what: a machine that is well, and each thing that may be wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use edgerelay_uring::RingUnavailable;

use super::super::machine::{
    Access, Card, Clock, Congestion, Holder, Limits, Listening, Need, Place, Ring, Trial,
};
use super::super::sysctl;
use super::*;
use crate::config::{LoadOptions, Override, ZeroCopySetting, load};

/// One of which nothing is to be said.
fn well() -> Machine {
    let sysctls = [
        ("net.core.somaxconn", "4096"),
        ("net.ipv4.tcp_max_syn_backlog", "8192"),
        ("net.ipv4.tcp_slow_start_after_idle", "0"),
        ("net.ipv4.tcp_mtu_probing", "1"),
        ("net.ipv4.tcp_rmem", "4096\t131072\t6291456"),
        ("net.ipv4.tcp_wmem", "4096\t16384\t4194304"),
    ];
    Machine {
        release: Some("6.1.0-18-amd64".to_owned()),
        ring: Ok(Ring { has_zero_copy: true }),
        ring_sysctl: Some(0),
        is_filtered: false,
        is_root: true,
        has_service: false,
        node: None,
        has_btf: true,
        has_cgroup2: true,
        limits: Some(Limits { nofile: Some(1 << 20), memlock_bytes: None }),
        congestion: Some(Congestion {
            chosen: "bbr".to_owned(),
            available: vec!["reno".to_owned(), "cubic".to_owned(), "bbr".to_owned()],
        }),
        sysctls: sysctls.map(|(name, value)| (name, value.to_owned())).into(),
        unprivileged_port: 1024,
        cores: 4,
        cards: vec![card(4, &[0, 1, 2, 3], false)],
        clock: Clock {
            is_synchronised: Some(true),
            source: Some("tsc".to_owned()),
            sources: vec!["tsc".to_owned(), "hpet".to_owned()],
        },
        addresses: vec![listening("rtmp.listen", Trial::Free, &[])],
        places: vec![place(Need::Must, Access::Granted, Some(40))],
    }
}

fn card(receive_queues: usize, interrupted: &[usize], has_rps: bool) -> Card {
    let interrupted: BTreeSet<_> = interrupted.iter().copied().collect();
    Card { name: "eth0".to_owned(), receive_queues, interrupted, has_rps }
}

fn listening(setting: &'static str, trial: Trial, holders: &[(u32, &str)]) -> Listening {
    let address = "0.0.0.0:1935".parse().unwrap();
    let holders =
        holders.iter().map(|(pid, name)| Holder { pid: *pid, name: (*name).to_owned() }).collect();
    Listening { setting, address, trial, holders }
}

fn place(need: Need, access: Access, free_percent: Option<u64>) -> Place {
    let folder = PathBuf::from("/run/edgerelay");
    Place { what: "control.socket", folder, need, access, free_percent }
}

/// What is said of [`well`] when `change` has been made to it, but for what is well.
#[track_caller]
fn found(change: impl FnOnce(&mut Machine)) -> Vec<Finding> {
    let mut it = well();
    change(&mut it);
    let findings = machine(&it, Some(&Config::default()));
    findings.into_iter().filter(|finding| finding.level > Level::Ok).collect()
}

/// That `change` brings this one finding.
#[track_caller]
fn finds(check: Check, level: Level, what: &str, mend: &str, change: impl FnOnce(&mut Machine)) {
    let found = found(change);
    let [finding] = &found[..] else { panic!("one finding, not {found:?}") };
    assert_eq!((finding.check, finding.level), (check, level), "{finding:?}");
    assert!(finding.what.contains(what), "{finding:?}");
    let told = finding.mend.as_deref().unwrap_or_default();
    assert!(told.contains(mend), "{finding:?}");
}

#[test]
fn a_machine_that_is_well_is_told_so_by_every_check() {
    let findings = machine(&well(), Some(&Config::default()));
    assert!(findings.iter().all(|finding| finding.level == Level::Ok), "{findings:?}");
    assert!(findings.iter().all(|finding| finding.mend.is_none()), "{findings:?}");
    let mut checks: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    checks.sort_unstable();
    // All but the configuration, of which its loading tells.
    assert_eq!(checks, Check::ALL[1..]);
}

#[test]
fn kernels() {
    use Level::{Error, Hint, Warning};
    let release = |release: &str| {
        let release = Some(release.to_owned());
        move |it: &mut Machine| it.release = release
    };
    finds(Check::Kernel, Error, "5.10.0 is too old", "reboot", release("5.10.0"));
    finds(Check::Kernel, Hint, "6.1", "reboot", release("5.15.0-91-generic"));
    finds(Check::Kernel, Hint, "cannot be told", "uname", release("huge"));
    finds(Check::Btf, Warning, "btf/vmlinux", "accounting.enabled", |it| it.has_btf = false);
    finds(Check::Cgroup2, Warning, "no cgroup2", "mount -t cgroup2", |it| it.has_cgroup2 = false);
}

#[test]
fn rings() {
    let bad = |what, mend, change: fn(&mut Machine)| {
        finds(Check::IoUring, Level::Error, what, mend, change);
    };
    bad("kernel.io_uring_disabled = 2", "kernel.io_uring_disabled=0", |it| {
        it.ring = Err(RingUnavailable::DisabledBySysctl { value: 2 });
        it.ring_sysctl = Some(2);
    });
    bad("EPERM", "security module", |it| it.ring = Err(RingUnavailable::Denied));
    bad("EPERM", "seccomp=FILE", |it| {
        it.ring = Err(RingUnavailable::Denied);
        it.is_filtered = true;
    });
    bad("ENOSYS", "seccomp=FILE", |it| {
        it.ring = Err(RingUnavailable::NotInKernel);
        it.is_filtered = true;
    });
    bad("ENOSYS", "IO_URING", |it| it.ring = Err(RingUnavailable::NotInKernel));
    bad("LimitMEMLOCK", "LimitMEMLOCK=infinity", |it| {
        it.ring = Err(RingUnavailable::LockedMemory);
    });
    bad("IORING_OP_CONNECT", "reboot", |it| {
        it.ring = Err(RingUnavailable::TooOld { missing: "IORING_OP_CONNECT" });
    });
}

#[test]
fn a_ring_of_roots_says_nothing_of_the_relays() {
    finds(Check::IoUring, Level::Warning, "io_uring_group", "io_uring_group=", |it| {
        it.ring_sysctl = Some(1);
    });
    // Whoever is not root and has a ring is in the group.
    assert_eq!(found(|it| (it.ring_sysctl, it.is_root) = (Some(1), false)), []);
}

#[test]
fn descriptors() {
    use Level::{Error, Hint, Warning};
    let limit = |count| {
        move |it: &mut Machine| {
            it.limits = Some(Limits { nofile: Some(count), memlock_bytes: None });
        }
    };
    let shell = "prlimit --pid $$ --nofile=10512";
    finds(Check::Nofile, Warning, "512 connections", shell, limit(1024));
    finds(Check::Nofile, Error, "0 connections", shell, limit(63));
    assert_eq!(found(limit(10_512)), [], "just enough");
    finds(Check::Nofile, Warning, "this shell", shell, limit(10_511));
    finds(Check::Nofile, Warning, "the running node (77)", "LimitNOFILE=10512", |it| {
        limit(1024)(it);
        it.node = Some(77);
        it.has_service = true;
    });
    finds(Check::Nofile, Hint, "the service has limits of its own", "LimitNOFILE=10512", |it| {
        limit(1024)(it);
        it.has_service = true;
    });
}

#[test]
fn locked_memory() {
    let limit = |bytes| {
        move |it: &mut Machine| {
            it.limits = Some(Limits { nofile: None, memlock_bytes: Some(bytes) });
        }
    };
    let mend = "--memlock=unlimited";
    finds(Check::Memlock, Level::Warning, "65536 bytes", mend, limit(65_536));
    finds(Check::Memlock, Level::Hint, "41943040000", mend, limit(8 << 20));
    assert_eq!(found(limit(4_194_304 * 10_000)), []);
    // Without rings that count, and without sends that do.
    let mut it = well();
    limit(0)(&mut it);
    let mut config = Config::default();
    config.rtmp.zero_copy = ZeroCopySetting::Off;
    assert!(machine(&it, Some(&config)).iter().all(|finding| finding.level == Level::Ok));
    it.release = Some("5.11.0".to_owned());
    let finding = machine(&it, Some(&config)).into_iter().find(|it| it.check == Check::Memlock);
    assert_eq!(finding.unwrap().level, Level::Warning, "rings count on this kernel");
}

#[test]
fn congestion_control() {
    use Level::{Hint, Warning};
    let chosen = |chosen: &str, available: &[&str]| {
        let available = available.iter().map(|name| (*name).to_owned()).collect();
        let congestion = Congestion { chosen: chosen.to_owned(), available };
        move |it: &mut Machine| it.congestion = Some(congestion)
    };
    const CHECK: Check = Check::Congestion;
    finds(CHECK, Hint, "cubic", "printf", chosen("cubic", &["cubic", "bbr"]));
    finds(CHECK, Hint, "cubic", "modprobe tcp_bbr", chosen("cubic", &["cubic"]));
    finds(CHECK, Warning, "reno", "congestion_control=bbr", chosen("reno", &["reno", "bbr"]));
    assert_eq!(found(|it| it.congestion = None), []);
}

#[test]
fn settings_of_the_network() {
    use Level::{Hint, Warning};
    let table = [
        ("net.core.somaxconn", "128", Warning, "net.core.somaxconn=\"4096\""),
        ("net.ipv4.tcp_max_syn_backlog", "256", Hint, "=\"4096\""),
        ("net.ipv4.tcp_slow_start_after_idle", "1", Hint, "=\"0\""),
        ("net.ipv4.tcp_mtu_probing", "0", Hint, "=\"1\""),
        ("net.ipv4.tcp_rmem", "4096\t8192\t16384", Hint, "=\"4096 8192 4194304\""),
        ("net.ipv4.tcp_wmem", "4096\t8192\t16384", Hint, "=\"4096 8192 4194304\""),
    ];
    assert_eq!(table.len(), sysctl::WANTED.len());
    for (name, value, level, mend) in table {
        finds(Check::Sysctl, level, name, mend, |it| {
            it.sysctls.insert(name, value.to_owned());
        });
        // Where the package is, its file mends what is in it.
        finds(Check::Sysctl, level, name, "sysctl -", |it| {
            it.sysctls.insert(name, value.to_owned());
            it.has_service = true;
        });
    }
    finds(Check::Sysctl, Warning, "", "sysctl -p /usr/lib/sysctl.d/30-edgerelay.conf", |it| {
        it.sysctls.insert("net.core.somaxconn", "1".to_owned());
        it.has_service = true;
    });
    assert_eq!(found(|it| it.sysctls = BTreeMap::new()), [], "what cannot be read is not wrong");
}

#[test]
fn cards_and_cores() {
    use Level::{Hint, Warning};
    let cards = |card: Card| move |it: &mut Machine| it.cards = vec![card];
    const CHECK: Check = Check::Interrupts;
    finds(
        CHECK,
        Warning,
        "all interrupts of eth0 go to core 2",
        "irqbalance",
        cards(card(4, &[2], false)),
    );
    finds(
        CHECK,
        Hint,
        "one receive queue",
        "echo f > /sys/class/net/eth0",
        cards(card(1, &[0, 1], false)),
    );
    assert_eq!(found(cards(card(1, &[0], true))), [], "spread afterwards");
    assert_eq!(found(cards(card(4, &[2], true))), []);
    assert_eq!(found(cards(card(4, &[], false))), [], "not told");
    let lonely = |it: &mut Machine| {
        it.cards = vec![card(1, &[0], false)];
        it.cores = 1;
    };
    assert_eq!(found(lonely), [], "one core");
    let mut it = well();
    it.cards = vec![card(4, &[2], false)];
    let mut config = Config::default();
    config.node.shards = 1;
    assert!(machine(&it, Some(&config)).iter().all(|finding| finding.level == Level::Ok));
}

#[test]
fn clocks() {
    use Level::{Hint, Warning};
    finds(Check::Clock, Hint, "time right", "set-ntp", |it| {
        it.clock.is_synchronised = Some(false);
    });
    finds(Check::Clock, Warning, "hpet", "echo tsc >", |it| {
        it.clock.source = Some("hpet".to_owned());
    });
    finds(Check::Clock, Warning, "acpi_pm", "dmesg", |it| {
        it.clock.source = Some("acpi_pm".to_owned());
        it.clock.sources = vec!["acpi_pm".to_owned()];
    });
    assert_eq!(found(|it| it.clock = Clock::default()), []);
}

#[test]
fn ports() {
    use Level::{Error, Hint, Warning};
    let at = |listening: Listening| move |it: &mut Machine| it.addresses = vec![listening];
    let held = |setting, holders: &[(u32, &str)]| at(listening(setting, Trial::Held, holders));
    const CHECK: Check = Check::Listen;
    finds(
        CHECK,
        Error,
        "nginx (812)",
        "systemctl status 812",
        held("rtmp.listen", &[(812, "nginx")]),
    );
    finds(CHECK, Error, "cannot be seen", "sport = :1935", held("http.listen", &[]));
    finds(CHECK, Warning, "nginx (812)", "workers.listen", held(WORKERS, &[(812, "nginx")]));
    assert_eq!(found(held("rtmp.listen", &[(9, "edgerelay"), (10, "edgerelay")])), []);
    finds(CHECK, Error, "root is told which", "sport = :1935", |it| {
        held("http.listen", &[])(it);
        it.is_root = false;
    });
    let both = [(9, "edgerelay"), (812, "nginx")];
    finds(CHECK, Error, "nginx (812)", "status 812", held("rtmp.listen", &both));
    let trial = |trial| at(listening("rtmp.listen", trial, &[]));
    finds(CHECK, Error, "CAP_NET_BIND_SERVICE", "port-below-1024", trial(Trial::NotPermitted));
    finds(CHECK, Error, "no interface", "ip ", trial(Trial::NotHere));
    finds(CHECK, Error, "odd", "ip ", trial(Trial::Failed("odd".to_owned())));
    finds(CHECK, Hint, "the service may not", "port-below-1024", |it| it.unprivileged_port = 2000);
    let anybody = |it: &mut Machine| (it.unprivileged_port, it.is_root) = (2000, false);
    assert_eq!(found(anybody), [], "who could bind may");
}

#[test]
fn places() {
    use Level::{Error, Hint, Warning};
    let at = |place: Place| move |it: &mut Machine| it.places = vec![place];
    const CHECK: Check = Check::Storage;
    let must = |access, free| at(place(Need::Must, access, free));
    finds(CHECK, Error, "read-only", "remount,rw", must(Access::ReadOnly, Some(0)));
    finds(CHECK, Error, "no right", "ls -ld /run/edgerelay", must(Access::Denied, None));
    finds(CHECK, Error, "odd", "ls -ld", must(Access::Failed("odd".to_owned()), None));
    finds(CHECK, Error, "is full", "du -xh", must(Access::Granted, Some(0)));
    finds(CHECK, Warning, "4 %", "du -xh", must(Access::Granted, Some(4)));
    assert_eq!(found(must(Access::Granted, Some(5))), []);
    assert_eq!(found(must(Access::Granted, None)), []);
    let would = at(place(Need::Would, Access::ReadOnly, None));
    finds(CHECK, Warning, "read-only", "remount,rw", would);
    finds(CHECK, Hint, "no right", "ls -ld", |it| {
        must(Access::Denied, None)(it);
        it.has_service = true;
    });
}

#[test]
fn without_a_configuration_the_machine_alone_is_looked_at() {
    let mut it = well();
    it.limits = Some(Limits { nofile: Some(1), memlock_bytes: Some(0) });
    (it.has_btf, it.has_cgroup2) = (false, false);
    let findings = machine(&it, None);
    assert!(findings.iter().all(|finding| finding.level == Level::Ok), "{findings:?}");
    let checks: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(
        checks,
        [Check::Kernel, Check::IoUring, Check::Congestion, Check::Sysctl, Check::Clock]
    );
}

#[test]
fn without_accounting_nothing_is_wanted_for_it() {
    let mut it = well();
    (it.has_btf, it.has_cgroup2) = (false, false);
    let mut config = Config::default();
    config.accounting.enabled = false;
    assert!(machine(&it, Some(&config)).iter().all(|finding| finding.level == Level::Ok));
}

#[test]
fn each_error_of_the_configuration_is_one_finding_with_its_place() {
    let set = |key: &str, value: &str| Override {
        flag: format!("--set {key}"),
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let overrides = vec![set("rtmp.chunk_size", "1"), set("rtmp.lisen", "x")];
    let wrong = configuration(&well(), &load(&LoadOptions { overrides, ..LoadOptions::default() }));
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong.iter().all(|it| it.level == Level::Error && it.mend.is_some()), "{wrong:?}");
    assert!(wrong.iter().any(|finding| finding.what.contains("rtmp.lisen")), "{wrong:?}");

    let environment = vec![("RTMP_PUSH_URL".to_owned(), "rtmp://h/live".to_owned())];
    let odd = configuration(&well(), &load(&LoadOptions { environment, ..LoadOptions::default() }));
    assert_eq!(odd[0].level, Level::Hint, "{odd:?}");
    assert!(odd[0].what.contains("RTMP_PUSH_URL"), "{odd:?}");
    let defaults = load(&LoadOptions::default());
    let fine = configuration(&well(), &defaults);
    assert_eq!(fine[0].level, Level::Ok, "{fine:?}");
    let packed = configuration(&Machine { has_service: true, ..well() }, &defaults);
    assert_eq!(packed[0].level, Level::Hint, "{packed:?}");
}
