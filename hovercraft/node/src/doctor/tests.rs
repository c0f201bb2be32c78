//! Every check on a machine that is made up: where all is well, where one thing is not, where files are missing or garbage.

use core::sync::atomic::{AtomicU32, Ordering};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::testing::Scratch;

mod each;

/// The files of a machine on which nothing is to be said: 4 cores, 2 and 3 for the node, a card for DPDK beside eth0.
const WELL: &[(&str, &str)] = &[
    ("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu constant_tsc nonstop_tsc\n"),
    ("proc/cmdline", "quiet isolcpus=managed_irq,domain,2-3 nohz_full=2-3 rcu_nocbs=2,3\n"),
    ("proc/mounts", "proc /proc proc rw 0 0\nnodev /dev/hugepages hugetlbfs rw,pagesize=2M 0 0\n"),
    ("proc/self/status", "Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffff\n"),
    (
        "proc/self/limits",
        "Max locked memory         unlimited            unlimited            bytes\n",
    ),
    (
        "proc/net/route",
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
         eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
         eth1\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
         eth1\t0747FFEF\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n",
    ),
    ("proc/sys/net/core/rmem_max", "33554432\n"),
    ("proc/sys/net/ipv4/igmp_max_memberships", "20\n"),
    ("proc/sys/net/ipv4/conf/all/rp_filter", "0\n"),
    ("proc/sys/net/ipv4/conf/eth1/rp_filter", "2\n"),
    ("sys/class/net/eth1/flags", "0x1003\n"),
    ("sys/class/net/eth1/mtu", "1500\n"),
    ("sys/class/dmi/id/sys_vendor", "Nobody Inc.\n"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
    ("sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm\n"),
    ("sys/devices/system/cpu/online", "0-3\n"),
    ("sys/devices/system/cpu/isolated", "2-3\n"),
    ("sys/devices/system/cpu/nohz_full", "2-3\n"),
    ("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "2\n"),
    ("sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "3\n"),
    ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance\n"),
    ("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", "performance\n"),
    ("sys/devices/system/node/online", "0-1\n"),
    ("sys/devices/system/node/node0/cpulist", "0-1\n"),
    ("sys/devices/system/node/node1/cpulist", "2-3\n"),
    ("sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "0\n"),
    ("sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "512\n"),
    ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "512\n"),
    ("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "500\n"),
    ("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n"),
    ("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "0\n"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
    ("sys/kernel/iommu_groups/7/type", "DMA\n"),
    ("sys/module/vfio_pci/refcnt", "1\n"),
    ("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N\n"),
    ("sys/bus/pci/devices/0000:01:00.0/class", "0x020000\n"),
    ("sys/bus/pci/devices/0000:01:00.0/numa_node", "1\n"),
    ("sys/bus/pci/devices/0000:02:00.0/class", "0x010802\n"),
    ("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_ixgbe.so.23", "\n"),
    ("usr/lib/x86_64-linux-gnu/pkgconfig/libdpdk.pc", "Name: DPDK\nVersion: 22.11.11\n"),
];

/// And its links.
const LINKS: &[(&str, &str)] = &[
    ("sys/bus/pci/devices/0000:01:00.0/driver", "../../../drivers/vfio-pci"),
    ("sys/bus/pci/devices/0000:01:00.0/iommu_group", "../../../../kernel/iommu_groups/7"),
];

const CLUSTER: &str = "(groups: [(mode: hovercraft, multicast: \"239.255.71.7:8100\", idle: spin, cores: [2, 3], members: [
    (id: 1, data: \"10.0.0.1:8100\", admin: \"10.0.0.1:9100\"),
    (id: 2, data: \"10.0.0.2:8100\", admin: \"10.0.0.2:9100\"),
    (id: 3, data: \"10.0.0.3:8100\", admin: \"10.0.0.3:9100\"),
])])";

/// A machine below a directory that goes with the value.
struct Made(Scratch);

impl Made {
    fn empty(name: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        Self(Scratch::new(&format!("doctor-{name}-{number}")))
    }

    fn well(name: &str) -> Self {
        let made = Self::empty(name);
        WELL.iter().for_each(|(path, text)| made.put(path, text.as_bytes()));
        LINKS.iter().for_each(|(path, target)| made.link(path, target));
        made
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.0.join(path)
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), bytes).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        let _ = fs::remove_file(self.path(path));
        symlink(Path::new(target), self.path(path)).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.path(path);
        match fs::symlink_metadata(&path).unwrap().is_dir() {
            true => fs::remove_dir_all(&path).unwrap(),
            false => fs::remove_file(&path).unwrap(),
        }
    }

    /// As the operator asks about it.
    fn asked(&self, cluster: &str, more: &[&str]) -> Asked {
        let file = self.0.file("cluster.ron", cluster);
        let words = ["--config", file.to_str().unwrap(), "--root", self.0.0.to_str().unwrap()];
        let words = words.into_iter().chain(more.iter().copied());
        args::read("node", words.map(OsString::from)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn findings(&self) -> Vec<Finding> {
        examine(&self.asked(CLUSTER, &["--id", "1"]).machine, None)
    }

    /// The finding of a check, for the usual node with some other words in its file.
    fn find(&self, name: &str, from: &str, to: &str) -> Finding {
        assert!(CLUSTER.contains(from));
        let machine = self.asked(&CLUSTER.replacen(from, to, 1), &["--id", "1"]).machine;
        let all = examine(&machine, None);
        all.into_iter().find(|one| one.name == name).unwrap_or_else(|| panic!("{name}: no check"))
    }
}

#[test]
fn nothing_is_said_of_a_machine_where_all_is_well() {
    for finding in Made::well("well").findings() {
        assert_eq!((finding.state, &finding.advice), (State::Ok, &None), "{finding:?}");
    }
}

#[test]
fn d2_of_an_empty_machine_nothing_is_found_well() {
    for finding in Made::empty("empty").findings() {
        let expected = match finding.name {
            "DPDK" => State::Fail,
            "devices" => State::Warn,
            // The file alone says it.
            _ => State::NotApplicable,
        };
        let lost = ["interface", "multicast route"].contains(&finding.name);
        assert!(finding.state == expected || (lost && finding.state != State::Ok), "{finding:?}");
    }
}

/// Each file in turn, with bytes of which a check can make nothing: it does not say that all is well because of them.
#[test]
fn d2_garbage_is_never_a_panic() {
    let made = Made::well("garbage");
    let long = "9".repeat(40);
    let garbage: [&[u8]; 7] = [
        b"",
        b"\xff\xfe\x00\x80",
        b"-1\n",
        b"18446744073709551615\n",
        long.as_bytes(),
        b"0-18446744073709551615,7-3\n",
        b"[ a b c\n\n0x 0xzz 1 2 3 4 5 6 7 8\n",
    ];
    for (path, text) in WELL {
        for bytes in garbage {
            made.put(path, bytes);
            let findings = made.findings();
            assert_eq!(findings.len(), CHECKS.len());
            report::text("node", &findings, BackEnd::Udp);
        }
        made.put(path, text.as_bytes());
    }
    for (path, target) in LINKS {
        made.link(path, "/");
        assert_eq!(made.findings().len(), CHECKS.len());
        made.link(path, target);
    }
}

#[test]
fn a_directory_where_a_file_should_be_says_nothing() {
    let made = Made::well("directory");
    made.remove("proc/mounts");
    fs::create_dir(made.path("proc/mounts")).unwrap();
    assert_eq!(made.find("hugetlbfs", "spin", "spin").state, State::NotApplicable);
}

#[test]
fn failures_count_for_the_back_end_asked_about() {
    let made = Made::well("counted");
    made.remove("usr");
    made.put("sys/class/net/eth1/flags", b"0x1002");
    let findings = made.findings();
    let counts = [BackEnd::Udp, BackEnd::Dpdk].map(|one| report::failures(&findings, one));
    assert_eq!(counts, [1, 1], "{findings:?}");
    made.put("sys/devices/system/cpu/online", b"0-2");
    let findings = made.findings();
    let counts = [BackEnd::Udp, BackEnd::Dpdk].map(|one| report::failures(&findings, one));
    assert_eq!(counts, [2, 2], "cores concern both");
    let text = report::text("node", &findings, BackEnd::Udp);
    assert!(text.contains("2 must be put right for node --udp") && text.contains("FAIL"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&report::json(&findings, BackEnd::Dpdk)).unwrap();
    assert_eq!((&json["for"], &json["failures"]), (&"dpdk".into(), &2.into()));
    let checks = json["checks"].as_array().unwrap();
    let dpdk = checks.iter().find(|check| check["name"] == "DPDK").unwrap();
    assert_eq!((&dpdk["state"], &dpdk["concerns"]), (&"fail".into(), &"dpdk".into()));
    let udp = examine(&made.asked(CLUSTER, &[]).machine, Some(BackEnd::Udp));
    assert!(udp.iter().all(|one| one.concerns != Concerns::Dpdk) && udp.len() < CHECKS.len());
}

#[test]
fn the_command_line_names_the_node() {
    let made = Made::well("line");
    let asked = made.asked(CLUSTER, &["--id", "2", "--cores", "0-1,3", "--for", "dpdk", "--json"]);
    let Subject { member, cores, .. } = asked.machine.subject;
    assert_eq!((member.unwrap().id.number(), cores), (2, vec![0, 1, 3]));
    assert_eq!((asked.only, asked.json), (Some(BackEnd::Dpdk), true));
    let asked = made.asked(CLUSTER, &[]);
    assert!(asked.machine.subject.member.is_none() && asked.only.is_none());
    assert_eq!(asked.machine.subject.cores, [2, 3]);
    let file = made.0.file("cluster.ron", CLUSTER);
    let file = file.to_str().unwrap();
    for (words, wrong) in [
        (&["--config", file, "--id", "9"][..], "--id 9: the file has none"),
        (&["--config", file, "--group", "x", "--id", "1"], "--group x --id 1: the file has none"),
        (&["--config", "/nowhere.ron"], "cannot be read"),
        (&["--cores", "2,x"], "--cores x: must be numbers"),
        (&["--id", "1"], "--config"),
        (&["--for", "rdma"], "invalid value"),
    ] {
        let read = args::read("node", words.iter().map(OsString::from));
        let error = read.unwrap_err().to_string();
        assert!(error.contains(wrong), "{words:?}: {error}");
    }
}
