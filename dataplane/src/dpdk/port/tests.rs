use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use super::keeper::Up;
use super::*;
use crate::dpdk::packet::Burst;

/// One EAL for all tests of a process, with a device that it was given.
fn eal() -> &'static Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    EAL.get_or_init(|| {
        let line = "--no-huge -m 128 --no-pci --no-shconf --no-telemetry --lcores 0@0 --vdev net_null8,size=64";
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Eal::start(&arguments).unwrap()
    })
}

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
    let eal = eal();
    comes_back(eal, Device::Added("net_null7,size=64".to_owned()));
    // One that EAL was given comes back with the arguments that it was given with.
    let device = Device::Named("net_null8".to_owned());
    let given = ffi::find("net_null8").and_then(ffi::given).unwrap();
    assert_eq!(given, ("net_null8,size=64".to_owned(), "vdev".to_owned()));
    comes_back(eal, device);
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

/// Makes a port another one than it is.
type Change = fn(&mut Up);

/// A port on `net_null` that nobody watches.
fn unwatched(number: u8, pool: &Pool) -> (Port, RxQueue) {
    let device = Device::Added(format!("net_null{number},size=64"));
    let config = PortConfig { is_watched: false, ..PortConfig::new(device) };
    let (port, rx, _) = Port::open(config, vec![pool.clone()]).unwrap();
    (port, rx)
}

/// Whoever asks the driver has it to himself: the port is not closed under him, and nobody else asks meanwhile.
#[test]
fn a_port_is_closed_and_asked_by_one_at_a_time() {
    let pool = Pool::new(eal(), 1_024, 2_048, None).unwrap();
    let (port, mut rx) = unwatched(6, &pool);
    let mut burst = Burst::default();
    assert!(rx.receive(&mut burst).unwrap() > 0 && port.link().is_up);
    let (shared, watch) = (Arc::clone(&port.shared), port.watch());
    *shared.told_link() = Link { is_up: true, megabits: 77 };
    let asking = shared.control();
    assert_eq!(port.link().megabits, 77, "what was told last");
    let closing = std::thread::spawn(move || drop(port));
    std::thread::sleep(Duration::from_millis(100));
    assert!(!closing.is_finished() && ffi::link(ffi::find("net_null6").unwrap()).is_ok());
    drop(asking);
    closing.join().unwrap();
    assert!(ffi::find("net_null6").is_err());
    assert!(watch.stats().received > 0 && !watch.is_up(), "totals outlive the device");
    assert_eq!(rx.receive(&mut Burst::default()), None);
}

/// What queues were made for, the device must still have when it comes back.
#[test]
fn p2_a_device_that_comes_back_with_less_stays_away() {
    let pool = Pool::new(eal(), 1_024, 2_048, None).unwrap();
    let (mut port, mut rx) = unwatched(5, &pool);
    let mut burst = Burst::default();
    // Of each kind one that this driver has not got.
    let more: [Change; 3] = [
        |first| first.abilities.transmit_udp_checksum = true,
        |first| first.tx_queues += 1_000,
        |first| first.rx_descriptors -= 1,
    ];
    for (refused, more) in (1..).zip(more) {
        let shared = Arc::get_mut(&mut port.shared).unwrap();
        let had = shared.first.clone();
        more(&mut shared.first);
        shared.lose();
        assert!(!shared.bring_back());
        assert_eq!(rx.receive(&mut burst), None);
        shared.first = had;
        assert!(shared.bring_back());
        assert!(rx.receive(&mut burst).unwrap() > 0);
        burst.clear();
        let PortHistory { losses, returns, refusals, .. } = port.history();
        assert_eq!([losses, returns, refusals], [refused; 3]);
    }
    drop(port);
    assert_eq!(pool.available(), pool.count(), "B1");
}

#[test]
fn p2_each_ability_that_queues_rely_on_is_asked_for() {
    let pool = Pool::new(eal(), 1_024, 2_048, None).unwrap();
    let (port, _rx) = unwatched(4, &pool);
    let now = port.shared.first.clone();
    let less: [(&str, Change); 8] = [
        ("the same driver", |up| up.abilities.driver.push('x')),
        ("the same address", |up| up.mac[5] ^= 1),
        ("as many transmit queues", |up| up.tx_queues -= 1),
        ("as few receive descriptors", |up| up.rx_descriptors += 1),
        ("a way to hear groups", |up| up.hearing = Hearing::Unasked),
        ("IPv4 checksums", |up| up.abilities.transmit_ipv4_checksum = false),
        ("UDP checksums", |up| up.abilities.transmit_udp_checksum = false),
        ("packets of several segments", |up| up.abilities.multi_segments = false),
    ];
    let mut first = Up { hearing: Hearing::Groups, ..now };
    first.abilities.transmit_ipv4_checksum = true;
    first.abilities.transmit_udp_checksum = true;
    first.abilities.multi_segments = true;
    assert_eq!(first.lacks(&first), None);
    for (what, take_away) in less {
        let mut back = first.clone();
        take_away(&mut back);
        assert_eq!(back.lacks(&first), Some(what));
    }
    // More than there was is no harm, nor is another way to hear.
    let least = Up { rx_descriptors: 8, hearing: Hearing::All, tx_queues: 9, ..first.clone() };
    assert_eq!(least.lacks(&first), None);
}
