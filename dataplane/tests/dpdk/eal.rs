//! EAL is started once; what goes wrong is said with its remedy.

use dataplane::dpdk::{Eal, EalError};

use super::support::eal;

fn start(line: &str) -> Result<Eal, EalError> {
    let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    Eal::start(&arguments)
}

/// Refused before EAL is called: a process whose operator mistyped may still start it.
#[test]
fn what_the_machine_has_not_got_is_refused_and_costs_no_start() {
    for line in ["-l 4094-4095 --no-huge", "--lcores 0@4095 --no-huge", "--no-huge --in-memory"] {
        let said = start(line).unwrap_err().to_string();
        assert!(!said.contains("EAL did not start"), "{line}: {said}");
    }
    let said = start("-l 4094-4095 --no-huge").unwrap_err().to_string();
    assert!(said.contains("--lcores '4094@"), "{said}");
    eal();
}

#[test]
fn eal_starts_once() {
    let eal = eal();
    assert!(matches!(start("--no-huge"), Err(EalError::AlreadyStarted)));
    assert_eq!(
        (eal.lcores().len(), eal.lcores()[0].id, &eal.lcores()[0].cpus[..]),
        (1, 0, &[0][..])
    );
    assert!(eal.version().starts_with("DPDK "), "{}", eal.version());
}

#[test]
fn threads_are_registered_while_their_guard_lives() {
    let eal = eal();
    std::thread::spawn(|| {
        let guard = eal.register_thread();
        assert!(guard.is_registered());
        // A second guard on the thread changes nothing, neither coming nor going.
        drop(eal.register_thread());
        assert!(guard.is_registered());
        drop(guard);
        assert!(eal.register_thread().is_registered());
    })
    .join()
    .unwrap();
}

/// In a process of its own, for the start is used up: the test binary itself, which runs this test alone.
#[test]
fn what_eal_refuses_comes_with_its_words_and_a_remedy() {
    const CHILD: &str = "HOVERCRAFT_TEST_EAL_REFUSES";
    if std::env::var_os(CHILD).is_some() {
        let line = std::env::var(CHILD).unwrap();
        println!("REFUSED {}", start(&line).unwrap_err());
        return;
    }
    for (line, words) in [
        ("--no-huge --no-pci --no-shconf --vdev net_nobody0", "name a driver that DPDK has"),
        ("--no-huge --no-such-option", "correct the option"),
        ("--no-huge --lcores nonsense", "'2@0,3@1'"),
    ] {
        let test = "eal::what_eal_refuses_comes_with_its_words_and_a_remedy";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(CHILD, line)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(said.contains("REFUSED") && said.contains(words), "{line}: {said}");
    }
}
