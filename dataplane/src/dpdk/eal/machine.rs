//! What the machine has that EAL asks for, read from `/sys` and `/proc`.

use std::fs;
use std::path::Path;

/// Facts about a machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Machine {
    /// Processors that run.
    pub(super) cpus: Vec<u32>,
    /// Memory that can be had, in megabytes.
    pub(super) memory_megabytes: u64,
    /// Memory in free huge pages of any size, in megabytes.
    pub(super) huge_megabytes_free: u64,
    /// Whether a file system for huge pages is mounted.
    pub(super) huge_is_mounted: bool,
}

impl Machine {
    /// The machine whose `/sys` and `/proc` stand below `root`.
    pub(super) fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let mounts = text("proc/mounts");
        let kilobytes =
            |line: &str| -> Option<u64> { line.split_whitespace().nth(1)?.parse().ok() };
        let memory = text("proc/meminfo");
        let available = memory.lines().find(|line| line.starts_with("MemAvailable:"));
        Self {
            cpus: cpus_of(&text("sys/devices/system/cpu/online")),
            memory_megabytes: available.and_then(kilobytes).unwrap_or(u64::MAX) / 1_024,
            huge_megabytes_free: huge_free(&root.join("sys/kernel/mm/hugepages")),
            huge_is_mounted: mounts
                .lines()
                .any(|line| line.split_whitespace().nth(2) == Some("hugetlbfs")),
        }
    }
}

/// `0-3,8`.
fn cpus_of(list: &str) -> Vec<u32> {
    let mut cpus = Vec::new();
    for part in list.trim().split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>()) {
            cpus.extend(from..=to);
        }
    }
    cpus
}

/// Folders named `hugepages-2048kB`, with a file `free_hugepages` each.
fn huge_free(folder: &Path) -> u64 {
    let Ok(sizes) = fs::read_dir(folder) else { return 0 };
    let megabytes = sizes.filter_map(|size| {
        let size = size.ok()?;
        let name = size.file_name().into_string().ok()?;
        let kilobytes: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
        let free = fs::read_to_string(size.path().join("free_hugepages")).ok()?;
        let free: u64 = free.trim().parse().ok()?;
        Some(free.saturating_mul(kilobytes) / 1_024)
    });
    megabytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_the_files_that_linux_has() {
        let root = std::env::temp_dir().join(format!("hovercraft-machine-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("sys/devices/system/cpu/online", "0-2,5\n");
        write("proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable:    4194304 kB\n");
        write("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "100\n");
        write("sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "2\n");
        write("proc/mounts", "sysfs /sys sysfs rw 0 0\n");
        let mut expected = Machine {
            cpus: vec![0, 1, 2, 5],
            memory_megabytes: 4_096,
            huge_megabytes_free: 2_248,
            huge_is_mounted: false,
        };
        assert_eq!(Machine::read(&root), expected);
        write("proc/mounts", "nodev /mnt/huge hugetlbfs rw,pagesize=2M 0 0\n");
        expected.huge_is_mounted = true;
        assert_eq!(Machine::read(&root), expected);
        fs::remove_dir_all(&root).unwrap();
    }
}
