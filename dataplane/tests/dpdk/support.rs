//! One EAL for all tests of a process: it starts once, whether the process runs one test or all.

use std::sync::OnceLock;

use dataplane::dpdk::Eal;
use dataplane::dpdk::packet::Pool;

/// EAL on ordinary memory, with no device: each test adds its own.
pub(crate) fn eal() -> &'static Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    EAL.get_or_init(|| {
        let before = allowed();
        // On a machine with huge pages, for instance `--in-memory --single-file-segments --no-pci --lcores 0@0`.
        let line = std::env::var("HOVERCRAFT_TEST_EAL").unwrap_or_else(|_| {
            "--no-huge -m 512 --no-pci --no-shconf --no-telemetry --lcores 0@0".to_owned()
        });
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let eal = Eal::start(&arguments).unwrap();
        assert_eq!(allowed(), before, "E2: EAL pins the thread that starts it");
        eal
    })
}

/// Where this thread may run.
fn allowed() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    status.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap().to_owned()
}

/// Room for the longest packet that a back end takes, with all headers.
pub(crate) const ROOM: u16 = 2_048 + 64;

/// A pool for all ports of a test.
pub(crate) fn pool(count: u32) -> Pool {
    Pool::new(eal(), count, ROOM, None).unwrap()
}
