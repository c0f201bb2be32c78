use super::*;

/// HC12: a client that repeats one read for ever, where nobody says that bodies may go, must not make a list longer and longer.
#[test]
fn hc12_a_body_named_for_ever_stands_in_a_bounded_list() {
    let settings = StoreSettings { bodies_max: 4, unordered_max: 4, unordered_bytes: 1 << 10 };
    let (mut store, mut pool) = (Store::new(settings), Pool::new(1 << 16));
    let key = BodyKey { id: RequestId::default(), hash: 1 };
    let body = pool.copy(b"read").unwrap();
    let origin = store.slots[0].origin;
    let at = store.insert(key, origin, body, true, &mut pool).unwrap();
    let room = store.kept.capacity();
    for index in 1..1_000 {
        let index = LogIndex::from_wire(index);
        store.pin(at, index);
        store.applied(at, index);
        store.client_copy(at, origin, true);
        assert!(store.is_waiting(at), "asked again (HC5)");
    }
    assert_eq!(store.kept.capacity(), room);
    store.expire(Duration::from_secs(1), 0, Duration::from_millis(1), &mut pool);
    assert_eq!(store.find(&key), Some(at), "kept for laggards");
    store.release(LogIndex::from_wire(1_000), &mut pool);
    assert_eq!(store.find(&key), None);
}
