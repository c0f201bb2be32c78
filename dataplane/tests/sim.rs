//! The simulated network: its faults happen as asked, and the same seed gives the same run.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "functions that only tests call")]

use core::net::SocketAddr;
use core::time::Duration;

use dataplane::backend::{ArrivedAt, Instant};
use dataplane::sim::{EndpointId, Fate, SimCounters, SimNetwork, Weather};

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

fn own(place: usize) -> SocketAddr {
    format!("10.0.0.{}:8000", place + 1).parse().unwrap()
}

fn group() -> SocketAddr {
    "239.0.0.1:8000".parse().unwrap()
}

/// A network with a sender and so many members of one group.
fn members(seed: u64, weather: Weather, count: usize) -> (SimNetwork, EndpointId, Vec<EndpointId>) {
    let mut network = SimNetwork::new(seed, weather);
    let sender = network.add_endpoint(own(0), &[]);
    let members = (1..=count).map(|place| network.add_endpoint(own(place), &[group()])).collect();
    (network, sender, members)
}

/// What is delivered when the network is stepped to its end: when, to whom, the payload's number.
fn drain(network: &mut SimNetwork) -> Vec<(Instant, EndpointId, u32)> {
    let mut delivered = Vec::new();
    while let Some(due) = network.next_due() {
        let now = due.max(network.now());
        let Some(delivery) = network.pop_due(now) else { continue };
        let arrival = delivery.arrival();
        assert_eq!(arrival.not_before, due, "the exact arrival");
        let number = u32::from_be_bytes(arrival.bytes.try_into().unwrap());
        delivered.push((now, delivery.to, number));
        network.recycle(delivery);
    }
    delivered
}

fn storm(seed: u64) -> SimNetwork {
    let (mut network, sender, members) = members(seed, Weather::STORM, 3);
    for number in 0..2_000_u32 {
        let now = us(u64::from(number) * 20);
        network.send(now, sender, group(), &number.to_be_bytes());
        network.send(now, members[0], own(0), &number.to_be_bytes());
        match number {
            500 => network.partition(sender, members[1]),
            800 => network.set_paused(members[2], true),
            1_000 => network.heal(),
            1_200 => network.set_paused(members[2], false),
            _ => {}
        }
        while let Some(delivery) = network.pop_due(now) {
            network.recycle(delivery);
        }
    }
    drain(&mut network);
    network
}

#[test]
fn s1_the_same_seed_gives_the_same_trace() {
    let (first, again, other) = (storm(1), storm(1), storm(2));
    assert_eq!((first.trace(), first.counters()), (again.trace(), again.counters()));
    assert_ne!(first.trace(), other.trace());
    let SimCounters { lost, duplicated, blocked, delivered, .. } = first.counters();
    assert!([lost, duplicated, blocked, delivered].iter().all(|&count| count > 100));
}

#[test]
fn s1_a_clone_goes_on_alike() {
    let (mut network, sender, _) = members(5, Weather::ROUGH, 3);
    for number in 0..100_u32 {
        network.send(us(1), sender, group(), &number.to_be_bytes());
    }
    let mut clone = network.clone();
    assert_eq!(drain(&mut network), drain(&mut clone));
    assert_eq!(network.trace(), clone.trace());
}

#[test]
fn s3_every_copy_is_accounted_for() {
    let mut network = storm(3);
    let sender = network.add_endpoint(own(9), &[]);
    for number in 0..500_u32 {
        network.send(network.now(), sender, group(), &number.to_be_bytes());
    }
    let counters = network.counters();
    let put_under_way = counters.sent + counters.duplicated;
    let undelivered = network.undelivered() as u64;
    assert!(undelivered > 1_000);
    assert_eq!(put_under_way, counters.delivered + counters.overflowed + undelivered);
    assert_eq!(counters.sent + counters.lost + counters.blocked, 2_000 * 4 + 500 * 3);
}

