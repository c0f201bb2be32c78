use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::super::tests::{get, node};
use super::*;
use crate::board::Board;

/// Each sample's value by its name and labels; asks that every line is what the format wants.
pub(in super::super) fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut described, mut helped) = (BTreeMap::new(), BTreeSet::new());
    let mut samples = BTreeMap::new();
    let lines = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in lines.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(helped.insert(rest.split(' ').next().unwrap()), "{line}: twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(described.insert(name, kind).is_none(), "{line}: twice");
        } else if !line.starts_with("# UNIT ") {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            let ends = [("_total", "counter"), ("", "gauge")];
            let parts = ["_bucket", "_sum", "_count"].map(|end| (end, "histogram"));
            let known = |(end, kind): (&str, _)| Some((name.strip_suffix(end)?, kind));
            let mut forms = parts.into_iter().chain(ends).filter_map(known);
            let (family, kind) = forms.find(|(family, _)| described.contains_key(family)).unwrap();
            assert_eq!(described.get(family), Some(&kind), "{line}: not described so");
            assert!(helped.contains(family) && name.starts_with("hovercraft_"), "{line}");
            let value = value.parse().unwrap_or_else(|_| panic!("{line}: no number"));
            assert!(samples.insert(sample.to_owned(), value).is_none(), "{line}: twice");
        }
    }
    samples
}

#[test]
fn every_published_number_is_shown_once() {
    let (node, address) = node("");
    let samples = samples(&get(address, "/metrics").unwrap());
    let build = format!("hovercraft_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(samples[&build], 1.0);
    assert_eq!(samples["hovercraft_role{role=\"alone\"}"], 1.0);
    assert_eq!(samples["hovercraft_role{role=\"leader\"}"], 0.0);
    let info = samples.keys().find(|name| name.starts_with("hovercraft_node_info{")).unwrap();
    assert!(info.contains("mode=\"unreplicated\"") && info.contains("service=\"kv\""), "{info}");
    assert!(samples["hovercraft_uptime_seconds"] < 3_600.0);
    assert!(samples["hovercraft_thread_turn_age_seconds{thread=\"network-thread\"}"] < 60.0);
    let handle = node.handle();
    let boards = handle.boards();
    for (thread, board) in [("network", &boards.network), ("application", &boards.application)] {
        let names: BTreeSet<_> = board.read().iter().map(|(name, _)| name).collect();
        for name in names {
            let event = format!("hovercraft_events_total{{thread=\"{thread}\",event=\"{name}\"}}");
            assert!(is_named(thread, name) != samples.contains_key(&event), "{thread}, {name}");
        }
    }
}

/// A name that is spelt wrong would be shown as zero for ever.
#[test]
fn every_metric_is_of_a_number_that_there_is() {
    let (node, _) = node("");
    let snapshot = Snapshot::of(node.handle());
    let known =
        |thread: &str, name: &str| snapshot.numbers(thread).iter().any(|(known, _)| known == name);
    let counters = COUNTERS.iter().flat_map(|family| family.counters);
    for Counter { thread, total, .. } in counters {
        assert!(known(thread, total), "{thread}: {total}");
    }
    for gauge in GAUGES {
        assert!(known("network", gauge.number), "{}", gauge.number);
    }
    for name in ["role", "leader", "log_time_us"].into_iter().chain(PEER) {
        assert!(known("network", name), "{name}");
    }
}

/// What only some back ends tell is a gauge where it is told, and nothing elsewhere.
#[test]
fn a_back_end_s_own_gauges_are_shown_where_it_has_them() {
    let (node, _) = node("");
    let name = "hovercraft_receive_buffers_in_use";
    let shown =
        |snapshot| samples(&String::from_utf8(text_of("hovercraft", snapshot).body).unwrap());
    assert!(!shown(Snapshot::of(node.handle())).contains_key(name));
    let of_dpdk = Board::with(vec!["receive_buffers_in_use"], ["role"].into_iter(), Duration::ZERO);
    let snapshot = Snapshot { network: of_dpdk.read(), ..Snapshot::of(node.handle()) };
    assert_eq!(shown(snapshot)[name], 0.0);
}
