//! The machine itself: clock, capabilities, virtualisation.

use super::{Machine, Verdict};

const SOURCES: &str = "sys/devices/system/clocksource/clocksource0";
const CPUS: &str = "proc/cpuinfo";
const STATUS: &str = "proc/self/status";

/// Bits of capabilities(7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Capability {
    NetAdmin = 12,
    NetRaw = 13,
    IpcLock = 14,
}

impl Capability {
    const ALL: [Self; 3] = [Self::NetAdmin, Self::NetRaw, Self::IpcLock];

    fn name(self) -> &'static str {
        match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
            Self::IpcLock => "CAP_IPC_LOCK",
        }
    }
}

/// Whether whoever runs this has a capability; `None` when that cannot be read.
pub(super) fn may(machine: &Machine, capability: Capability) -> Option<bool> {
    let effective = machine.root.field(STATUS, "CapEff")?;
    let bits = u64::from_str_radix(&effective, 16).ok()?;
    Some(bits >> (capability as u32) & 1 == 1)
}

/// Whether whoever runs this may do what DPDK does.
pub(super) fn capabilities(machine: &Machine) -> Verdict {
    let has: Option<Vec<bool>> = Capability::ALL.iter().map(|&one| may(machine, one)).collect();
    let Some(has) = has else { return Verdict::unreadable(STATUS) };
    let user = machine.root.field(STATUS, "Uid").unwrap_or_default();
    let user = user.split_whitespace().next().unwrap_or("?").to_owned();
    let who = if user == "0" { "root".to_owned() } else { format!("user {user}") };
    let each = Capability::ALL.iter().zip(has);
    let lacks: Vec<&str> = each.filter(|(_, has)| !has).map(|(one, _)| one.name()).collect();
    let setcap = "setcap cap_net_raw,cap_net_admin,cap_ipc_lock+ep $(command -v hovercraft-node)   (systemd: AmbientCapabilities=)";
    match lacks.as_slice() {
        [] => Verdict::ok(format!("{who}, with CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK")),
        ["CAP_NET_ADMIN"] => {
            Verdict::warn(format!("{who}, without CAP_NET_ADMIN: no tap, no af_xdp"), setcap)
        }
        lacks => Verdict::fail(format!("{who}, without {}", lacks.join(", ")), setcap),
    }
}

/// Flags of the first core.
fn flags(machine: &Machine) -> Option<Vec<String>> {
    let flags = machine.root.field(CPUS, "flags")?;
    Some(flags.split_whitespace().map(str::to_owned).collect())
}

/// Whether time is read without a system call, from a counter that never stops. The wall clock, and so NTP, decides nothing.
pub(super) fn clock(machine: &Machine) -> Verdict {
    let current = format!("{SOURCES}/current_clocksource");
    let Some(source) = machine.root.text(&current).filter(|source| !source.is_empty()) else {
        return Verdict::unreadable(&current);
    };
    let available = machine.root.text(&format!("{SOURCES}/available_clocksource"));
    let has_tsc = available.is_some_and(|all| all.split_whitespace().any(|one| one == "tsc"));
    let flags = flags(machine);
    let steady = flags.as_ref().map(|flags| {
        ["constant_tsc", "nonstop_tsc"].iter().all(|flag| flags.iter().any(|one| one == flag))
    });
    match (source.as_str(), steady) {
        // Other processors have counters of their own, which never stop.
        ("arch_sys_counter", _) => Verdict::ok("arch_sys_counter; the wall clock decides nothing"),
        ("tsc", Some(true)) => {
            Verdict::ok("tsc, invariant; the wall clock, and so NTP, decides nothing")
        }
        ("tsc", Some(false)) => Verdict::warn(
            "tsc, but the processor says neither constant_tsc nor nonstop_tsc, or only one of them",
            "forbid deep sleep: intel_idle.max_cstate=1 processor.max_cstate=1 on the kernel's command line",
        ),
        ("tsc", None) => Verdict::unreadable(CPUS),
        ("kvm-clock" | "hyperv_clocksource_tsc_page", _) => Verdict::ok(format!(
            "{source}, read without a system call; the wall clock decides nothing"
        )),
        (slow, _) if has_tsc => Verdict::warn(
            format!("{slow}: each look at the clock is a system call"),
            format!("echo tsc > /{current}"),
        ),
        (slow, _) => Verdict::warn(
            format!(
                "{slow}: each look at the clock is a system call, and the kernel does not trust the tsc"
            ),
            "look for `tsc` in dmesg: a firmware update, or tsc=reliable on the kernel's command line where you know better",
        ),
    }
}

/// Whether figures measured here are this machine's alone.
pub(super) fn virtualisation(machine: &Machine) -> Verdict {
    let Some(flags) = flags(machine) else { return Verdict::unreadable(CPUS) };
    let vendor = machine.root.text("sys/class/dmi/id/sys_vendor").filter(|name| !name.is_empty());
    if flags.iter().any(|flag| flag == "hypervisor") {
        let whose = vendor.map_or_else(String::new, |vendor| format!(" ({vendor})"));
        return Verdict::ok(format!(
            "a virtual machine{whose}: it runs; its latency is its host's, too, so measure elsewhere"
        ));
    }
    Verdict::ok("none")
}
