//! The table of neighbours, where it expects to stand, and its scenes.

use core::net::Ipv4Addr;

use loom::thread;

use crate::scenes::model;

#[path = "../../../dataplane/src/net/mac.rs"]
mod mac;
#[path = "../../../dataplane/src/net/table.rs"]
mod table;

use mac::MacAddress;
use table::{TableWriter, bucket};

/// Two addresses take turns in one slot: a reader of one gets an Ethernet address of its own, or none.
pub(crate) fn neighbours() -> u64 {
    model(Some(2), || {
        let (first, second) = (Ipv4Addr::new(10, 0, 0, 1), rival(Ipv4Addr::new(10, 0, 0, 1)));
        let of = |n| MacAddress([n; 6]);
        let mut writer = TableWriter::new();
        let place = bucket(first);
        writer.set(place, first, of(1));
        let reader = writer.reader();
        let reading = thread::spawn(move || {
            assert!(reader.find(first).is_none_or(|found| found == of(1) || found == of(3)));
        });
        writer.set(place, second, of(2));
        writer.set(place, first, of(3));
        assert!(reading.join().is_ok());
    })
}

/// Another address of the same bucket.
fn rival(of: Ipv4Addr) -> Ipv4Addr {
    let others = (1..).map(|n| Ipv4Addr::from_bits(of.to_bits() + n));
    others.into_iter().find(|&other| bucket(other) == bucket(of)).unwrap_or(of)
}

/// What a sender asks for is told to the writer, at this look or at the next.
pub(crate) fn asked() -> u64 {
    model(Some(2), || {
        let wanted = Some(Ipv4Addr::new(10, 0, 0, 7));
        let mut writer = TableWriter::new();
        let reader = writer.reader();
        let looking = thread::spawn(move || {
            let told = writer.is_asked() && writer.take_asked().contains(&wanted);
            (writer, told)
        });
        assert!(wanted.is_none_or(|wanted| reader.ask(wanted)));
        let Ok((mut writer, mut told)) = looking.join() else { unreachable!("a panic ends it") };
        told |= writer.is_asked() && writer.take_asked().contains(&wanted);
        assert!(told, "a question was lost");
    })
}
