//! Neighbours: looked for, learned, asked, forgotten; and the own address.

use std::time::Duration;

use dataplane::net::{DeviceSays, MacAddress, Offload, Stack, StackConfig, StackEvent};
use etherparse::ArpOperation;

use super::frames::{
    BROADCAST, IpFrame, What, arp, arp_reply, arp_request, config, event, host, ip, mac, polled,
    read, seconds, settled, stack,
};

const NOBODY: MacAddress = MacAddress::NOBODY;

/// Questions among frames, as (asked for, by unicast to).
fn questions(frames: &[Vec<u8>]) -> Vec<(std::net::Ipv4Addr, MacAddress)> {
    let frames = frames.iter().map(|frame| read(frame));
    frames
        .filter_map(|frame| match frame.what {
            What::Arp { reply: false, target, .. } => Some((target.1, frame.to)),
            _ => None,
        })
        .collect()
}

/// Lets time pass in small steps; a sender uses host 2 at each if `used`. Returns when questions were asked.
fn pass(
    stack: &mut Stack,
    from: Duration,
    to: Duration,
    used: bool,
) -> Vec<(Duration, MacAddress)> {
    let reader = stack.neighbours();
    let mut asked = Vec::new();
    let mut now = from;
    while now < to {
        if used {
            let _known = reader.find(ip(2));
        }
        for (target, by) in questions(&polled(stack, now)) {
            assert_eq!(target, ip(2));
            asked.push((now, by));
        }
        now += Duration::from_millis(50);
    }
    asked
}

fn ask_for(stack: &mut Stack, n: u8, now: Duration) -> Vec<Vec<u8>> {
    assert!(stack.neighbours().ask(ip(n)));
    polled(stack, now)
}

/// Host 1, which has asked for host 2 at ten seconds, and was answered.
fn confirmed() -> Stack {
    let mut stack = settled(stack(1));
    ask_for(&mut stack, 2, seconds(10));
    assert_eq!(
        event(&mut stack, seconds(10), &arp_reply((mac(2), ip(2)), 1)),
        StackEvent::ArpHeard
    );
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(2)));
    stack
}

#[test]
fn a_request_for_us_is_answered_and_makes_its_sender_known() {
    let mut stack = settled(stack(1));
    assert_eq!(event(&mut stack, seconds(10), &arp_request(2, 1)), StackEvent::ArpRequest);
    let frames = polled(&mut stack, seconds(10));
    assert_eq!(frames.len(), 1);
    assert!(frames[0].len() >= 60, "padded");
    let answer = read(&frames[0]);
    assert_eq!((answer.from, answer.to), (mac(1), mac(2)));
    let what = What::Arp { reply: true, sender: (mac(1), ip(1)), target: (mac(2), ip(2)) };
    assert_eq!(answer.what, what);
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(2)));
}

#[test]
fn others_conversations_make_nobody_known() {
    let mut stack = settled(stack(1));
    assert_eq!(event(&mut stack, seconds(10), &arp_request(2, 3)), StackEvent::ArpIgnored);
    // Not asked for, and another's gratuitous announcement.
    assert_eq!(
        event(&mut stack, seconds(10), &arp_reply((mac(2), ip(2)), 1)),
        StackEvent::ArpIgnored
    );
    let gratuitous = arp(ArpOperation::REQUEST, (mac(2), ip(2)), (NOBODY, ip(2)), BROADCAST);
    assert_eq!(event(&mut stack, seconds(10), &gratuitous), StackEvent::ArpIgnored);
    assert_eq!(stack.neighbours().find(ip(2)), None);
    // From outside the subnet: no answer either.
    let outside =
        arp(ArpOperation::REQUEST, (mac(2), [10, 1, 0, 2].into()), (NOBODY, ip(1)), BROADCAST);
    assert_eq!(event(&mut stack, seconds(10), &outside), StackEvent::ArpIgnored);
    assert!(polled(&mut stack, seconds(10)).is_empty());
}