#[test]
fn calm_weather_keeps_order_and_loses_nothing() {
    let (mut network, sender, members) = members(1, Weather::CALM, 1);
    for number in 0..100_u32 {
        network.send(us(number.into()), sender, own(1), &number.to_be_bytes());
    }
    let expected: Vec<_> =
        (0..100_u32).map(|n| (us(99.max(u64::from(n) + 10)), members[0], n)).collect();
    assert_eq!(drain(&mut network), expected);
}

#[test]
fn s2_weather_reorders_but_delivery_follows_due_times() {
    let (mut network, sender, _) = members(1, Weather::ROUGH, 1);
    for number in 0..1_000_u32 {
        network.send(us(number.into()), sender, own(1), &number.to_be_bytes());
    }
    let delivered = drain(&mut network);
    assert!(delivered.is_sorted_by_key(|&(at, ..)| at));
    assert!(!delivered.is_sorted_by_key(|&(.., number)| number));
}

#[test]
fn each_member_of_a_group_loses_on_its_own() {
    let weather = Weather { loss_ppm: 300_000, ..Weather::CALM };
    let (mut network, sender, members) = members(1, weather, 3);
    for number in 0..1_000_u32 {
        network.send(us(0), sender, group(), &number.to_be_bytes());
    }
    let delivered = drain(&mut network);
    let mut heard = vec![0_u8; 1_000];
    for (_, to, number) in delivered {
        heard[number as usize] |= 1 << members.iter().position(|&member| member == to).unwrap();
    }
    for subset in 0..8_u8 {
        let (mut chance, mut misses) = (1_000.0, 0);
        for member in 0..3 {
            let hears = subset >> member & 1 == 1;
            chance *= if hears { 0.7 } else { 0.3 };
            misses += i32::from(!hears);
        }
        let count = heard.iter().filter(|&&heard| heard == subset).count() as f64;
        assert!((count - chance).abs() < 60.0, "{misses} missed: {count}, not {chance}");
    }
}

#[test]
fn probabilities_and_delays_are_as_asked() {
    let weather = Weather {
        loss_ppm: 100_000,
        duplicate_ppm: 50_000,
        delay_min: us(100),
        delay_max: us(200),
        late_ppm: 10_000,
        late_max: us(1_000),
    };
    let (mut network, sender, _) = members(9, weather, 1);
    for number in 0..20_000_u32 {
        network.send(us(0), sender, own(1), &number.to_be_bytes());
    }
    let counters = network.counters();
    assert!((1_800..2_200).contains(&counters.lost), "{counters:?}");
    assert!((800..1_000).contains(&counters.duplicated), "{counters:?}");
    let delivered = drain(&mut network);
    assert!(delivered.iter().all(|&(at, ..)| us(100) <= at && at <= us(1_200)));
    let late = delivered.iter().filter(|&&(at, ..)| at > us(200)).count();
    assert!((120..260).contains(&late), "{late} of {}", delivered.len());
    let early = delivered.iter().filter(|&&(at, ..)| at <= us(150)).count();
    assert!(early.abs_diff(delivered.len() / 2) < 400, "{early} of {}", delivered.len());
}

#[test]
fn a_block_is_directed_and_healed() {
    let (mut network, a, members) = members(1, Weather::CALM, 2);
    let [b, c] = members[..] else { unreachable!("two were asked for") };
    network.block(a, b);
    network.send(us(0), a, own(1), &1_u32.to_be_bytes());
    network.send(us(0), a, group(), &2_u32.to_be_bytes());
    network.send(us(0), b, own(0), &3_u32.to_be_bytes());
    let at = us(10);
    assert_eq!(drain(&mut network), [(at, c, 2), (at, a, 3)]);
    network.heal();
    network.send(at, a, own(1), &4_u32.to_be_bytes());
    assert_eq!(drain(&mut network), [(us(20), b, 4)]);
}

