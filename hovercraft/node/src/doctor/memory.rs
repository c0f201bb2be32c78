//! Memory: hugepages, their mount, transparent hugepages, memory that may be locked.

use super::host::{self, Capability};
use super::{Machine, Verdict, devices};

const PAGES: &str = "sys/kernel/mm/hugepages";
const NODES: &str = "sys/devices/system/node";
const TRANSPARENT: &str = "sys/kernel/mm/transparent_hugepage/enabled";
const LIMITS: &str = "proc/self/limits";

/// What a DPDK node locks, about: its mempools.
const LOCKED_MIN: u64 = 256 << 20;

const RESERVE: &str = "echo 512 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

/// Sizes of hugepages that the machine can have, with their directories' names.
fn sizes(machine: &Machine) -> Vec<(u64, String)> {
    let size = |name: &String| name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok();
    let names = machine.root.names(PAGES).into_iter();
    names.filter_map(|name| Some((size(&name)?, name))).collect()
}

/// 2M, 1G.
fn word(kib: u64) -> String {
    match kib {
        kib if kib >= 1 << 20 => format!("{}G", kib >> 20),
        kib => format!("{}M", kib >> 10),
    }
}

/// Whether some are reserved, some free, and on the node's own NUMA nodes.
pub(super) fn hugepages(machine: &Machine) -> Verdict {
    let root = &machine.root;
    let count = |place: &str, what: &str| root.number(&format!("{place}/{what}_hugepages"));
    let (mut parts, mut reserved, mut free) = (Vec::new(), 0_u64, 0_u64);
    for (kib, name) in sizes(machine) {
        let place = format!("{PAGES}/{name}");
        let (Some(all), Some(unused)) = (count(&place, "nr"), count(&place, "free")) else {
            return Verdict::unreadable(&place);
        };
        (reserved, free) = (all.saturating_add(reserved), unused.saturating_add(free));
        let mut part = format!("{}: {unused} of {all} free", word(kib));
        for node in numa_nodes(machine) {
            let place = format!("{NODES}/node{node}/hugepages/{name}");
            if let Some(own) = count(&place, "nr").filter(|_| all > 0) {
                part += &format!(", node {node} {own}");
            }
        }
        parts.push(part);
    }
    let found = parts.join("; ");
    if parts.is_empty() {
        return Verdict::unreadable(PAGES);
    }
    let lonely = nodes_of_cores(machine).into_iter().find(|node| {
        let place = |(_, name): &(u64, String)| format!("{NODES}/node{node}/hugepages/{name}");
        let known = sizes(machine).iter().any(|size| count(&place(size), "nr").is_some());
        known && sizes(machine).iter().all(|size| count(&place(size), "nr").unwrap_or(0) == 0)
    });
    match (reserved, free, lonely) {
        (0, ..) if devices::any_bound(machine) => {
            Verdict::fail(format!("none reserved ({found})"), RESERVE)
        }
        (0, ..) => Verdict::warn(
            format!("none reserved ({found})"),
            format!(
                "{RESERVE}   (or start with --no-huge: slower, and enough for virtual devices)"
            ),
        ),
        (_, 0, _) => Verdict::warn(
            format!("all are in use ({found})"),
            "rm /dev/hugepages/*map_*   (what killed processes left), or reserve more",
        ),
        (.., Some(node)) => Verdict::warn(
            format!("none on NUMA node {node}, where the node's cores are ({found})"),
            format!("echo 512 > /{NODES}/node{node}/hugepages/hugepages-2048kB/nr_hugepages"),
        ),
        _ => Verdict::ok(found),
    }
}

/// Whether hugetlbfs is mounted, for pages that there are.
pub(super) fn mount(machine: &Machine) -> Verdict {
    let Some(mounts) = machine.root.text("proc/mounts") else {
        return Verdict::unreadable("proc/mounts");
    };
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let place = words.next()?;
        (words.next()? == "hugetlbfs").then(|| place.to_owned())
    });
    let places: Vec<String> = mounts.collect();
    if places.is_empty() {
        let advice = "mkdir -p /dev/hugepages && mount -t hugetlbfs nodev /dev/hugepages   (or start with --in-memory)";
        return Verdict::warn("not mounted", advice);
    }
    Verdict::ok(format!("mounted on {}", places.join(", ")))
}

/// Whether VFIO may pin what it maps.
pub(super) fn locked(machine: &Machine) -> Verdict {
    let Some(line) = machine.root.field(LIMITS, "Max locked memory") else {
        return Verdict::unreadable(LIMITS);
    };
    let soft = line.split_whitespace().next().unwrap_or_default().to_owned();
    let bytes = soft.parse::<u64>().ok();
    let unbound = host::may(machine, Capability::IpcLock) == Some(true);
    match bytes {
        _ if soft == "unlimited" => Verdict::ok("unlimited"),
        None => Verdict::unreadable(LIMITS),
        Some(bytes) if unbound => {
            Verdict::ok(format!("{} MiB, and CAP_IPC_LOCK lifts it", bytes >> 20))
        }
        Some(bytes) if bytes >= LOCKED_MIN => Verdict::ok(format!("{} MiB", bytes >> 20)),
        Some(bytes) => {
            let found = format!("{} MiB: VFIO cannot map a node's buffers", bytes >> 20);
            let advice = "ulimit -l unlimited   (systemd: LimitMEMLOCK=infinity)";
            match devices::any_bound(machine) {
                true => Verdict::fail(found, advice),
                false => Verdict::warn(found, advice),
            }
        }
    }
}

/// Whether the kernel makes hugepages behind a node's back.
pub(super) fn transparent(machine: &Machine) -> Verdict {
    let Some(text) = machine.root.text(TRANSPARENT) else {
        return Verdict::unreadable(TRANSPARENT);
    };
    let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    match chosen.map(|(chosen, _)| chosen) {
        Some("always") => Verdict::warn(
            "always: khugepaged may stop a thread for milliseconds while it copies",
            format!("echo madvise > /{TRANSPARENT}"),
        ),
        Some(chosen @ ("madvise" | "never")) => Verdict::ok(chosen),
        _ => Verdict::unreadable(TRANSPARENT),
    }
}

/// NUMA nodes of the machine.
fn numa_nodes(machine: &Machine) -> Vec<usize> {
    machine.root.cores(&format!("{NODES}/online")).into_iter().flatten().collect()
}

/// NUMA nodes that the node's cores are on, in order.
pub(super) fn nodes_of_cores(machine: &Machine) -> Vec<usize> {
    let has = |node: &usize| {
        let cores = machine.root.cores(&format!("{NODES}/node{node}/cpulist")).unwrap_or_default();
        machine.subject.cores.iter().any(|core| cores.contains(core))
    };
    numa_nodes(machine).into_iter().filter(has).collect()
}