#[test]
fn arp_that_makes_no_sense_is_ignored() {
    let mut stack = settled(stack(1));
    let good = arp_request(2, 1);
    for (place, value) in [(15, 6), (16, 9), (18, 8), (19, 16), (21, 3), (21, 0), (22, 3)] {
        let mut frame = good.clone();
        frame[place] = value;
        assert_eq!(event(&mut stack, seconds(10), &frame), StackEvent::ArpIgnored, "{place}");
    }
    for len in 14..42 {
        assert_eq!(event(&mut stack, seconds(10), &good[..len]), StackEvent::ArpIgnored, "{len}");
    }
    let mut elsewhere = good;
    elsewhere[..6].copy_from_slice(&mac(3).0);
    assert_eq!(event(&mut stack, seconds(10), &elsewhere), StackEvent::WrongMac);
    assert!(polled(&mut stack, seconds(10)).is_empty());
}

#[test]
fn a_silent_neighbour_is_looked_for_three_times_a_second_apart() {
    let mut stack = settled(stack(1));
    assert!(stack.neighbours().ask(ip(2)));
    let asked = pass(&mut stack, seconds(10), seconds(20), false);
    let times = [10, 11, 12].map(|second| (seconds(second), BROADCAST));
    assert_eq!(asked, times);
    assert_eq!(stack.counters().of(StackEvent::NeighbourMissing), 1);
    // Whoever asks again has it looked for again.
    assert!(stack.neighbours().ask(ip(2)));
    assert_eq!(pass(&mut stack, seconds(20), seconds(21), false).len(), 1);
}

/// A sender's miss may come late: the neighbour is being looked for, or found.
#[test]
fn who_is_known_or_looked_for_is_not_looked_for_again() {
    let mut stack = settled(stack(1));
    assert_eq!(ask_for(&mut stack, 2, seconds(10)).len(), 1);
    assert_eq!(ask_for(&mut stack, 2, seconds(10)).len(), 0);
    event(&mut stack, seconds(10), &arp_reply((mac(2), ip(2)), 1));
    assert_eq!(ask_for(&mut stack, 2, seconds(10)).len(), 0);
    assert_eq!(stack.counters().of(StackEvent::ArpAsked), 1);
}

#[test]
fn a_used_neighbour_is_asked_by_unicast_before_it_is_given_up() {
    let mut stack = confirmed();
    let asked = pass(&mut stack, seconds(11), seconds(45), true);
    let times = [(40, mac(2)), (41, mac(2)), (42, BROADCAST)];
    assert_eq!(asked[..3], times.map(|(second, by)| (seconds(second), by)));
    assert_eq!(stack.counters().of(StackEvent::NeighbourLost), 1);
    assert_eq!(stack.neighbours().find(ip(2)), None);
}

#[test]
fn a_neighbour_that_answers_stays() {
    let mut stack = confirmed();
    let mut now = seconds(11);
    for round in 1..5 {
        let asked =
            pass(&mut stack, now, seconds(10 + round * 30) + Duration::from_millis(50), true);
        assert_eq!(asked, [(seconds(10 + round * 30), mac(2))]);
        now = seconds(10 + round * 30);
        event(&mut stack, now, &arp_reply((mac(2), ip(2)), 1));
        now += Duration::from_millis(50);
    }
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(2)));
}

#[test]
fn an_unused_neighbour_is_asked_when_it_is_used_and_forgotten_after_ten_minutes() {
    let mut stack = settled(stack(1));
    ask_for(&mut stack, 2, seconds(10));
    event(&mut stack, seconds(10), &arp_reply((mac(2), ip(2)), 1));
    assert_eq!(pass(&mut stack, seconds(10), seconds(300), false), []);
    // Old, and used again: good at once, and asked at once.
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(2)));
    let asked = pass(&mut stack, seconds(300), seconds(301), false);
    assert_eq!(asked.len(), 1);
    assert!(asked[0].0 <= seconds(300) + Duration::from_millis(250), "{asked:?}");
    event(&mut stack, seconds(301), &arp_reply((mac(2), ip(2)), 1));
    assert_eq!(pass(&mut stack, seconds(301), seconds(902), false), []);
    assert_eq!(stack.neighbours().find(ip(2)), None);
    assert_eq!(stack.counters().of(StackEvent::NeighbourLost), 0);
}

