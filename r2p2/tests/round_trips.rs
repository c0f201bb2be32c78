//! What is emitted is parsed to the same value, and what is cut into packets comes together again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use proptest::prelude::*;
use r2p2::buffer::Pool;
use r2p2::extension::{Extension, Flags, HEAD_MAX};
use r2p2::feedback::Feedback;
use r2p2::fragment::Form;
use r2p2::header::{DATAGRAM_MAX, Header, MessageKind, PACKETS_MAX, Place, Policy};
use r2p2::packet::{Packet, emit_head};
use r2p2::reassembly::{Arrived, Progress, Reassembly, Settings};
use r2p2::request_id::ClientAddress;

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::Unrestricted),
        Just(Policy::Fixed),
        Just(Policy::Replicated),
        Just(Policy::ReplicatedRead),
    ]
}

fn flags() -> impl Strategy<Value = Flags> {
    any::<[bool; 4]>().prop_map(|[opens, closes, wanted, repeats]| Flags {
        opens,
        closes,
        wanted,
        repeats,
    })
}

fn form() -> impl Strategy<Value = Form> {
    let number = 1_000_000u64..;
    prop_oneof![
        (any::<u16>(), policy())
            .prop_map(|(request_id, policy)| Form::PlainRequest { request_id, policy }),
        any::<u16>().prop_map(|request_id| Form::PlainResponse { request_id }),
        (any::<u64>(), number.clone(), any::<u16>(), policy(), flags()).prop_map(
            |(session, number, above_floor, policy, flags)| Form::Request {
                session,
                number,
                above_floor,
                policy,
                flags
            }
        ),
        (any::<u64>(), number, any::<u64>())
            .prop_map(|(session, number, executed)| Form::Response { session, number, executed }),
    ]
}

fn place() -> impl Strategy<Value = (Place, u16)> {
    (1..=PACKETS_MAX)
        .prop_flat_map(|packets| (0..packets, Just(packets)))
        .prop_map(|(index, packets)| (Place::of(index, packets), packets))
}

fn body(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at % 251).to_le_bytes()[0] ^ seed).collect()
}

proptest! {
    #[test]
    fn headers(
        (place, packets) in place(),
        policy in policy(),
        kind in 0..6usize,
        number in 70_000u64..,
        session: u64,
        above_floor: u16,
        flags in flags(),
        executed: u64,
        extended: bool,
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let kinds = [
            MessageKind::Request,
            MessageKind::Response,
            MessageKind::Ack,
            MessageKind::Drop,
            MessageKind::RaftRequest,
            MessageKind::RaftMessage,
        ];
        let kind = kinds[kind];
        let request_id = u16::try_from(number & 0xFFFF).unwrap();
        let header = Header { kind, policy, request_id, place };
        let executed = if kind == MessageKind::Response { executed } else { 0 };
        let extension = Extension { session, number, packets, above_floor, flags, executed };
        let may_extend = !matches!(kind, MessageKind::RaftRequest | MessageKind::RaftMessage);
        let extension = (extended && may_extend).then_some(extension);
        let mut head = [0; HEAD_MAX];
        let len = emit_head(&header, extension.as_ref(), &mut head);
        let datagram = [&head[..len], &payload].concat();
        prop_assert_eq!(Packet::parse(&datagram), Ok(Packet { header, extension, payload: &payload }));
    }

    #[test]
    fn feedback(count: Option<u32>, request_id: u16, client_port: u16, ip: u32) {
        let feedback = Feedback { count, request_id, client_port, client_ip: ip.into() };
        prop_assert_eq!(Feedback::parse(&feedback.emit()), Ok(feedback));
    }

    /// F1, and M1 under reordering and duplicates: the first packet of a plain message goes first.
    #[test]
    fn messages(
        form in form(),
        len in prop_oneof![0..6_000usize, 0..400_000usize],
        order in any::<prop::sample::Index>(),
        swaps in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..300),
        again in any::<prop::sample::Index>(),
        seed: u8,
    ) {
        let body = body(len, seed);
        let mut packets: Vec<Vec<u8>> = form
            .fragments(len)
            .unwrap()
            .map(|fragment| [&*fragment.head, &body[fragment.range]].concat())
            .collect();
        prop_assert!(packets.iter().all(|packet| packet.len() <= DATAGRAM_MAX));
        let plain = matches!(form, Form::PlainRequest { .. } | Form::PlainResponse { .. });
        let movable = if plain { 1.min(packets.len() - 1) } else { 0 };
        for (a, b) in swaps {
            let rest = &mut packets[movable..];
            rest.swap(a.index(rest.len()), b.index(rest.len()));
        }
        let twice = packets[again.index(packets.len())].clone();
        if packets.len() > 1 {
            packets.insert(order.index(packets.len() - 1) + movable.min(1), twice);
        }
        let settings = Settings { body_max: 400_000, ..Settings::default() };
        let mut reassembly = Reassembly::new(settings, 1);
        let mut pool = Pool::new(1 << 24);
        let from = ClientAddress::from("10.0.0.1:9".parse::<std::net::SocketAddr>().unwrap());
        let now = Duration::from_secs(1);
        let arrived = Arrived { now, not_before: now, from };
        let request = matches!(form, Form::PlainRequest { .. } | Form::Request { .. });
        let mut whole = None;
        for packet in &packets {
            let packet = Packet::parse(packet).unwrap();
            let came = if request {
                match reassembly.request(arrived, &packet, &mut pool) {
                    Progress::Whole(request) => Some(request.body),
                    _ => None,
                }
            } else {
                match reassembly.response(arrived, &packet, &mut pool) {
                    Progress::Whole(response) => Some(response.body),
                    _ => None,
                }
            };
            if let Some(came) = came {
                prop_assert!(whole.is_none());
                whole = Some(came);
            }
        }
        prop_assert_eq!(&**whole.as_ref().unwrap(), &body[..]);
        pool.give_back(whole.unwrap());
        prop_assert_eq!(reassembly.len(), 0);
        prop_assert_eq!(pool.used(), 0);
    }
}

#[test]
fn lengths_at_the_edges_of_packets() {
    let request = Form::PlainRequest { request_id: 1, policy: Policy::Fixed };
    let sizes = |form: Form, len| -> Vec<usize> {
        form.fragments(len).unwrap().map(|fragment| fragment.range.len()).collect()
    };
    // wire.md 1.2, seen on the wire.
    assert_eq!(sizes(request, 0), [0]);
    assert_eq!(sizes(request, 1_464), [1_464]);
    assert_eq!(sizes(request, 1_465), [14, 1_451]);
    assert_eq!(sizes(request, 4_000), [14, 1_464, 1_464, 1_058]);
    assert_eq!(sizes(Form::PlainResponse { request_id: 1 }, 1_465), [1_464, 1]);
    let response = Form::Response { session: 1, number: 2, executed: 3 };
    assert_eq!(sizes(response, 2_865), [1_432, 1_432, 1]);
    for form in [request, response, Form::PlainResponse { request_id: 1 }] {
        assert_eq!(form.packets(form.body_max()), Some(1_024));
        assert_eq!(form.packets(form.body_max() + 1), None);
        assert!(form.fragments(form.body_max() + 1).is_none());
        assert_eq!(form.fragment(1, 10), None);
    }
    assert_eq!(request.body_max(), 14 + 1_023 * 1_464);
}
