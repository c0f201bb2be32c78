use std::sync::atomic::AtomicBool;

use super::*;
use crate::dpdk::packet::Burst;

/// As long as nothing is true; at most ten seconds.
fn until(mut what: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

/// The driver `net_null` gives packets without end and takes all. Its removal is told as a card's driver tells it, from
/// another thread, while two threads receive and transmit: five times it goes away, is brought back, and carries on.
#[test]
fn p2_a_device_removed_under_load_comes_back() {
    let line = "--no-huge -m 128 --no-pci --no-shconf --no-telemetry --lcores 0@0 --vdev net_null8,size=64";
    let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let eal = Eal::start(&arguments).unwrap();
    comes_back(&eal, Device::Added("net_null7,size=64".to_owned()));
    // One that EAL was given comes back with the arguments that it was given with.
    let device = Device::Named("net_null8".to_owned());
    let given = ffi::find("net_null8").and_then(ffi::given).unwrap();
    assert_eq!(given, ("net_null8,size=64".to_owned(), "vdev".to_owned()));
    comes_back(&eal, device);
}

fn comes_back(eal: &Eal, device: Device) {
    let pool = Pool::new(eal, 4_096, 2_048, None).unwrap();
    let (port, mut rx, mut tx) = Port::open(PortConfig::new(device), vec![pool.clone()]).unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let received = Arc::new(core::sync::atomic::AtomicU64::new(0));
    let (told, count) = (Arc::clone(&ends), Arc::clone(&received));
    let receiver = std::thread::spawn(move || {
        let mut burst = Burst::default();
        while !told.load(Ordering::Relaxed) {
            count.fetch_add(rx.receive(&mut burst).unwrap_or(0) as u64, Ordering::Relaxed);
            burst.clear();
        }
    });
    let (told, from) = (Arc::clone(&ends), pool.clone());
    let transmitter = std::thread::spawn(move || {
        let (mut taken, mut refused) = (0_u64, 0_u64);
        while !told.load(Ordering::Relaxed) {
            let Some(packet) = from.take() else { continue };
            match tx[0].transmit_one(packet) {
                Ok(()) => taken += 1,
                Err(_) => refused += 1,
            }
        }
        (taken, refused)
    });
    for removals in 1..=5 {
        let before = received.load(Ordering::Relaxed);
        assert!(until(|| received.load(Ordering::Relaxed) > before), "it carries");
        port.shared.events.removed.store(true, Ordering::Release);
        assert!(until(|| port.history().returns == removals), "{:?}", port.history());
        assert_eq!(port.history().losses, removals);
    }
    let before = received.load(Ordering::Relaxed);
    assert!(until(|| received.load(Ordering::Relaxed) > before), "it carries on");
    let line = ffi::find(port.name()).and_then(ffi::given).unwrap().0;
    assert!(line.ends_with(",size=64"), "{line}");
    ends.store(true, Ordering::Relaxed);
    receiver.join().unwrap();
    let (taken, refused) = transmitter.join().unwrap();
    assert!(taken > 0 && refused > 0, "{taken} {refused}");
    drop(port);
    assert_eq!(pool.available(), pool.count(), "B1");
}

#[test]
fn a_device_s_name_is_before_its_arguments() {
    assert_eq!(device_name(&Device::Added("net_null7,size=64".to_owned())), "net_null7");
    assert_eq!(device_name(&Device::Named("0000:01:00.0".to_owned())), "0000:01:00.0");
}
