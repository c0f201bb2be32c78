use super::*;

const START: Instant = Instant::from_secs(1_000);
const SECOND: Instant = Instant::from_secs(1);

fn mac(number: u16) -> [u8; 6] {
    let [high, low] = number.to_be_bytes();
    [2, 0, 0, 0, high, low]
}

fn frame(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    [&to[..], &from, &[8, 0]].concat()
}

fn bridge(ends: usize) -> Bridge {
    let mut bridge = Bridge::default();
    (0..ends).for_each(|_| bridge.add_end());
    bridge
}

#[test]
fn l1_frames_go_where_their_receiver_was_heard_last() {
    let mut bridge = bridge(3);
    let mut way = |from, to, sender| bridge.way(from, &frame(mac(to), mac(sender)), START);
    assert_eq!(way(0, 2, 1), Way::Others, "not heard of");
    assert_eq!(way(1, 1, 2), Way::One(0));
    assert_eq!(way(0, 2, 1), Way::One(1));
    assert_eq!(way(1, 2, 9), Way::Nowhere(Why::Local), "it is there already");
    // It has moved.
    assert_eq!(way(2, 1, 2), Way::One(0));
    assert_eq!(way(0, 2, 1), Way::One(2));
    // An end that goes takes its addresses along; the last one moves up.
    bridge.remove_end(1);
    assert_eq!(bridge.way(0, &frame(mac(2), mac(1)), START), Way::One(1));
    assert_eq!(bridge.way(0, &frame(mac(9), mac(1)), START), Way::Others);
    assert_eq!(bridge.learned(), 2);
}

#[test]
fn l1_groups_reach_all_others_and_reserved_ones_nobody() {
    let mut bridge = bridge(2);
    let mut to = |to| bridge.way(1, &frame(to, mac(1)), START);
    assert_eq!(to([0xff; 6]), Way::Others);
    assert_eq!(to([0x01, 0x00, 0x5e, 0x7f, 0x47, 0x01]), Way::Others);
    assert_eq!(to([0x33, 0x33, 0, 0, 0, 1]), Way::Others);
    for last in 0..=0x0f {
        assert_eq!(to([0x01, 0x80, 0xc2, 0, 0, last]), Way::Nowhere(Why::Reserved));
    }
    assert_eq!(to([0x01, 0x80, 0xc2, 0, 0, 0x10]), Way::Others);
}

#[test]
fn l1_silent_addresses_age() {
    let mut bridge = bridge(2);
    bridge.way(0, &frame([0xff; 6], mac(1)), START);
    let to_it = frame(mac(1), mac(2));
    assert_eq!(bridge.way(1, &to_it, START + AGE_MAX), Way::One(0));
    assert_eq!(bridge.way(1, &to_it, START + AGE_MAX + SECOND), Way::Others);
    // Heard again, it is known again; whoever speaks does not age.
    bridge.way(0, &frame([0xff; 6], mac(1)), START + AGE_MAX);
    assert_eq!(bridge.way(1, &to_it, START + AGE_MAX + SECOND), Way::One(0));
    // A clock that another thread read earlier is no reason to forget.
    assert_eq!(bridge.way(1, &to_it, START), Way::One(0));
}

#[test]
fn l1_who_cannot_be_a_sender_is_dropped_and_not_learned() {
    let mut bridge = bridge(2);
    for sender in [[0xff; 6], [0x01, 0, 0x5e, 0, 0, 1], [0; 6]] {
        let way = bridge.way(0, &frame(mac(1), sender), START);
        assert_eq!(way, Way::Nowhere(Why::Sender), "{sender:?}");
    }
    assert_eq!(bridge.learned(), 0);
    let whole = frame(mac(1), mac(2));
    for len in 0..whole.len() {
        assert_eq!(bridge.way(0, &whole[..len], START), Way::Nowhere(Why::Short), "{len}");
    }
    assert_eq!(bridge.learned(), 0);
}

#[test]
fn l2_an_end_drives_out_its_own_addresses_the_oldest_first() {
    let mut bridge = bridge(2);
    bridge.way(1, &frame([0xff; 6], mac(0)), START);
    let many = u16::try_from(LEARNED_MAX).unwrap();
    for sender in 1..=many {
        bridge.way(0, &frame(mac(0), mac(sender)), START + u32::from(sender) * SECOND / 100);
    }
    assert_eq!(bridge.learned(), LEARNED_MAX + 1);
    // Number 1 speaks again, so that 2 is the one that was silent the longest.
    let later = START + 10 * SECOND;
    bridge.way(0, &frame(mac(0), mac(1)), later);
    bridge.way(0, &frame(mac(0), mac(many + 1)), later);
    assert_eq!(bridge.learned(), LEARNED_MAX + 1);
    let mut to = |to| bridge.way(1, &frame(mac(to), mac(0)), later);
    assert_eq!((to(1), to(3), to(many + 1)), (Way::One(0), Way::One(0), Way::One(0)));
    assert_eq!(to(2), Way::Others);
    assert_eq!(bridge.way(0, &frame(mac(0), mac(1)), later), Way::One(1), "not driven out by them");
}

/// L3, beside a model that looks at every frame ever seen.
#[test]
fn l3_any_bytes_go_where_a_plain_model_says() {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut bridge = bridge(4);
    let room = bridge.heard.capacity();
    let mut seen: Vec<([u8; 6], usize, Instant)> = Vec::new();
    for step in 0..40_000_u32 {
        let now = START + step * SECOND / 50;
        let from = usize::try_from(random(4)).unwrap();
        // Few values, so that addresses return; now and then any at all.
        let mut bytes: Vec<u8> = (0..random(20))
            .map(|place| {
                u8::try_from(if place % 6 < 5 { 2 * random(2) } else { random(4) }).unwrap()
            })
            .collect();
        if random(8) == 0 {
            bytes.fill_with(|| u8::try_from(random(256)).unwrap());
        }
        let way = bridge.way(from, &bytes, now);
        let told = |at: usize| -> Option<[u8; 6]> { bytes.get(at..at + 6)?.try_into().ok() };
        let (Some(to), Some(sender)) = (told(0), told(6).filter(|_| bytes.len() >= 14)) else {
            assert_eq!(way, Way::Nowhere(Why::Short));
            continue;
        };
        if sender[0] & 1 == 1 || sender == [0; 6] {
            assert_eq!(way, Way::Nowhere(Why::Sender));
            continue;
        }
        seen.push((sender, from, now));
        let last = seen.iter().rev().find(|(known, ..)| *known == to && to[0] & 1 == 0);
        let wanted = match last.filter(|(.., at)| now.saturating_sub(*at) <= AGE_MAX) {
            Some(&(_, end, _)) if end == from => Way::Nowhere(Why::Local),
            Some(&(_, end, _)) => Way::One(end),
            None => Way::Others,
        };
        assert_eq!(way, wanted, "step {step}, {bytes:?}");
    }
    assert_eq!(bridge.heard.capacity(), room, "nothing is allocated");
    assert!(bridge.learned() > 20 && seen.len() > 1_000, "the bytes try too little");
}