#[test]
fn a_datagram_makes_its_sender_known_and_its_use_makes_us_ask() {
    let mut stack = settled(stack(1));
    let frame = IpFrame::udp(2, 1, b"request").bytes();
    assert_eq!(event(&mut stack, seconds(10), &frame), StackEvent::Datagram);
    // Nobody answers it: nobody is asked, and it is forgotten.
    assert_eq!(pass(&mut stack, seconds(10), seconds(75), false), []);
    assert_eq!(stack.neighbours().find(ip(2)), None);
    event(&mut stack, seconds(80), &frame);
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(2)));
    let asked = pass(&mut stack, seconds(80), seconds(81), false);
    assert_eq!(asked.iter().map(|ask| ask.1).collect::<Vec<_>>(), [BROADCAST]);
}

/// B1.
#[test]
fn a_forged_datagram_moves_no_confirmed_neighbour() {
    let mut stack = confirmed();
    let forged = IpFrame { from: mac(66), ..IpFrame::udp(2, 1, b"forged") }.bytes();
    for second in [11, 12, 20] {
        assert_eq!(event(&mut stack, seconds(second), &forged), StackEvent::Datagram);
        assert_eq!(stack.neighbours().find(ip(2)), Some(mac(2)));
        event(&mut stack, seconds(second), &IpFrame::udp(2, 1, b"true").bytes());
    }
    assert_eq!(stack.counters().of(StackEvent::NeighbourDoubted), 3);
    // It is asked, once the last answer is some seconds old; and where it is.
    assert_eq!(questions(&polled(&mut stack, seconds(20))), [(ip(2), mac(2))]);
    event(&mut stack, seconds(20), &arp_reply((mac(2), ip(2)), 1));
    assert_eq!(pass(&mut stack, seconds(20), seconds(30), true), []);
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(2)));
}

/// A forger was first; the owner's answer to the question that follows stands.
#[test]
fn a_forged_first_datagram_holds_until_the_owner_answers() {
    let mut stack = settled(stack(1));
    let forged = IpFrame { from: mac(66), ..IpFrame::udp(2, 1, b"forged") }.bytes();
    event(&mut stack, seconds(10), &forged);
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(66)));
    let asked = pass(&mut stack, seconds(10), seconds(11), true);
    assert_eq!(asked.len(), 1);
    event(&mut stack, seconds(11), &arp_reply((mac(2), ip(2)), 1));
    event(&mut stack, seconds(11), &forged);
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(2)));
}

/// B4: a sender that was agreed with is judged anew when ARP has moved it.
#[test]
fn a_datagram_from_where_a_neighbour_was_is_doubted() {
    let mut stack = confirmed();
    let from_before = IpFrame::udp(2, 1, b"from before").bytes();
    event(&mut stack, seconds(11), &from_before);
    event(&mut stack, seconds(11), &from_before);
    assert_eq!(stack.counters().of(StackEvent::NeighbourDoubted), 0);
    let moved = arp(ArpOperation::REQUEST, (mac(22), ip(2)), (NOBODY, ip(2)), BROADCAST);
    event(&mut stack, seconds(12), &moved);
    polled(&mut stack, seconds(12));
    event(&mut stack, seconds(12), &arp_reply((mac(22), ip(2)), 1));
    event(&mut stack, seconds(13), &from_before);
    event(&mut stack, seconds(13), &from_before);
    assert_eq!(stack.counters().of(StackEvent::NeighbourDoubted), 2);
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(22)));
}

