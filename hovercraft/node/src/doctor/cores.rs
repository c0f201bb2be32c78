//! Cores of the node: that there are any, that nobody else wants them, and what its threads do on them when idle.

use std::collections::BTreeSet;

use hovercraft_config::{Idle, Threads};

use super::{Machine, Verdict, list};
use crate::words;

const CPUS: &str = "sys/devices/system/cpu";

const UNKNOWN: &str = "which cores the node has is not known: give --config or --cores";

fn online(machine: &Machine) -> Option<BTreeSet<usize>> {
    machine.root.cores(&format!("{CPUS}/online")).filter(|cores| !cores.is_empty())
}

/// Cores of the node's threads, each once.
fn own(machine: &Machine) -> BTreeSet<usize> {
    machine.subject.cores.iter().copied().collect()
}

/// Threads of the node that never wait for long; two unless the file says otherwise.
fn threads(machine: &Machine) -> usize {
    let group = machine.subject.group.as_ref();
    let inline = group.is_some_and(|group| group.node.threads == Threads::Inline);
    if inline { 1 } else { 2 }
}

/// Whether the node's cores are there, each for one thread.
pub(super) fn exist(machine: &Machine) -> Verdict {
    let Some(online) = online(machine) else {
        return Verdict::unreadable("sys/devices/system/cpu/online");
    };
    let (given, own) = (&machine.subject.cores, own(machine));
    let here = list(&online);
    if given.is_empty() {
        return Verdict::not_applicable(format!("this machine has {here}; {UNKNOWN}"));
    }
    let missing: BTreeSet<usize> = own.difference(&online).copied().collect();
    if !missing.is_empty() {
        return Verdict::fail(
            format!("the node wants {}; this machine has {here}", list(&missing)),
            format!(
                "cores: {:?} in cluster.ron, or -l before `--`",
                online.iter().take(threads(machine)).collect::<Vec<_>>()
            ),
        );
    }
    if own.len() < given.len() {
        return Verdict::fail(
            format!("{given:?} names a core twice"),
            "give each thread a core of its own, or threads: inline",
        );
    }
    Verdict::ok(format!("{} of {here}", list(&own)))
}

/// A list of cores in the kernel's command line: its last word of this name, flags in front left out.
fn told(machine: &Machine, name: &str) -> BTreeSet<usize> {
    let line = machine.root.text("proc/cmdline").unwrap_or_default();
    let value =
        line.split_whitespace().rev().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let digits = value.into_iter().flat_map(|value| value.split(','));
    let digits: Vec<&str> =
        digits.filter(|part| part.starts_with(|c: char| c.is_ascii_digit())).collect();
    crate::threads::parse_cores(&digits.join(",")).unwrap_or_default()
}

/// Whether the scheduler, its tick and RCU's callbacks leave the node's cores alone.
pub(super) fn isolation(machine: &Machine) -> Verdict {
    let own = own(machine);
    if own.is_empty() {
        return Verdict::not_applicable(UNKNOWN);
    }
    let isolated = machine.root.cores(&format!("{CPUS}/isolated"));
    let Some(isolated) = isolated else {
        return Verdict::unreadable("sys/devices/system/cpu/isolated");
    };
    let ticks = machine.root.cores(&format!("{CPUS}/nohz_full"));
    let ticks = ticks.unwrap_or_else(|| told(machine, "nohz_full"));
    let callbacks = told(machine, "rcu_nocbs");
    let lacks = [("isolcpus", &isolated), ("nohz_full", &ticks), ("rcu_nocbs", &callbacks)];
    let lacks = lacks.into_iter().filter(|(_, cores)| !own.is_subset(cores));
    let lacks: Vec<&str> = lacks.map(|(name, _)| name).collect();
    let cores = list(&own);
    if lacks.is_empty() {
        return Verdict::ok(format!("{cores} by isolcpus, nohz_full and rcu_nocbs"));
    }
    Verdict::warn(
        format!("{cores}: not by {}: others run there, too", lacks.join(", ")),
        format!(
            "isolcpus=managed_irq,domain,{cores} nohz_full={cores} rcu_nocbs={cores} on the kernel's command line, then reboot"
        ),
    )
}

