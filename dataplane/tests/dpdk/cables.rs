//! Whole frames over cables.

use dataplane::dpdk::cable::{Plug, PlugConfig, Wire};
use dataplane::dpdk::packet::{Burst, Pool};
use dataplane::dpdk::port::{Device, Hearing, Port, PortConfig, RxQueue, TxQueue};

use super::support::pool;

struct End {
    rx: RxQueue,
    tx: Vec<TxQueue>,
    port: Port,
    plug: Plug,
}

fn end(wire: &mut Wire, pool: &Pool, config: PlugConfig) -> End {
    let plug = wire.plug_in(config).unwrap();
    let device = Device::Plugged(plug.clone());
    let config = PortConfig { is_watched: false, ..PortConfig::new(device) };
    let (port, rx, tx) = Port::open(config, vec![pool.clone()]).unwrap();
    End { rx, tx, port, plug }
}

fn frame(to: u8, from: u8, bytes: &[u8]) -> Vec<u8> {
    let address = |last: u8| if last == 255 { [0xff; 6] } else { [2, 0, 0, 0, 0, last] };
    [&address(to)[..], &address(from), &[0x88, 0xb5], bytes].concat()
}

impl End {
    fn send(&mut self, pool: &Pool, queue: usize, bytes: &[u8]) -> bool {
        let mut packet = pool.take().unwrap();
        assert!(packet.append(bytes));
        self.tx[queue].transmit_one(packet).is_ok()
    }

    fn received(&mut self) -> Vec<Vec<u8>> {
        let (mut burst, mut all) = (Burst::default(), Vec::new());
        while self.rx.receive(&mut burst) > Some(0) {
            while let Some(packet) = burst.pop() {
                all.push(packet.first().to_vec());
            }
        }
        all
    }
}

#[test]
fn c1_frames_go_to_their_address_or_to_all() {
    let pool = pool(4_096);
    let mut wire = Wire::new(pool.clone());
    let mut ends: Vec<_> = (0..3).map(|_| end(&mut wire, &pool, PlugConfig::default())).collect();
    assert!(ends.iter().all(|end| end.port.tx_queues() == 2 && end.port.link().is_up));
    assert!(ends.iter().all(|end| end.port.abilities().multi_segments));
    assert!(ends.iter().all(|end| end.port.hearing() != Hearing::Groups));
    // Nobody was heard of number 1 yet: all get it.
    assert!(ends[0].send(&pool, 0, &frame(1, 0, b"unknown")));
    wire.settle();
    assert_eq!(ends[1].received(), [frame(1, 0, b"unknown")]);
    assert_eq!(ends[2].received(), [frame(1, 0, b"unknown")]);
    assert!(ends[1].send(&pool, 1, &frame(0, 1, b"known")));
    wire.settle();
    assert_eq!((ends[0].received(), ends[2].received()), (vec![frame(0, 1, b"known")], vec![]));
    assert!(ends[0].send(&pool, 0, &frame(255, 0, b"all")));
    wire.settle();
    assert_eq!(ends[0].received(), Vec::<Vec<u8>>::new(), "not its own");
    assert_eq!((ends[1].received().len(), ends[2].received().len()), (1, 1));
    drop((ends, wire));
    assert_eq!(pool.available(), 4_096, "C2, B1");
}

/// Receivers share no memory: what one holds is another buffer than what the other holds, and than what was sent.
#[test]
fn the_wire_copies() {
    let pool = pool(4_096);
    let mut wire = Wire::new(pool.clone());
    let mut ends: Vec<_> = (0..3).map(|_| end(&mut wire, &pool, PlugConfig::default())).collect();
    assert!(ends[0].send(&pool, 0, &frame(255, 0, b"copy me")));
    wire.settle();
    let (mut first, mut second) = (Burst::default(), Burst::default());
    assert_eq!(
        (ends[1].rx.receive(&mut first), ends[2].rx.receive(&mut second)),
        (Some(1), Some(1))
    );
    let (first, second) = (first.pop().unwrap(), second.pop().unwrap());
    assert_eq!(first.first(), second.first());
    assert_ne!(first.first().as_ptr(), second.first().as_ptr());
    assert_eq!(pool.available(), 4_096 - 2, "what was sent is freed");
}

#[test]
fn c2_what_does_not_fit_is_counted_where_it_was_lost() {
    let pool = pool(4_096);
    let mut wire = Wire::new(pool.clone());
    let mut sender = end(&mut wire, &pool, PlugConfig::default());
    let config = PlugConfig { inbox: 63, ..PlugConfig::default() };
    let mut receiver = end(&mut wire, &pool, config);
    for _ in 0..200 {
        assert!(sender.send(&pool, 0, &frame(1, 0, b"one of many")));
    }
    assert_eq!(wire.settle(), 200);
    assert_eq!(receiver.received().len(), 63);
    assert_eq!(receiver.plug.lost(), 137);
    // A transmit ring that is full takes no more, and says so.
    let config = PlugConfig { outbox: 63, ..PlugConfig::default() };
    let mut narrow = end(&mut wire, &pool, config);
    let taken = (0..100).filter(|_| narrow.send(&pool, 0, &frame(1, 2, b"too many"))).count();
    assert_eq!(taken, 63);
    drop((sender, receiver, narrow, wire));
    assert_eq!(pool.available(), 4_096);
}

/// A queue whose port is closed gives nothing and takes nothing; ports come and go more often than DPDK has places.
#[test]
fn ports_come_and_go() {
    let pool = pool(4_096);
    let mut wire = Wire::new(pool.clone());
    for _ in 0..40 {
        let one = end(&mut wire, &pool, PlugConfig::default());
        let End { mut rx, mut tx, port, plug } = one;
        drop((port, plug));
        let mut burst = Burst::default();
        assert_eq!(rx.receive(&mut burst), None);
        let packet = pool.take().unwrap();
        assert!(tx[0].transmit_one(packet).is_err());
    }
    drop(wire);
    assert_eq!(pool.available(), 4_096);
}

/// P1: queues of one device would be used by two owners at once.
#[test]
fn a_device_is_opened_once() {
    let pool = pool(1_024);
    let mut wire = Wire::new(pool.clone());
    let first = end(&mut wire, &pool, PlugConfig::default());
    let again =
        || Port::open(PortConfig::new(Device::Plugged(first.plug.clone())), vec![pool.clone()]);
    let said = again().unwrap_err().to_string();
    assert!(said.contains("cannot open it twice"), "{said}");
}