/// A new card, or another machine that took the address over, says so by a gratuitous ARP.
#[test]
fn a_neighbour_that_announces_another_interface_is_followed_and_asked() {
    let mut stack = confirmed();
    let moved = arp(ArpOperation::REQUEST, (mac(22), ip(2)), (NOBODY, ip(2)), BROADCAST);
    assert_eq!(event(&mut stack, seconds(12), &moved), StackEvent::ArpHeard);
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(22)));
    assert_eq!(stack.counters().of(StackEvent::NeighbourMoved), 1);
    let asked = pass(&mut stack, seconds(12), seconds(13), true);
    assert_eq!(asked.iter().map(|ask| ask.1).collect::<Vec<_>>(), [BROADCAST]);
    event(&mut stack, seconds(13), &arp_reply((mac(22), ip(2)), 1));
    assert_eq!(pass(&mut stack, seconds(13), seconds(42), true), []);
}

/// B2: a flood of made-up senders displaces neither a confirmed neighbour nor the gateway.
#[test]
fn a_flood_of_unknown_senders_displaces_nobody_that_is_confirmed() {
    let own = "10.0.0.1:8000".parse().unwrap();
    let config = StackConfig { gateway: Some(ip(254)), ..StackConfig::new(mac(1), own, 8) };
    let mut stack = settled(Stack::new(config, Duration::ZERO).unwrap());
    event(&mut stack, seconds(10), &arp_reply((mac(254), ip(254)), 1));
    ask_for(&mut stack, 2, seconds(10));
    event(&mut stack, seconds(10), &arp_reply((mac(2), ip(2)), 1));
    for n in 0..200_000_u32 {
        let from = std::net::Ipv4Addr::from_bits(0x0a10_0000 + n);
        let from = std::net::SocketAddrV4::new(from, 1);
        let frame = IpFrame::udp_between((mac(66), from), (mac(1), host(1)), b"").bytes();
        let now = seconds(11) + Duration::from_micros(n.into());
        assert!(stack.take(now, &frame, DeviceSays::default()).is_some());
    }
    let reader = stack.neighbours();
    assert_eq!(reader.find(ip(2)), Some(mac(2)));
    assert_eq!(reader.find(ip(254)), Some(mac(254)));
    // None of them is used, so none is asked; and there is room for whom we need.
    assert!(questions(&polled(&mut stack, seconds(12))).iter().all(|ask| ask.0 == ip(2)));
    assert_eq!(questions(&ask_for(&mut stack, 77, seconds(12))), [(ip(77), BROADCAST)]);
}

/// B2: nor does one of forged requests for us keep out whom we need.
#[test]
fn a_flood_of_requests_keeps_nobody_out() {
    let own = "10.0.0.1:8000".parse().unwrap();
    let mut stack = settled(Stack::new(StackConfig::new(mac(1), own, 8), Duration::ZERO).unwrap());
    let address = |n: u32| std::net::Ipv4Addr::from_bits(0x0a10_0000 + n);
    ask_for(&mut stack, 2, seconds(10));
    event(&mut stack, seconds(10), &arp_reply((mac(2), ip(2)), 1));
    for n in 0..20_000 {
        let sender = (mac(66), address(n));
        let forged = arp(ArpOperation::REQUEST, sender, (NOBODY, ip(1)), BROADCAST);
        assert_eq!(event(&mut stack, seconds(11), &forged), StackEvent::ArpRequest);
        polled(&mut stack, seconds(11));
    }
    // Whom we need, and whom we know; one that is only heard has to wait.
    assert_eq!(questions(&ask_for(&mut stack, 77, seconds(12))), [(ip(77), BROADCAST)]);
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(2)));
    let before = stack.counters().of(StackEvent::NeighboursFull);
    event(&mut stack, seconds(12), &IpFrame::udp(88, 1, b"").bytes());
    assert_eq!(stack.counters().of(StackEvent::NeighboursFull), before + 1);
}

