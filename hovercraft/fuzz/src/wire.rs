//! Messages between nodes: any bytes are refused, or written again exactly as they were (W1 of `hovercraft::wire`, HC13).

use std::sync::OnceLock;

use hovercraft::wire::{
    BodyHashKey, Encoder, MAC_LEN, MacKey, NodeMessage, PACKET_MAX, Report, configuration, parse,
};

use crate::draw::Draw;
use crate::forge::{Forger, first_lives};
use crate::host::CLUSTER_KEY;
use crate::ordinary::Random;

/// Bit of the first byte: the cluster has a key.
const KEYED: u8 = 1;
/// Bit of the first byte: the MAC is put right, as somebody with the key would.
const SIGNED: u8 = 2;

/// The body of fuzz target `wire`: a byte that says with which key, then a packet. True when it is a message.
///
/// # Panics
///
/// When a message is not written again as it was, or a configuration not as it was read.
#[must_use]
pub fn wire(bytes: &[u8]) -> bool {
    static ENCODERS: OnceLock<[Encoder; 2]> = OnceLock::new();
    let encoders = ENCODERS
        .get_or_init(|| [Encoder::new(None), Encoder::new(Some(MacKey::derive(&CLUSTER_KEY)))]);
    let Some((&how, packet)) = bytes.split_first() else { return false };
    let _ = configured(packet);
    let encoder = &encoders[usize::from(how & KEYED)];
    match encoder.key() {
        Some(key) if how & SIGNED != 0 => {
            let body = &packet[..packet.len().min(PACKET_MAX - MAC_LEN)];
            written_again(&[body, &key.mac(body)].concat(), encoder)
        }
        _ => written_again(packet, encoder),
    }
}

fn written_again(packet: &[u8], encoder: &Encoder) -> bool {
    let Ok((head, message)) = parse(packet, encoder.key()) else { return false };
    let mut again = [0xAA; PACKET_MAX];
    let len = encoder.message(&mut again, &head, &message);
    assert_eq!(&again[..len], packet, "W1: {message:?}");
    if let NodeMessage::Append { configuration: Some(bytes), .. }
    | NodeMessage::Report(Report { configuration: Some(bytes), .. }) = message
    {
        let _ = configured(bytes);
    }
    true
}

/// A configuration that is read is written as it was.
fn configured(bytes: &[u8]) -> bool {
    let Ok(found) = configuration::decode(bytes) else { return false };
    let mut again = Vec::new();
    assert_eq!(configuration::encode(&found, &mut again), Ok(()), "{found:?}");
    assert_eq!(again, bytes, "{found:?}");
    true
}

/// Messages of every kind, with and without a MAC.
///
/// # Panics
///
/// When one of them is refused.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut random = Random::new(3);
    let mut seeds = Vec::new();
    let lives = first_lives(5);
    for number in 0..240_u32 {
        let keyed = number % 2 == 1;
        let encoder = Encoder::new(keyed.then(|| MacKey::derive(&CLUSTER_KEY)));
        let forger = Forger {
            encoder: &encoder,
            hash_key: BodyHashKey::at_birth(&CLUSTER_KEY, 9),
            cluster_id: 9,
            lives: &lives,
            term: 4,
            indexes: &[5, 7, 9],
            log_time_us: 1_000_000,
            sessions: &[11, 12],
        };
        let choices = random.bytes(700);
        let mut packet = [0; PACKET_MAX];
        let len = forger.message(&mut Draw::new(&choices), &mut packet);
        let flags = if keyed { KEYED } else { 0 };
        let seed = [&[flags], &packet[..len]].concat();
        assert!(wire(&seed), "a well-formed message is refused: {:02x?}", &packet[..len]);
        seeds.push(seed);
        if keyed {
            // Where a fuzzer need not know the key.
            seeds.push([&[KEYED | SIGNED], &packet[..len - MAC_LEN]].concat());
        }
    }
    seeds
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_seeds_are_of_every_kind() {
        let kinds: BTreeSet<u8> = seeds().iter().map(|seed| seed[10]).collect();
        assert_eq!(kinds, (1..=15).collect());
    }
}
