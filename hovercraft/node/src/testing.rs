//! Clusters for this crate's tests: text of a file, nodes in this process.

#[path = "../tests/support/addresses.rs"]
mod addresses;

use std::path::PathBuf;

use hovercraft_config::Cluster;

use self::addresses::network_of_our_own;

/// A file in a directory of its own, which goes with the value.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let directory = format!("hovercraft-node-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The text of a file with one group: `nodes` members on loopback addresses that no other call gives, and `fields`.
pub(crate) fn text(nodes: u8, fields: &str) -> String {
    let [third, fourth] = network_of_our_own(40..100);
    let net = format!("127.{third}.{fourth}");
    let members: Vec<String> = (1..=nodes)
        .map(|id| format!("(id: {id}, data: \"{net}.{id}:8100\", admin: \"{net}.{id}:9100\")"))
        .collect();
    let multicast = format!("239.{third}.{fourth}.9:8100");
    format!("(groups: [(members: [{}], multicast: \"{multicast}\", {fields})])", members.join(", "))
}

/// [`text`], read.
pub(crate) fn cluster(nodes: u8, fields: &str) -> Cluster {
    read(&text(nodes, fields))
}

pub(crate) fn read(text: &str) -> Cluster {
    let path = PathBuf::from("/nowhere/cluster.ron");
    Cluster::from_str_at(&path, text).unwrap_or_else(|error| panic!("{error}"))
}