/// As a kernel's stale neighbour: good at once, and asked by unicast when it is used.
#[test]
fn whoever_asked_for_us_is_asked_when_it_is_used() {
    let mut stack = settled(stack(1));
    event(&mut stack, seconds(10), &arp_request(2, 1));
    assert_eq!(pass(&mut stack, seconds(10), seconds(20), false), []);
    let forged = IpFrame { from: mac(66), ..IpFrame::udp(2, 1, b"forged") }.bytes();
    event(&mut stack, seconds(20), &forged);
    assert_eq!(stack.neighbours().find(ip(2)), Some(mac(2)));
    let asked = pass(&mut stack, seconds(20), seconds(21), false);
    assert_eq!(asked.iter().map(|ask| ask.1).collect::<Vec<_>>(), [mac(2)]);
    event(&mut stack, seconds(21), &arp_reply((mac(2), ip(2)), 1));
    assert_eq!(pass(&mut stack, seconds(21), seconds(51), true), []);
    // Unused, it is forgotten after a minute.
    let mut unused = settled(super::frames::stack(1));
    event(&mut unused, seconds(10), &arp_request(2, 1));
    assert_eq!(pass(&mut unused, seconds(10), seconds(75), false), []);
    assert_eq!(unused.neighbours().find(ip(2)), None);
}

/// B2: so many neighbours are needed that the table is full. The gateway stays, though it is the oldest of all; what is
/// confirmed and fresh stays, and gives way when it is old and unused, but not to one that was only heard.
#[test]
fn a_full_table_gives_up_what_is_old_and_unused_for_what_is_needed() {
    let own = "10.0.0.1:8000".parse().unwrap();
    let config = StackConfig { gateway: Some(ip(254)), ..StackConfig::new(mac(1), own, 8) };
    let mut stack = settled(Stack::new(config, Duration::ZERO).unwrap());
    event(&mut stack, seconds(10), &arp_reply((mac(254), ip(254)), 1));
    let (now, reader) = (seconds(45), stack.neighbours());
    let address = |n: u32| std::net::Ipv4Addr::from_bits(0x0a10_0000 + n);
    for n in 0..4_000 {
        assert!(reader.ask(address(n)));
        polled(&mut stack, now);
        event(&mut stack, now, &arp_reply((mac(9), address(n)), 1));
    }
    let full = 4_000 - 1_023;
    assert_eq!(stack.counters().of(StackEvent::NeighboursFull), full);
    let later = seconds(80);
    let new = std::net::SocketAddrV4::new(address(5_000), 1);
    let frame = IpFrame::udp_between((mac(66), new), (mac(1), host(1)), b"").bytes();
    assert_eq!(event(&mut stack, later, &frame), StackEvent::Datagram);
    assert_eq!(stack.counters().of(StackEvent::NeighboursFull), full + 1);
    assert_eq!(reader.find(*new.ip()), None);
    assert!(reader.ask(*new.ip()));
    assert!(questions(&polled(&mut stack, later)).contains(&(*new.ip(), BROADCAST)));
    let known = (0..4_000).filter(|&n| reader.find(address(n)).is_some()).count();
    assert_eq!(known, 1_022);
    assert_eq!(reader.find(ip(254)), Some(mac(254)));
    // All are used now.
    assert!(reader.ask(address(6_000)));
    polled(&mut stack, later);
    assert_eq!(stack.counters().of(StackEvent::NeighboursFull), full + 2);
}

#[test]
fn the_gateway_is_looked_for_at_once_and_for_ever() {
    let config = StackConfig { gateway: Some(ip(254)), ..config(1) };
    let mut stack = Stack::new(config, Duration::ZERO).unwrap();
    let asked =
        |frames: &[Vec<u8>]| questions(frames).iter().filter(|ask| ask.0 == ip(254)).count();
    assert_eq!(asked(&polled(&mut stack, Duration::ZERO)), 1);
    let mut count = 0;
    for second in 1..61 {
        count += asked(&polled(&mut stack, seconds(second)));
    }
    assert!((40..=60).contains(&count), "{count} in a minute");
    event(&mut stack, seconds(61), &arp_reply((mac(254), ip(254)), 1));
    // Kept fresh without any use.
    let frames = polled(&mut stack, seconds(92));
    assert_eq!(questions(&frames), [(ip(254), mac(254))]);
}

