//! What EAL arguments ask of the machine, and what to say when the machine has not got it.
//!
//! EAL itself answers "lcore 2 unavailable" or "Cannot get hugepage information", and leaves the way out to its reader.
//! So the arguments that depend on the machine are looked at first; everything else is EAL's to judge.

use super::error::EalError;
use super::machine::Machine;

/// The arguments that depend on the machine.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Arguments {
    /// Logical cores and the processors each may run on, with the option that named them.
    cores: Option<(String, Vec<Core>)>,
    no_huge: bool,
    in_memory: bool,
    /// Megabytes of `-m`.
    memory: Option<u64>,
}

/// One logical core.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Core {
    id: u32,
    cpus: Vec<u32>,
}

impl Arguments {
    /// Reads what can be read; what is malformed is EAL's to refuse.
    pub(super) fn read(arguments: &[String]) -> Self {
        let mut read = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--no-huge" => read.no_huge = true,
                "--in-memory" => read.in_memory = true,
                _ => {}
            }
            let mut value_of = |short: &str, long: &str| -> Option<String> {
                if argument == short || argument == long {
                    return rest.next().cloned();
                }
                if let Some(value) = argument.strip_prefix(&format!("{long}=")) {
                    return Some(value.to_owned());
                }
                let attached = argument.strip_prefix(short).filter(|_| short != "--");
                attached.filter(|value| !value.is_empty()).map(str::to_owned)
            };
            if let Some(list) = value_of("-l", "--") {
                let cores = list_of(&list).into_iter().map(|id| Core { id, cpus: vec![id] });
                read.cores = Some((format!("-l {list}"), cores.collect()));
            } else if let Some(mask) = value_of("-c", "--") {
                read.cores = Some((format!("-c {mask}"), cores_of_mask(&mask)));
            } else if let Some(map) = value_of("--", "--lcores") {
                read.cores = Some((format!("--lcores '{map}'"), cores_of_map(&map)));
            } else if let Some(megabytes) = value_of("-m", "--") {
                read.memory = megabytes.parse().ok();
            }
        }
        read
    }

    /// Refuses what the machine has not got, with a line that works on it.
    pub(super) fn check(&self, machine: &Machine) -> Result<(), EalError> {
        self.check_cores(machine)?;
        self.check_memory(machine)
    }

    fn check_cores(&self, machine: &Machine) -> Result<(), EalError> {
        let Some((asked, cores)) = &self.cores else { return Ok(()) };
        let is_missing = |cpu: &&u32| !machine.cpus.contains(*cpu);
        let missing: Vec<u32> =
            cores.iter().flat_map(|core| core.cpus.iter().filter(is_missing)).copied().collect();
        if missing.is_empty() || machine.cpus.is_empty() {
            return Ok(());
        }
        let place = |(core, cpu): (&Core, &u32)| format!("{}@{cpu}", core.id);
        let works: Vec<String> = cores.iter().zip(machine.cpus.iter().cycle()).map(place).collect();
        Err(EalError::Cores {
            asked: asked.clone(),
            missing: ranges(&missing),
            present: ranges(&machine.cpus),
            works: format!("--lcores '{}'", works.join(",")),
        })
    }

    fn check_memory(&self, machine: &Machine) -> Result<(), EalError> {
        if self.no_huge && self.in_memory {
            return Err(EalError::BothMemories);
        }
        let megabytes = self.memory.unwrap_or(0);
        if self.no_huge {
            if megabytes > machine.memory_megabytes {
                return Err(EalError::Memory {
                    asked: megabytes,
                    present: machine.memory_megabytes,
                });
            }
            return Ok(());
        }
        if machine.huge_megabytes_free == 0 || machine.huge_megabytes_free < megabytes {
            return Err(EalError::HugePages {
                asked: megabytes,
                free: machine.huge_megabytes_free,
                needed: megabytes.max(DEFAULT_MEGABYTES),
                pages: megabytes.max(DEFAULT_MEGABYTES).div_ceil(2),
            });
        }
        if !self.in_memory && !machine.huge_is_mounted {
            return Err(EalError::NotMounted);
        }
        Ok(())
    }
}

/// What one node takes, amply, in a remedy for someone who named no number.
const DEFAULT_MEGABYTES: u64 = 512;

/// `0-3,8` as numbers.
fn list_of(list: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(from), Ok(to)) = (from.trim().parse::<u32>(), to.trim().parse::<u32>()) {
            numbers.extend((from.min(to)..=from.max(to)).take(CORES_MAX));
        }
    }
    numbers
}

/// No machine has more processors: a mistyped range must not fill the memory.
const CORES_MAX: usize = 4_096;

fn cores_of_mask(mask: &str) -> Vec<Core> {
    let digits = mask.trim_start_matches("0x").chars().rev().filter_map(|digit| digit.to_digit(16));
    let mut cores = Vec::new();
    for (digit, base) in digits.zip((0_u32..).step_by(4)) {
        let set = (0..4).filter(|bit| digit >> bit & 1 == 1);
        cores.extend(set.map(|bit| Core { id: base + bit, cpus: vec![base + bit] }));
    }
    cores
}

/// `2@0,(3,4)@(0-1),5`: sets of logical cores, each with the processors it may run on.
fn cores_of_map(map: &str) -> Vec<Core> {
    let mut cores = Vec::new();
    let mut depth = 0_u32;
    let is_end = |letter: char| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    };
    for part in map.split(is_end) {
        let set = |text: &str| list_of(text.trim().trim_matches(['(', ')']));
        let (ids, cpus) = part.split_once('@').unwrap_or((part, ""));
        for id in set(ids) {
            let cpus = if cpus.is_empty() { vec![id] } else { set(cpus) };
            cores.push(Core { id, cpus });
        }
    }
    cores
}

/// Numbers as DPDK writes them: `0-3,8`.
pub(super) fn ranges(numbers: &[u32]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut parts = Vec::new();
    let mut rest = &sorted[..];
    while let Some((&first, after)) = rest.split_first() {
        let run = after.iter().zip(first + 1..).take_while(|&(&have, want)| have == want).count();
        let part = if run == 0 { first.to_string() } else { format!("{first}-{}", after[run - 1]) };
        parts.push(part);
        rest = &after[run..];
    }
    parts.join(",")
}

#[cfg(test)]
mod tests;
