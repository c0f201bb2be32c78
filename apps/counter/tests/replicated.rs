//! The service of README's "write your own service", replicated: three processes of this crate's binary on loopback.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hovercraft_client::{Client, Kind, Options};
use hovercraft_config::Cluster;

/// Three processes and their directory, gone with the value.
struct Running(Vec<Child>, PathBuf);

impl Drop for Running {
    fn drop(&mut self) {
        for node in &mut self.0 {
            let _ = node.kill();
            let _ = node.wait();
        }
        let _ = fs::remove_dir_all(&self.1);
    }
}

#[test]
fn a_counter_counts_on_three_nodes_and_outlives_its_leader() {
    let process = std::process::id();
    let directory = std::env::temp_dir().join(format!("counter-{process}"));
    fs::create_dir_all(&directory).unwrap();
    let member = |id: u32| {
        let ip = format!("127.99.{}.{id}", process % 251);
        format!("(id: {id}, data: \"{ip}:8300\", admin: \"{ip}:9300\")")
    };
    let members: Vec<String> = (1..=3).map(member).collect();
    let text = format!(
        "(groups: [(service: counter, idle: sleep, multicast: \"239.99.{}.1:8300\", members: [{}])])",
        process % 251,
        members.join(", ")
    );
    let config = directory.join("cluster.ron");
    fs::write(&config, text).unwrap();
    let start = |id: u32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counter"));
        command.args(["--", "--id", &id.to_string(), "--config"]).arg(&config);
        command.stderr(Stdio::null()).spawn().unwrap()
    };
    let mut nodes = Running((1..=3).map(start).collect(), directory);

    let cluster = Cluster::load(&config).unwrap();
    let patience = Duration::from_secs(60);
    let options =
        Options { connect_timeout: patience, request_timeout: patience, ..Options::default() };
    let mut client = Client::connect(&cluster, &options).unwrap();
    let mut call = |kind, request: &str| {
        let answer = client.call(kind, request.as_bytes()).unwrap();
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    assert_eq!(call(Kind::Write, "add 5"), "5");
    assert_eq!(call(Kind::Write, "add -7"), "-2");
    assert_eq!(call(Kind::Read, "read"), "-2");
    assert_eq!(call(Kind::Write, "make tea"), "try `add 5` or `read`");

    // Whichever leads: after one death two of three go on.
    nodes.0[0].kill().unwrap();
    for value in -1..50 {
        assert_eq!(call(Kind::Write, "add 1"), value.to_string());
    }
    assert_eq!(call(Kind::Read, "read"), "49");
}
