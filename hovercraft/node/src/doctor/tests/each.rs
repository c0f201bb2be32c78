//! Each check where something is not well: its state, and the words by which an operator knows what to do.

use super::*;

/// What is changed: a file's text, a link's target, a path that goes.
enum Change {
    Put(&'static str, &'static str),
    Link(&'static str, &'static str),
    Remove(&'static str),
}
use Change::{Link, Put, Remove};

const CPU: &str = "sys/devices/system/cpu";

/// On a machine where all is well but for these changes, the check says so.
fn says(name: &str, changes: &[Change], state: State, words: &str) {
    says_of(name, ("idle: spin", "idle: spin"), changes, state, words);
}

/// The same with other words in the node's file.
fn says_of(name: &str, words: (&str, &str), changes: &[Change], state: State, expected: &str) {
    let made = Made::well("each");
    for change in changes {
        match change {
            Put(path, text) => made.put(path, text.as_bytes()),
            Link(path, target) => made.link(path, target),
            Remove(path) => made.remove(path),
        }
    }
    let finding = made.find(name, words.0, words.1);
    let text = format!("{} -> {}", finding.found, finding.advice.as_deref().unwrap_or("nothing"));
    assert!(
        finding.state == state && text.contains(expected),
        "{name}: {finding:?}, not {expected}"
    );
    let asks = matches!(state, State::Warn | State::Fail);
    assert_eq!(finding.advice.is_some(), asks, "who complains says what to do: {finding:?}");
}

#[test]
fn memory() {
    const HUGE: &str = "sys/kernel/mm/hugepages";
    let none = || Put("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0");
    let free = || Put("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0");
    says("hugepages", &[], State::Ok, "2M: 500 of 512 free, node 0 0, node 1 512");
    says("hugepages", &[none(), free()], State::Fail, "echo 512 > /sys/kernel/mm");
    let virtual_only = Link("sys/bus/pci/devices/0000:01:00.0/driver", "../ixgbe");
    says("hugepages", &[none(), free(), virtual_only], State::Warn, "--no-huge");
    says("hugepages", &[free()], State::Warn, "all are in use");
    let far = "sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages";
    says("hugepages", &[Put(far, "0")], State::Warn, "node1/hugepages");
    says("hugepages", &[Remove(HUGE)], State::NotApplicable, "sys/kernel/mm/hugepages");
    says("hugepages", &[Remove("sys/devices/system/node")], State::Ok, "500 of 512");
    let big = "sys/kernel/mm/hugepages/hugepages-1048576kB/";
    let big = [format!("{big}nr_hugepages"), format!("{big}free_hugepages")];
    let made = Made::well("big");
    big.iter().for_each(|path| made.put(path, b"4"));
    let found = made.find("hugepages", "spin", "spin").found;
    assert!(found.contains("1G: 4 of 4 free") && found.contains("2M: 500"), "{found}");
    says(
        "hugetlbfs",
        &[Put("proc/mounts", "proc /proc proc rw 0 0")],
        State::Warn,
        "mount -t hugetlbfs",
    );
    says("hugetlbfs", &[Remove("proc/mounts")], State::NotApplicable, "proc/mounts");
    let limit = |text| Put("proc/self/limits", text);
    let nobody = || Put("proc/self/status", "Uid:\t1000\t1000\nCapEff:\t0000000000000000");
    let small =
        || limit("Max locked memory         65536                65536                bytes");
    says("locked memory", &[small(), nobody()], State::Fail, "ulimit -l unlimited");
    let driver = "sys/bus/pci/devices/0000:01:00.0/driver";
    says(
        "locked memory",
        &[small(), nobody(), Link(driver, "../ixgbe")],
        State::Warn,
        "LimitMEMLOCK",
    );
    says("locked memory", &[small()], State::Ok, "CAP_IPC_LOCK lifts it");
    let enough = limit("Max locked memory         1073741824           1073741824           bytes");
    says("locked memory", &[enough, nobody()], State::Ok, "1024 MiB");
    says("locked memory", &[limit("Max locked memory many")], State::NotApplicable, "limits");
    let made = |text| Put("sys/kernel/mm/transparent_hugepage/enabled", text);
    says("transparent hugepages", &[made("[always] madvise never")], State::Warn, "echo madvise >");
    says("transparent hugepages", &[made("always madvise [never]")], State::Ok, "never");
    says("transparent hugepages", &[made("[sometimes]")], State::NotApplicable, "sensible");
}

#[test]
fn host() {
    let flags = |text| Put("proc/cpuinfo", text);
    says(
        "virtualisation",
        &[flags("flags\t: hypervisor")],
        State::Ok,
        "virtual machine (Nobody Inc.)",
    );
    says("virtualisation", &[Remove("proc/cpuinfo")], State::NotApplicable, "cpuinfo");
    let source =
        |text| Put("sys/devices/system/clocksource/clocksource0/current_clocksource", text);
    let others =
        |text| Put("sys/devices/system/clocksource/clocksource0/available_clocksource", text);
    says("clock", &[source("hpet")], State::Warn, "echo tsc > /sys/devices/system/clocksource");
    says("clock", &[source("hpet"), others("hpet acpi_pm")], State::Warn, "dmesg");
    says("clock", &[source("kvm-clock")], State::Ok, "kvm-clock");
    says("clock", &[source("arch_sys_counter"), flags("")], State::Ok, "arch_sys_counter");
    says("clock", &[flags("flags\t: constant_tsc")], State::Warn, "max_cstate=1");
    says("clock", &[flags("what")], State::NotApplicable, "cpuinfo");
    says("clock", &[source("")], State::NotApplicable, "current_clocksource");
    let status = |text| Put("proc/self/status", text);
    let setcap = "setcap cap_net_raw,cap_net_admin,cap_ipc_lock+ep";
    says("capabilities", &[status("Uid:\t1000\nCapEff:\t0")], State::Fail, setcap);
    says(
        "capabilities",
        &[status("Uid:\t1000\nCapEff:\t0000000000003000")],
        State::Fail,
        "user 1000, without CAP_IPC_LOCK",
    );
    says(
        "capabilities",
        &[status("Uid:\t1000\nCapEff:\t0000000000006000")],
        State::Warn,
        "without CAP_NET_ADMIN",
    );
    says(
        "capabilities",
        &[status("Uid:\t1000\nCapEff:\t0000000000007000")],
        State::Ok,
        "user 1000",
    );
    says("capabilities", &[status("CapEff:\tzz")], State::NotApplicable, "status");
}

#[test]
fn devices() {
    const CARD: &str = "sys/bus/pci/devices/0000:01:00.0/driver";
    let pmds = "usr/lib/x86_64-linux-gnu/dpdk";
    let package = "usr/lib/x86_64-linux-gnu/pkgconfig/libdpdk.pc";
    says("DPDK", &[Remove("usr")], State::Fail, "apt-get install dpdk libdpdk-dev");
    says("DPDK", &[Remove(pmds)], State::Fail, "22.11.11 without network drivers");
    says("DPDK", &[Remove(package)], State::Ok, "unknown release");
    says("DPDK", &[Put(package, "nothing")], State::Ok, "unknown release");
    says(
        "VFIO",
        &[Remove("sys/bus/pci/devices/0000:01:00.0")],
        State::NotApplicable,
        "no network device",
    );
    let group = || Remove("sys/bus/pci/devices/0000:01:00.0/iommu_group");
    says(
        "VFIO",
        &[group()],
        State::Fail,
        "0000:01:00.0 is bound to vfio-pci and in no IOMMU group",
    );
    let unsafely = || Put("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
    let groups = || Remove("sys/kernel/iommu_groups");
    says("VFIO", &[group(), groups(), unsafely()], State::Ok, "without an IOMMU");
    says("VFIO", &[groups(), Link(CARD, "../ixgbe")], State::Warn, "intel_iommu=on iommu=pt");
    says("VFIO", &[Remove("sys/module/vfio_pci")], State::Warn, "modprobe vfio-pci");
    says("devices", &[], State::Ok, "0000:01:00.0 vfio-pci on NUMA node 1");
    says("devices", &[Link(CARD, "../mlx5_core")], State::Ok, "mlx5_core");
    says(
        "devices",
        &[Link(CARD, "../ixgbe")],
        State::Warn,
        "dpdk-devbind.py --bind=vfio-pci 0000:01:00.0",
    );
    says("devices", &[Remove(CARD)], State::Warn, "0000:01:00.0 no driver");
    says("devices", &[Remove("sys/bus/pci")], State::Warn, "net_af_packet0");
    let numa = |text| Put("sys/bus/pci/devices/0000:01:00.0/numa_node", text);
    says("NUMA", &[numa("0")], State::Warn, "node0/cpulist");
    says("NUMA", &[numa("-1")], State::NotApplicable, "no device");
    says("NUMA", &[Remove("sys/devices/system/node")], State::NotApplicable, "not known");
    says_of("NUMA", ("cores: [2, 3], ", ""), &[], State::NotApplicable, "--cores");
}

#[test]
fn cores() {
    let without = ("cores: [2, 3], ", "");
    for name in ["cores", "isolation", "siblings"] {
        says_of(name, without, &[], State::NotApplicable, "--cores");
    }
    let online = |text| Put("sys/devices/system/cpu/online", text);
    says("cores", &[online("0-2")], State::Fail, "the node wants 3; this machine has 0,1,2");
    says("cores", &[online("")], State::NotApplicable, "cpu/online");
    let isolated = |text| Put("sys/devices/system/cpu/isolated", text);
    says("isolation", &[isolated("3")], State::Warn, "2,3: not by isolcpus: others");
    says(
        "isolation",
        &[Put("sys/devices/system/cpu/nohz_full", "")],
        State::Warn,
        "not by nohz_full",
    );
    says("isolation", &[Remove("sys/devices/system/cpu/nohz_full")], State::Ok, "nohz_full");
    says(
        "isolation",
        &[Put("proc/cmdline", "quiet")],
        State::Warn,
        "rcu_nocbs=2,3 on the kernel's",
    );
    says(
        "isolation",
        &[Remove("sys/devices/system/cpu/isolated")],
        State::NotApplicable,
        "isolated",
    );
    let beside = |text| Put("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", text);
    says("siblings", &[beside("2-3")], State::Warn, "core 3, another of the node's");
    says("siblings", &[beside("0,2")], State::Warn, "echo 0 > /sys/devices/system/cpu/cpu0/online");
    says("siblings", &[beside("2,7")], State::Ok, "");
    let topologies = ["cpu2/topology", "cpu3/topology"].map(|one| format!("{CPU}/{one}"));
    let made = Made::well("topology");
    topologies.iter().for_each(|path| made.remove(path));
    assert_eq!(made.find("siblings", "spin", "spin").state, State::NotApplicable);
    let governor = |text| Put("sys/devices/system/cpu/cpu3/cpufreq/scaling_governor", text);
    says("governor", &[governor("powersave")], State::Warn, "powersave on core 3");
    says("governor", &[governor("")], State::Ok, "performance");
    ["cpu2/cpufreq", "cpu3/cpufreq"].iter().for_each(|path| made.remove(&format!("{CPU}/{path}")));
    assert_eq!(made.find("governor", "spin", "spin").state, State::NotApplicable);
    says("idle policy", &[online("2")], State::Warn, "spin with 2 threads on fewer cores");
    says_of(
        "idle policy",
        ("cores: [2, 3]", "threads: inline, cores: [2]"),
        &[online("2")],
        State::Ok,
        "1 threads",
    );
    says("idle policy", &[isolated("")], State::Warn, "idle: auto in cluster.ron");
    says_of("idle policy", without, &[], State::Warn, "spin on cores that others use");
    says_of("idle policy", ("spin", "sleep"), &[], State::Warn, "idle: spin, or idle: auto");
    says_of("idle policy", ("spin", "yield"), &[isolated("")], State::Ok, "yield");
    let made = Made::well("nobody");
    let words = ["--root", made.0.0.to_str().unwrap()].map(OsString::from);
    let asked = args::read("node", words).unwrap();
    let nobody = examine(&asked.machine, None);
    let idle = nobody.iter().find(|one| one.name == "idle policy").unwrap();
    assert_eq!(idle.state, State::NotApplicable);
}

#[test]
fn network() {
    const ROUTES: &str = "proc/net/route";
    let head = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT";
    let elsewhere = "head\neth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
    says(
        "interface",
        &[Put(ROUTES, elsewhere)],
        State::Fail,
        "no interface is in the network of 10.0.0.1",
    );
    says("interface", &[Put(ROUTES, head)], State::Fail, "ip address add 10.0.0.1/24");
    let flags = |text| Put("sys/class/net/eth1/flags", text);
    says("interface", &[flags("0x1002")], State::Fail, "ip link set eth1 up");
    says("interface", &[flags("up")], State::NotApplicable, "eth1/flags");
    says("multicast", &[flags("0x3")], State::Fail, "ip link set eth1 multicast on");
    says("multicast", &[flags("")], State::NotApplicable, "eth1/flags");
    says("multicast", &[Put(ROUTES, elsewhere)], State::NotApplicable, "no interface");
    let local = ("10.0.0.1:8100", "127.0.0.1:8100");
    says_of("multicast", local, &[], State::Ok, "loopback");
    says_of("multicast route", local, &[], State::Ok, "loopback");
    let raft = ("mode: hovercraft, multicast: \"239.255.71.7:8100\"", "mode: raft");
    says_of("multicast", raft, &[], State::NotApplicable, "mode hovercraft");
    says_of("multicast route", raft, &[], State::NotApplicable, "mode hovercraft");
    says("multicast route", &[], State::Ok, "239.255.71.7 by eth1");
    let by_default = "head\neth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n\
                      eth1 0000000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
    says(
        "multicast route",
        &[Put(ROUTES, by_default)],
        State::Warn,
        "leads to eth0, the node is on eth1",
    );
    let alone = "head\neth1 0000000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n";
    says(
        "multicast route",
        &[Put(ROUTES, alone)],
        State::Warn,
        "ip route add 239.255.71.7/32 dev eth1",
    );
    says("multicast route", &[Remove(ROUTES)], State::NotApplicable, "proc/net/route");
    let joined = |text| Put("proc/sys/net/ipv4/igmp_max_memberships", text);
    says("memberships", &[joined("0")], State::Fail, "sysctl -w net.ipv4.igmp_max_memberships=20");
    says("memberships", &[joined("many")], State::NotApplicable, "igmp_max_memberships");
    let all = |text| Put("proc/sys/net/ipv4/conf/all/rp_filter", text);
    let own = |text| Put("proc/sys/net/ipv4/conf/eth1/rp_filter", text);
    says("reverse path", &[own("1")], State::Warn, "net.ipv4.conf.eth1.rp_filter=2");
    says("reverse path", &[all("1"), own("0")], State::Warn, "strict");
    says("reverse path", &[all("1"), own("2")], State::Ok, "loose");
    says("reverse path", &[own("0")], State::Ok, "off");
    says("reverse path", &[all("")], State::NotApplicable, "all/rp_filter");
    let mtu = |text| Put("sys/class/net/eth1/mtu", text);
    says("MTU", &[mtu("1499")], State::Warn, "ip link set eth1 mtu 1500");
    says("MTU", &[mtu("-1")], State::NotApplicable, "eth1/mtu");
    says("MTU", &[Put(ROUTES, elsewhere)], State::NotApplicable, "the kernel has no interface");
    let most = |text| Put("proc/sys/net/core/rmem_max", text);
    let nobody = || Put("proc/self/status", "Uid:\t1000\nCapEff:\t0");
    says(
        "socket buffers",
        &[most("212992"), nobody()],
        State::Warn,
        "sysctl -w net.core.rmem_max=",
    );
    says("socket buffers", &[most("212992")], State::Ok, "CAP_NET_ADMIN lets it have them");
    says("socket buffers", &[nobody()], State::Ok, "32768 KiB");
    says("socket buffers", &[most("x")], State::NotApplicable, "rmem_max");
}
