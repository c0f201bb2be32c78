//! `hovercraft-node --dpdk` as a process, on a device that takes all and gives nothing (`net_null`): no privileges needed.
//!
//! Clusters on DPDK are run by `deploy/lab`; what the back end promises is asked of it in `dataplane`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pcap_parser::{
    Block, PcapBlockOwned, PcapError, PcapNGReader, traits::PcapReaderIterator as _,
};
use support::{Files, wait_for};

/// A member's address that no kernel has.
const OWN: [u8; 4] = [10, 90, 0, 1];

/// Killed when the value goes.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn files(fields: &str) -> Files {
    let files = Files::new(1, &format!("mode: unreplicated, {fields}"));
    let text = fs::read_to_string(&files.config).unwrap();
    let data = files.cluster.groups[0].members[0].data;
    let own = std::net::Ipv4Addr::from(OWN);
    fs::write(&files.config, text.replace(&data.to_string(), &format!("{own}:8200"))).unwrap();
    files
}

fn node(files: &Files, eal: &str, own: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hovercraft-node"));
    command.arg("--dpdk").args(eal.split(' '));
    command.args(["--no-huge", "-m", "128", "--no-pci", "--no-shconf", "--no-telemetry"]);
    command.args(["--vdev", "net_null0,no-rx=1", "--", "--config"]).arg(&files.config);
    command.args(["--id", "1"]).args(own).stdin(Stdio::null());
    command
}

/// What the node says when it cannot start, which it must not.
fn refusal(files: &Files, eal: &str, own: &[&str]) -> String {
    let output = node(files, eal, own).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// The frames of a capture.
fn frames(file: &Path) -> Vec<Vec<u8>> {
    let mut reader = PcapNGReader::new(1 << 16, fs::File::open(file).unwrap()).unwrap();
    let mut frames = Vec::new();
    loop {
        match reader.next() {
            Ok((read, block)) => {
                if let PcapBlockOwned::NG(Block::EnhancedPacket(packet)) = block {
                    frames.push(packet.data[..packet.caplen as usize].to_vec());
                }
                reader.consume(read);
            }
            Err(PcapError::Eof) => return frames,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn a_node_on_dpdk_announces_itself_tells_its_totals_and_ends_when_asked() {
    for (threads, cores) in [("inline", "--lcores 0@0"), ("split", "--lcores 0@0,1@0")] {
        let files = files(&format!("threads: {threads}, idle: sleep"));
        let pcap = files.directory.join("all.pcapng");
        let log = files.directory.join("log");
        let mut command = node(&files, cores, &["--pcap", pcap.to_str().unwrap()]);
        let mut node = Process(command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap());
        let status = wait_for("a node that answers", || files.status(1));
        assert_eq!(status.role, "alone");
        let metrics = files.get(1, "/metrics");
        for total in ["arp_asked", "duplicate_address", "device_missed", "link_changes"] {
            let line = format!("hovercraft_events_total{{thread=\"network\",event=\"{total}\"}}");
            assert!(metrics.contains(&line), "{total} is not in\n{metrics}");
        }
        // The first question whether somebody has the address leaves at once.
        std::thread::sleep(core::time::Duration::from_millis(500));
        let killed = Command::new("kill").args(["-TERM", &node.0.id().to_string()]).status();
        assert!(killed.unwrap().success());
        let end = wait_for("the end", || node.0.try_wait().unwrap());
        let said = fs::read_to_string(&log).unwrap();
        assert_eq!(end.code(), Some(0), "{said}");
        assert!(said.contains("net_null0") && said.contains("frames captured"), "{said}");
        // ARP about our own address, which nobody asked for.
        let announced = |frame: &Vec<u8>| frame[12..14] == [8, 6] && frame[38..42] == OWN;
        assert!(frames(&pcap).iter().any(announced), "{said}");
    }
}

#[test]
fn what_dpdk_cannot_have_is_refused_with_what_to_write() {
    let split = files("threads: split");
    let said = refusal(&split, "-l 1023", &[]);
    assert!(said.contains("--lcores"), "{said}");
    let said = refusal(&split, "--lcores 0@0", &[]);
    assert!(said.contains("threads: split runs two threads") && said.contains("-l 0,1"), "{said}");
    let inline = files("threads: inline");
    let said = refusal(&inline, "--lcores 0@0", &["--port", "net_none7"]);
    assert!(said.contains("net_none7") && said.contains("net_null0"), "{said}");
    let said = refusal(&inline, "--lcores 0@0", &["--pcap", "/nowhere/at/all.pcapng"]);
    assert!(said.contains("--pcap: capture file /nowhere/at/all.pcapng"), "{said}");
}
