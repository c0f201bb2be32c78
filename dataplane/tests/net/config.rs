//! What may be configured, and what is said where it may not.

use std::time::Duration;

use dataplane::net::{ConfigError, MacAddress, Stack, StackConfig};

use super::frames::{config, mac};

fn refused(change: impl FnOnce(&mut StackConfig)) -> String {
    let mut config = config(1);
    change(&mut config);
    let error: ConfigError = Stack::new(config, Duration::ZERO).unwrap_err();
    error.to_string()
}

#[test]
fn nonsense_is_refused_with_value_bound_and_remedy() {
    let host = |text: &str| text.parse().unwrap();
    for (said, expected) in [
        (
            refused(|c| c.mac = MacAddress::BROADCAST),
            "mac = ff:ff:ff:ff:ff:ff: must be the address of one",
        ),
        (
            refused(|c| c.mac = MacAddress::NOBODY),
            "mac = 00:00:00:00:00:00: must be the address of one",
        ),
        (refused(|c| c.own = host("10.0.0.255:1")), "own = 10.0.0.255/24: must be one host's"),
        (refused(|c| c.own = host("10.0.0.0:1")), "own = 10.0.0.0/24: must be one host's"),
        (refused(|c| c.own = host("127.0.0.1:1")), "own = 127.0.0.1/24: must be one host's"),
        (refused(|c| c.own = host("239.0.0.1:1")), "own = 239.0.0.1/24: must be one host's"),
        (refused(|c| c.own = host("10.0.0.1:0")), "10.0.0.1:0: the port must be 1 to 65535"),
        (refused(|c| c.prefix = 0), "prefix = 0: must be 1 to 32"),
        (refused(|c| c.prefix = 33), "prefix = 33: must be 1 to 32"),
        (
            refused(|c| c.gateway = Some([10, 0, 1, 1].into())),
            "gateway = 10.0.1.1: must be another host's address in 10.0.0.1/24",
        ),
        (
            refused(|c| c.gateway = Some([10, 0, 0, 1].into())),
            "gateway = 10.0.0.1: must be another host's",
        ),
        (
            refused(|c| c.gateway = Some([10, 0, 0, 255].into())),
            "gateway = 10.0.0.255: must be another host's",
        ),
        (refused(|c| c.vlan = Some(0)), "vlan = 0: must be 1 to 4094"),
        (refused(|c| c.vlan = Some(4_095)), "vlan = 4095: must be 1 to 4094"),
        (refused(|c| c.groups[1] = host("10.0.0.7:1")), "group 10.0.0.7:1: must be 224.0.0.2 to"),
        (refused(|c| c.groups[1] = host("224.0.0.1:1")), "group 224.0.0.1:1: must be 224.0.0.2 to"),
        (refused(|c| c.groups[1] = host("239.0.0.1:0")), "239.0.0.1:0: the port must be"),
        (refused(|c| c.groups[1] = c.groups[0]), "group 239.0.0.9:7001: named twice"),
        (
            refused(|c| c.groups = (1..34).map(|n| host(&format!("239.0.0.9:{n}"))).collect()),
            "33 groups: must be 32 at most",
        ),
        (refused(|c| c.mtu = 575), "mtu = 575: must be 576 to 9216"),
        (refused(|c| c.mtu = 9_217), "mtu = 9217: must be 576 to 9216"),
        (refused(|c| c.multicast_ttl = 0), "multicast_ttl = 0: must be 1 to 255"),
    ] {
        assert!(said.starts_with(expected), "{said}, not {expected}");
        assert!(said.contains("; "), "{said}: no remedy");
    }
}

#[test]
fn the_smallest_subnets_have_no_broadcast() {
    for (own, prefix, gateway) in [
        ("10.0.0.0:1", 31, Some([10, 0, 0, 1].into())),
        ("10.0.0.255:1", 32, Some([172, 16, 0, 1].into())),
        ("10.0.0.1:1", 1, None),
        ("10.0.0.1:1", 24, Some([10, 0, 0, 254].into())),
    ] {
        let config =
            StackConfig { gateway, ..StackConfig::new(mac(1), own.parse().unwrap(), prefix) };
        assert!(Stack::new(config, Duration::ZERO).is_ok(), "{own}/{prefix}");
    }
}
