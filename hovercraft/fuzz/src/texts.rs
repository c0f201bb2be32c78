//! Texts from files: `cluster.ron`, quantities and keys; histories, audits and states as JSON lines.

use core::fmt::Debug;
use std::path::Path;

use history_checker::audit::AuditRecord;
use history_checker::history::Operation;
use history_checker::lines::{Line, Reader};
use history_checker::state::NodeState;
use hovercraft_config::{Cluster, ClusterKey, Position, Positions, Size, Span};
use serde::de::DeserializeOwned;

const FILE: &str = "cluster.ron";
const SHORT: &str = include_str!("../seeds/short.ron");
const FULL: &str = include_str!("../seeds/full.ron");
const LINES: &str = include_str!("../seeds/lines.jsonl");

/// The body of fuzz target `config`: a text that is a cluster's is printed as one that means the same. True when it is.
///
/// # Panics
///
/// When the printed text means something else.
#[must_use]
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else { return false };
    if let Ok(span) = text.parse::<Span>() {
        assert_eq!(span.to_string().parse(), Ok(span));
    }
    if let Ok(size) = text.parse::<Size>() {
        assert_eq!(size.to_string().parse(), Ok(size));
    }
    let _ = ClusterKey::from_hex(text);
    let positions = Positions::of(text);
    let _ = positions.path_at(Position { line: 2, column: 3 });
    let Ok(cluster) = Cluster::from_str_at(Path::new(FILE), text) else { return false };
    let printed = cluster.to_ron();
    let again = Cluster::from_str_at(Path::new(FILE), &printed);
    let again = again.unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(again.to_ron(), printed);
    assert_eq!((&again.name, &again.groups), (&cluster.name, &cluster.groups), "{printed}");
    true
}

/// The body of fuzz target `lines`: evidence of a history. True when a line of it was read.
///
/// # Panics
///
/// When what was read is written as something else.
#[must_use]
pub fn lines(bytes: &[u8]) -> bool {
    let operations = read_again::<Operation>(bytes);
    let audits = read_again::<AuditRecord>(bytes);
    let _ = Reader::<_, NodeState>::new(bytes).take_while(Result::is_ok).count();
    operations || audits
}

fn read_again<T: Line + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let read: Vec<T> = Reader::new(bytes).map_while(Result::ok).collect();
    let mut line = Vec::new();
    for value in &read {
        line.clear();
        value.push_json(&mut line);
        line.push(b'\n');
        let mut again = Reader::<_, T>::new(&line[..]);
        match again.next() {
            Some(Ok(again)) => assert_eq!(again, *value),
            other => panic!("{value:?} is written as no such line: {other:?}"),
        }
    }
    !read.is_empty()
}

/// Files of clusters, and their parts.
#[must_use]
pub fn files() -> Vec<Vec<u8>> {
    [SHORT, FULL, "400ms", "64KiB", "5min"].map(|text| text.as_bytes().to_vec()).into()
}

/// Lines of all kinds, together and alone.
#[must_use]
pub fn evidence() -> Vec<Vec<u8>> {
    let all = LINES.as_bytes().to_vec();
    LINES.lines().map(|line| format!("{line}\n").into_bytes()).chain([all]).collect()
}