/// Whether a hardware thread beside one of the node's slows it down.
pub(super) fn siblings(machine: &Machine) -> Verdict {
    let own = own(machine);
    if own.is_empty() {
        return Verdict::not_applicable(UNKNOWN);
    }
    let isolated = machine.root.cores(&format!("{CPUS}/isolated")).unwrap_or_default();
    let online = online(machine).unwrap_or_default();
    let mut known = false;
    for &core in &own {
        let file = format!("{CPUS}/cpu{core}/topology/thread_siblings_list");
        let Some(mut beside) = machine.root.cores(&file) else { continue };
        known = true;
        beside.remove(&core);
        let takes = |sibling: &&usize| own.contains(sibling) || !isolated.contains(sibling);
        if let Some(sibling) = beside.intersection(&online).find(takes) {
            let who = if own.contains(sibling) { "another of the node's" } else { "everybody's" };
            return Verdict::warn(
                format!("core {core} shares its hardware with core {sibling}, {who}"),
                format!("echo 0 > /{CPUS}/cpu{sibling}/online   (or choose another core)"),
            );
        }
    }
    if known {
        Verdict::ok("no core shares its hardware with a busy one")
    } else {
        Verdict::unreadable("sys/devices/system/cpu/cpu*/topology/thread_siblings_list")
    }
}

/// Whether cores run at full speed.
pub(super) fn governor(machine: &Machine) -> Verdict {
    let cores = Some(own(machine)).filter(|own| !own.is_empty()).or_else(|| online(machine));
    let governors = cores.into_iter().flatten().filter_map(|core| {
        let file = format!("{CPUS}/cpu{core}/cpufreq/scaling_governor");
        Some((core, machine.root.text(&file).filter(|name| !name.is_empty())?))
    });
    let governors: Vec<(usize, String)> = governors.collect();
    match governors.iter().find(|(_, name)| name != "performance") {
        _ if governors.is_empty() => {
            Verdict::not_applicable("the kernel does not choose the frequency here")
        }
        Some((core, name)) => Verdict::warn(
            format!("{name} on core {core}: it slows down between requests"),
            format!(
                "echo performance | tee /{CPUS}/cpu*/cpufreq/scaling_governor   (or tuned-adm profile network-latency)"
            ),
        ),
        None => Verdict::ok("performance"),
    }
}

/// Whether the idle policy suits the cores that there are.
pub(super) fn idle(machine: &Machine) -> Verdict {
    let Some(group) = &machine.subject.group else {
        return Verdict::not_applicable(
            "which idle policy the node has is not known: give --config",
        );
    };
    let Some(online) = online(machine) else {
        return Verdict::unreadable("sys/devices/system/cpu/online");
    };
    let (threads, own) = (threads(machine), own(machine));
    let isolated = machine.root.cores(&format!("{CPUS}/isolated")).unwrap_or_default();
    let alone = own.len() >= threads && own.is_subset(&isolated);
    let name = words::idle(group.node.idle);
    let yields =
        "idle: auto in cluster.ron   (spins on a core of one's own, else yields), or idle: sleep";
    match group.node.idle {
        Idle::Spin if online.len() < threads || (!own.is_empty() && own.len() < threads) => {
            Verdict::warn(
                format!(
                    "spin with {threads} threads on fewer cores: each waits for the other's slice"
                ),
                format!("threads: inline, or {yields}"),
            )
        }
        Idle::Spin if !alone => Verdict::warn(
            "spin on cores that others use, too: whoever waits there waits a slice of milliseconds",
            yields,
        ),
        Idle::Sleep if alone => Verdict::warn(
            "sleep on cores of one's own: each wake costs tens of microseconds",
            "idle: spin, or idle: auto, in cluster.ron",
        ),
        _ => Verdict::ok(format!("{name}, {threads} threads, {} cores", online.len())),
    }
}