#[test]
fn an_isolated_endpoint_hears_itself_only() {
    let (mut network, a, members) = members(1, Weather::CALM, 2);
    network.isolate(members[0]);
    network.send(us(0), a, group(), &1_u32.to_be_bytes());
    network.send(us(0), members[0], group(), &2_u32.to_be_bytes());
    network.send(us(0), members[0], own(0), &3_u32.to_be_bytes());
    assert_eq!(drain(&mut network), [(us(10), members[1], 1), (us(10), members[0], 2)]);
}

#[test]
fn a_deaf_member_hears_its_own_address() {
    let (mut network, sender, members) = members(1, Weather::CALM, 1);
    network.set_deaf(members[0], true);
    network.send(us(0), sender, group(), &1_u32.to_be_bytes());
    network.send(us(0), sender, own(1), &2_u32.to_be_bytes());
    assert_eq!(drain(&mut network), [(us(10), members[0], 2)]);
    network.set_deaf(members[0], false);
    network.send(us(20), sender, group(), &3_u32.to_be_bytes());
    assert_eq!(drain(&mut network), [(us(30), members[0], 3)]);
}

#[test]
fn a_paused_endpoint_gets_what_waited_with_its_true_arrival_time() {
    let (mut network, sender, members) = members(1, Weather::CALM, 2);
    network.set_paused(members[0], true);
    network.set_inbox_max(members[0], 2);
    for number in 0..3_u32 {
        network.send(us(number.into()), sender, group(), &number.to_be_bytes());
    }
    assert_eq!(drain(&mut network).len(), 3, "the other member's");
    assert_eq!(network.next_due(), None);
    network.advance_to(us(500));
    network.set_paused(members[0], false);
    for number in 0..2_u32 {
        let delivery = network.pop_due(us(600)).unwrap();
        let arrival = delivery.arrival();
        assert_eq!((delivery.to, arrival.to), (members[0], ArrivedAt::Group(0)));
        assert_eq!(arrival.not_before, us(10 + u64::from(number)));
    }
    assert!(network.pop_due(us(600)).is_none(), "the third found the inbox full");
    assert_eq!(network.endpoint_counters(members[0]).dropped_receive, 1);
    assert_eq!(network.counters().overflowed, 1);
}

#[test]
fn a_new_life_finds_an_empty_inbox() {
    let (mut network, sender, members) = members(1, Weather::CALM, 1);
    network.send(us(0), sender, own(1), &1_u32.to_be_bytes());
    network.advance_to(us(10));
    network.send(us(10), sender, own(1), &2_u32.to_be_bytes());
    network.clear_inbox(members[0]);
    assert_eq!(drain(&mut network), [(us(20), members[0], 2)], "what is under way still comes");
}

#[test]
fn the_last_events_are_kept_for_reading() {
    let (mut network, sender, members) = members(1, Weather::CALM, 1);
    network.capture(3);
    network.send(us(0), sender, own(1), &1_u32.to_be_bytes());
    network.send(us(1), sender, own(5), b"nobody");
    network.block(sender, members[0]);
    network.send(us(2), sender, group(), b"blocked");
    drain_any(&mut network);
    let events: Vec<_> =
        network.captured().map(|event| (event.at, event.to, event.fate, event.len)).collect();
    let member = Some(members[0]);
    assert_eq!(
        events,
        [
            (us(1), None, Fate::Unroutable, 6),
            (us(2), member, Fate::Blocked, 7),
            (us(10), member, Fate::Delivered, 4),
        ]
    );
    assert_eq!(&network.captured().next().unwrap().start[..7], b"nobody\0");
}

fn drain_any(network: &mut SimNetwork) {
    while let Some(due) = network.next_due() {
        let delivery = network.pop_due(due.max(network.now())).unwrap();
        network.recycle(delivery);
    }
}

#[test]
#[should_panic(expected = "time runs backwards")]
fn time_never_runs_backwards() {
    let (mut network, sender, _) = members(1, Weather::CALM, 1);
    network.advance_to(us(2));
    network.send(us(1), sender, own(1), b"");
}
