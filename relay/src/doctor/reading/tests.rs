//! A machine that is nothing but files.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// Below a folder, what a kernel would show.
fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = TempDir::new().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     \n\
Max cpu time              unlimited            unlimited            seconds   \n\
Max file size             unlimited            unlimited            bytes     \n\
Max data size             unlimited            unlimited            bytes     \n\
Max stack size            8388608              unlimited            bytes     \n\
Max core file size        0                    unlimited            bytes     \n\
Max resident set          unlimited            unlimited            bytes     \n\
Max processes             31441                31441                processes \n\
Max open files            1024                 1048576              files     \n\
Max locked memory         8388608              8388608              bytes     \n\
Max address space         unlimited            unlimited            bytes     \n\
Max file locks            unlimited            unlimited            locks     \n\
Max pending signals       31441                31441                signals   \n\
Max msgqueue size         819200               819200               bytes     \n\
Max nice priority         0                    0                    \n\
Max realtime priority     0                    0                    \n\
Max realtime timeout      unlimited            unlimited            us        \n";

#[test]
fn files_become_facts() {
    let root = tree(&[
        ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"),
        ("proc/sys/kernel/io_uring_disabled", "1\n"),
        ("proc/sys/net/core/somaxconn", "128\n"),
        ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
        ("proc/sys/net/ipv4/tcp_congestion_control", "cubic\n"),
        ("proc/sys/net/ipv4/tcp_available_congestion_control", "reno cubic\n"),
        ("proc/sys/net/ipv4/ip_unprivileged_port_start", "80\n"),
        ("proc/self/limits", LIMITS),
        (
            "proc/self/mountinfo",
            "25 1 0:22 / /sys rw - sysfs sysfs rw\n\
             31 25 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
        ),
        ("sys/kernel/btf/vmlinux", ""),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n"),
        ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet \n"),
        (SERVICE, ""),
    ]);
    let machine = read(root.path(), None);
    assert_eq!(machine.release.as_deref(), Some("6.1.0-18-amd64"));
    assert_eq!(machine.ring_sysctl, Some(1));
    assert_eq!(machine.sysctls["net.core.somaxconn"], "128");
    assert_eq!(machine.sysctls["net.ipv4.tcp_rmem"], "4096\t131072\t6291456");
    assert_eq!(machine.sysctls.len(), 2, "what is not there is left out");
    let congestion = machine.congestion.unwrap();
    assert_eq!((&*congestion.chosen, congestion.available.len()), ("cubic", 2));
    assert_eq!(machine.unprivileged_port, 80);
    let limits = machine.limits.unwrap();
    assert_eq!((limits.nofile, limits.memlock_bytes), (Some(1024), Some(8 << 20)));
    assert!(machine.has_cgroup2 && machine.has_btf && machine.has_service);
    assert_eq!(machine.clock.source.as_deref(), Some("hpet"));
    assert_eq!(machine.clock.sources, ["tsc", "hpet"]);
    assert!(machine.addresses.is_empty() && machine.places.is_empty(), "no configuration");
}

#[test]
fn nothing_there_is_nothing_known() {
    let root = TempDir::new().unwrap();
    let machine = read(root.path(), None);
    assert_eq!(machine.release, None);
    assert!(machine.limits.is_none() && machine.congestion.is_none());
    assert!(machine.sysctls.is_empty() && machine.cards.is_empty());
    assert!(!machine.has_btf && !machine.has_cgroup2 && !machine.has_service);
    assert_eq!(machine.unprivileged_port, UNPRIVILEGED_PORT);
}

#[test]
fn a_seccomp_filter_shows() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    for (mode, expected) in [("0", false), ("2", true)] {
        let changed: String = status
            .lines()
            .map(|line| match line.starts_with("Seccomp:") {
                true => format!("Seccomp:\t{mode}\n"),
                false => format!("{line}\n"),
            })
            .collect();
        let root = tree(&[("proc/self/status", &changed)]);
        assert_eq!(is_filtered(&Files { root: root.path() }), expected);
    }
}

/// A virtual card, whose interrupts are those of the device that it is behind, and others that count not.
#[test]
fn cards_are_read_with_their_queues_and_cores() {
    const DEVICE: &str = "sys/devices/pci0/0000:00:03.0";
    let root = tree(&[
        (&format!("{DEVICE}/msi_irqs/37"), ""),
        (&format!("{DEVICE}/msi_irqs/38"), ""),
        (&format!("{DEVICE}/virtio2/vendor"), ""),
        ("sys/class/net/eth0/operstate", "up\n"),
        ("sys/class/net/eth0/queues/rx-0/rps_cpus", "00000000,00000000\n"),
        ("sys/class/net/eth0/queues/rx-1/rps_cpus", "00000000,00000000\n"),
        ("sys/class/net/eth0/queues/tx-0/xps_cpus", "f\n"),
        ("sys/class/net/eth1/operstate", "up\n"),
        ("sys/class/net/eth1/queues/rx-0/rps_cpus", "0000000f,00000000\n"),
        ("sys/class/net/eth2/operstate", "down\n"),
        ("sys/class/net/lo/operstate", "unknown\n"),
        ("proc/irq/37/effective_affinity_list", "1\n"),
        ("proc/irq/38/effective_affinity_list", "\n"),
        ("proc/irq/38/smp_affinity_list", "2-3\n"),
    ]);
    for card in ["eth0", "eth1", "eth2"] {
        let device = if card == "eth0" { "virtio2" } else { "" };
        let target = format!("../../../devices/pci0/0000:00:03.0/{device}");
        symlink(target, root.path().join(format!("sys/class/net/{card}/device"))).unwrap();
    }
    let cards = read(root.path(), None).cards;
    let names: Vec<_> = cards.iter().map(|card| &*card.name).collect();
    assert_eq!(names, ["eth0", "eth1"], "no device, or down, does not count");
    assert_eq!(cards[0].receive_queues, 2);
    assert_eq!(cards[0].interrupted, [1, 2, 3].into());
    assert!(!cards[0].has_rps && cards[1].has_rps);
}

#[test]
fn every_address_of_the_configuration_is_wanted() {
    let mut config = Config::default();
    config.workers.backend = WorkerBackend::Process;
    config.workers.max = 2;
    let all: Vec<_> =
        wanted(&config).into_iter().map(|(setting, at)| format!("{setting} {at}")).collect();
    assert_eq!(
        all,
        [
            "rtmp.listen 0.0.0.0:1935",
            "http.listen 127.0.0.1:8080",
            "workers.listen 127.0.0.1:19351",
            "workers.listen 127.0.0.1:19352",
        ]
    );
    config.workers.backend = WorkerBackend::Static;
    assert_eq!(wanted(&config).len(), 2, "somebody else's ports");
}