#[test]
fn the_own_address_is_probed_and_announced_at_the_start_and_when_the_link_comes_back() {
    let mut stack = stack(1);
    let ours = |frames: Vec<Vec<u8>>| -> Vec<(std::net::Ipv4Addr, std::net::Ipv4Addr)> {
        let frames = frames.iter().map(|frame| read(frame));
        frames
            .filter_map(|frame| match frame.what {
                What::Arp { reply: false, sender, target } => {
                    assert_eq!((frame.to, sender.0, target.0), (BROADCAST, mac(1), NOBODY));
                    Some((sender.1, target.1))
                }
                _ => None,
            })
            .collect()
    };
    let (probe, announcement) = (([0, 0, 0, 0].into(), ip(1)), (ip(1), ip(1)));
    assert_eq!(stack.deadline(), Duration::ZERO);
    assert_eq!(ours(polled(&mut stack, Duration::ZERO)), [probe, announcement]);
    assert_eq!(ours(polled(&mut stack, seconds(1))), []);
    assert_eq!(ours(polled(&mut stack, seconds(2))), [announcement]);
    assert_eq!(ours(polled(&mut stack, seconds(60))), []);
    stack.link_up(seconds(70));
    assert_eq!(ours(polled(&mut stack, seconds(70))), [probe, announcement]);
}

#[test]
fn another_host_with_our_address_is_counted_named_and_told_once_in_ten_seconds() {
    let mut stack = settled(stack(1));
    assert_eq!(stack.duplicate(), None);
    let announced = arp(ArpOperation::REQUEST, (mac(9), ip(1)), (NOBODY, ip(1)), BROADCAST);
    let answered = arp(ArpOperation::REPLY, (mac(9), ip(1)), (mac(1), ip(1)), mac(1));
    for (second, frame, defended) in [
        (20, &announced, true),
        (21, &answered, false),
        (29, &announced, false),
        (30, &answered, true),
    ] {
        assert_eq!(event(&mut stack, seconds(second), frame), StackEvent::DuplicateAddress);
        assert_eq!(questions(&polled(&mut stack, seconds(second))).len(), usize::from(defended));
    }
    assert_eq!(stack.duplicate(), Some(mac(9)));
    assert_eq!(stack.counters().of(StackEvent::DuplicateAddress), 4);
    // Our own frames, come back, are no other host's.
    let ours = arp(ArpOperation::REQUEST, (mac(1), ip(1)), (NOBODY, ip(1)), BROADCAST);
    assert_eq!(event(&mut stack, seconds(31), &ours), StackEvent::Echoed);
    // Whoever asks whether it is free hears that it is not (RFC 5227).
    let probe = arp(ArpOperation::REQUEST, (mac(8), [0; 4].into()), (NOBODY, ip(1)), BROADCAST);
    assert_eq!(event(&mut stack, seconds(31), &probe), StackEvent::ArpRequest);
    assert_eq!(read(&polled(&mut stack, seconds(31))[0]).to, mac(8));
}

/// The deadline is neither late nor at once when there is nothing to do.
#[test]
fn the_deadline_is_when_something_is_due() {
    let mut stack = confirmed();
    let _addressing = stack.addressing(Offload::default());
    let mut now = seconds(10);
    let mut polls = 0;
    while now < seconds(3_600) {
        polled(&mut stack, now);
        let due = stack.deadline();
        assert!(due > now, "{due:?} at {now:?}");
        now = due;
        polls += 1;
    }
    assert!(polls < 5_000, "{polls} polls in an hour");
}
