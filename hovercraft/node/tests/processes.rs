//! Nodes as processes: command lines, exit codes, signals, deaths.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use core::time::Duration;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

use support::{Files, PATIENCE, TIMING, increment, increment_once, wait_for};

const NODE: &str = env!("CARGO_BIN_EXE_hovercraft-node");
const CTL: &str = env!("CARGO_BIN_EXE_hovercraft-ctl");

/// A node's process; killed when the value goes.
struct Process(Child);

impl Process {
    fn start(files: &Files, id: u8) -> Self {
        let log = File::options().create(true).append(true).open(log_of(files, id)).unwrap();
        let mut command = Command::new(NODE);
        command.args(["--udp", "--", "--config"]).arg(&files.config);
        command.args(["--id", &id.to_string()]);
        Self(command.stdin(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        let killed = Command::new("kill").args([name, &self.0.id().to_string()]).status();
        assert!(killed.unwrap().success());
    }

    /// Waits for the end; the exit code, none after a signal.
    fn end(&mut self) -> Option<i32> {
        wait_for("end of the process", || self.0.try_wait().unwrap()).code()
    }

    /// Time on processors, by `/proc`.
    fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().map(|&place| fields[place].parse::<u64>().unwrap()).sum();
        // USER_HZ is 100 on every Linux of today.
        Duration::from_millis(10 * ticks)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log_of(files: &Files, id: u8) -> std::path::PathBuf {
    files.directory.join(format!("node-{id}.log"))
}

fn log(files: &Files, id: u8) -> String {
    std::fs::read_to_string(log_of(files, id)).unwrap()
}

fn start(files: &Files, ids: &[u8]) -> Vec<Process> {
    ids.iter().map(|&id| Process::start(files, id)).collect()
}

fn ctl(config: &Path, args: &[&str]) -> Output {
    Command::new(CTL).arg("--config").arg(config).args(args).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    said(&Command::new(NODE).args(args).output().unwrap())
}

#[test]
fn check_config_prints_what_is_in_force_or_what_is_wrong() {
    let files = Files::new(3, "mode: raft");
    let config = files.config.to_str().unwrap();
    let (code, out, err) = run(&["--", "--config", config, "--check-config"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, files.cluster.to_ron());
    let (code, _, err) = run(&["--", "--config", config, "--check-config", "--id", "4"]);
    assert_eq!(code, Some(2));
    assert!(err.starts_with("--id 4: no member of the file has this id; it has 1, 2, 3"), "{err}");

    let text = std::fs::read_to_string(&files.config).unwrap();
    for (from, to, complaint) in [
        ("mode: raft", "bound: 0", ":1:"),
        (
            "mode: raft",
            "mode: raft, service: chess",
            "service = chess: this program has kv, synthetic",
        ),
        ("cluster.key", "absent.key", "absent.key"),
    ] {
        let broken = files.directory.join("broken.ron");
        std::fs::write(&broken, text.replace(from, to)).unwrap();
        for check in [&["--check-config"][..], &["--id", "1"]] {
            let args = [&["--udp", "--", "--config", broken.to_str().unwrap()], check].concat();
            let (code, out, err) = run(&args);
            assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
            assert!(err.contains(complaint) && err.contains("broken.ron"), "{err}");
        }
    }
}

#[test]
fn wrong_command_lines_end_with_two_and_busy_ports_with_one() {
    let (code, _, err) = run(&["--xdp", "-l", "2-3", "--", "--config", "x"]);
    assert!(code == Some(2) && err.starts_with("--xdp: no back end is called so"), "{err}");
    assert_eq!(run(&["--", "--id", "1"]).0, Some(2));
    let (code, out, _) = run(&["--help"]);
    assert!(code == Some(0) && out.contains("--check-config"), "{out}");
    let files = Files::new(1, "mode: unreplicated, idle: sleep");
    let config = files.config.to_str().unwrap();
    let (code, _, err) = run(&["--", "--config", config, "--id", "1", "--log", "[,"]);
    assert!(code == Some(2) && err.starts_with("--log [,: "), "{err}");
    let _node = Process::start(&files, 1);
    wait_for("first node", || files.status(1));
    let (code, _, err) = run(&["--", "--config", config, "--id", "1"]);
    assert!(code == Some(1) && err.contains("in use"), "{err}");
}

#[test]
fn a_signal_ends_a_node_and_a_leader_hands_over_first() {
    let files = Files::new(3, &format!("idle: sleep, {TIMING}"));
    let mut nodes = start(&files, &[1, 2, 3]);
    let mut client = files.client();
    let leader = files.leader(&[1, 2, 3]);
    assert_eq!(increment(&mut client, b"n", 100).len(), 100);
    let ended = &mut nodes[usize::from(leader) - 1];
    ended.signal("-TERM");
    let begin = Instant::now();
    assert_eq!(increment_once(&mut client, b"n"), 101);
    let gap = begin.elapsed();
    assert_eq!(ended.end(), Some(0));
    let said = log(&files, leader);
    assert!(said.contains("leadership handed over"), "{said}");
    assert!(gap < Duration::from_secs(5), "the next write took {gap:?}");
    let others: Vec<u8> = [1, 2, 3].into_iter().filter(|&id| id != leader).collect();
    let next = files.leader(&others);
    // Of a group that has no majority left nobody can take over: the time limit ends the wait.
    let last = others.iter().copied().find(|&id| id != next).unwrap();
    nodes[usize::from(last) - 1].signal("-KILL");
    let ended = &mut nodes[usize::from(next) - 1];
    ended.signal("-INT");
    assert_eq!(ended.end(), Some(0));
}

#[test]
fn a_second_signal_ends_a_node_at_once() {
    let files = Files::new(3, &format!("idle: sleep, {TIMING}"));
    let mut nodes = start(&files, &[1, 2, 3]);
    let leader = files.leader(&[1, 2, 3]);
    // Stopped, the others take nothing over, and the leader would wait for its second.
    for id in [1, 2, 3].into_iter().filter(|&id| id != leader) {
        nodes[usize::from(id) - 1].signal("-STOP");
    }
    let ended = &mut nodes[usize::from(leader) - 1];
    ended.signal("-TERM");
    wait_for("hand-over", || log(&files, leader).contains("handing leadership").then_some(()));
    ended.signal("-TERM");
    assert_eq!(ended.end(), Some(0));
    let said = log(&files, leader);
    assert!(said.contains("asked to end at once") || said.contains("in time"), "{said}");
}

#[test]
fn a_killed_leader_costs_no_acknowledged_write_and_comes_back_silent() {
    for (mode, threads) in [("hovercraft", "split"), ("raft", "inline")] {
        let fields = format!("mode: {mode}, threads: {threads}, idle: sleep, {TIMING}");
        let files = Files::new(3, &fields);
        let mut nodes = start(&files, &[1, 2, 3]);
        let mut client = files.client();
        let leader = files.leader(&[1, 2, 3]);
        assert_eq!(increment(&mut client, b"n", 300), (1..=300).collect());
        nodes[usize::from(leader) - 1].signal("-KILL");
        assert_eq!(increment(&mut client, b"n", 300), (301..=600).collect(), "{mode}");
        let others: Vec<u8> = [1, 2, 3].into_iter().filter(|&id| id != leader).collect();
        assert_ne!(files.leader(&others), leader);
        files.equal_states(&others);
        // Its memory is lost: this life is no member (HC11b), and says so.
        let place = usize::from(leader) - 1;
        nodes[place] = Process::start(&files, leader);
        wait_for("silent node", || files.status(leader).filter(|status| status.role == "silent"));
        wait_for("word about it", || {
            log(&files, leader).contains("this life is not a member").then_some(())
        });
        assert_eq!(increment_once(&mut client, b"n"), 601);
        let refused = hovercraft_node::ctl::get(files.admin(leader), "/readyz", PATIENCE);
        assert!(refused.unwrap_err().to_string().starts_with("503: "));
    }
}

#[test]
fn ctl_shows_a_cluster_and_moves_its_leadership() {
    let files = Files::new(3, &format!("idle: sleep, {TIMING}"));
    let mut nodes = start(&files, &[1, 2, 3]);
    increment(&mut files.client(), b"n", 10);
    let leader = files.leader(&[1, 2, 3]);
    let (code, out, err) = said(&ctl(&files.config, &["status"]));
    assert_eq!((code, err.as_str(), out.lines().count()), (Some(0), "", 4), "{out}");
    assert_eq!(out.matches("leader ").count(), 2, "the heading and one node: {out}");
    let (_, out, _) = said(&ctl(&files.config, &["status", "--json"]));
    let statuses: Vec<Option<hovercraft_node::report::NodeStatus>> =
        serde_json::from_str(&out).unwrap();
    let of_leader = statuses[usize::from(leader) - 1].as_ref().unwrap();
    assert_eq!(of_leader.queue.len(), 3);
    let to = leader % 3 + 1;
    let (code, out, err) = said(&ctl(&files.config, &["transfer", "--to", &to.to_string()]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, format!("node {to} leads now; it was node {leader}\n"));
    assert_eq!(files.leader(&[1, 2, 3]), to);
    let (code, _, err) = said(&ctl(&files.config, &["transfer", "--to", "9"]));
    assert!(code == Some(2) && err.contains("no such member"), "{err}");
    let (code, out, _) = said(&ctl(&files.config, &["config"]));
    assert_eq!((code, out), (Some(0), format!("// nodes 1, 2, 3\n{}", files.cluster.to_ron())));

    nodes[usize::from(leader) - 1].signal("-KILL");
    nodes[usize::from(leader) - 1].end();
    let (code, out, _) = said(&ctl(&files.config, &["status"]));
    assert!(code == Some(3) && out.contains("no answer"), "{out}");
    drop(nodes);
    let (code, out, _) = said(&ctl(&files.config, &["status", "--json"]));
    assert_eq!((code, out.as_str()), (Some(4), "[null,null,null]\n"));
    assert_eq!(said(&ctl(&files.config, &["transfer"])).0, Some(4));
    assert_eq!(said(&ctl(Path::new("/nowhere.ron"), &["status"])).0, Some(2));
    assert_eq!(said(&ctl(&files.config, &["dance"])).0, Some(2));
}

#[test]
fn another_key_is_another_cluster() {
    let files = Files::new(3, &format!("idle: sleep, {TIMING}"));
    let _nodes = start(&files, &[1, 2]);
    let other = files.directory.join("other.ron");
    let text = std::fs::read_to_string(&files.config).unwrap();
    std::fs::write(&other, text.replace("cluster.key", "other.key")).unwrap();
    let key = hovercraft_config::ClusterKey::new([8; 32]);
    key.save_new(&files.directory.join("other.key")).unwrap();
    let mut stranger = Command::new(NODE);
    stranger.args(["--", "--id", "3", "--config"]).arg(&other).stderr(Stdio::null());
    let _stranger = Process(stranger.spawn().unwrap());
    wait_for("refused messages", || {
        let refused = |id| files.status(id).map_or(0, |s| s.counters.replica["bad_mac"]);
        [1, 2, 3].iter().all(|&id| refused(id) > 0).then_some(())
    });
    // A birth needs all of the list (HC11c): nobody was fooled into one.
    thread::sleep(Duration::from_secs(1));
    for id in [1, 2, 3] {
        assert_eq!(files.status(id).unwrap().role, "joining");
    }
    let (code, _, err) = said(&ctl(&other, &["transfer"]));
    assert_eq!(code, Some(4), "{err}");
}

#[test]
fn a_cluster_that_sleeps_costs_little_and_answers_at_once() {
    let files = Files::new(3, &format!("idle: sleep, {TIMING}"));
    let nodes = start(&files, &[1, 2, 3]);
    let mut client = files.client();
    increment(&mut client, b"n", 10);
    let busy = || nodes.iter().map(Process::processor_time).sum::<Duration>();
    let (begin, before) = (Instant::now(), busy());
    thread::sleep(Duration::from_secs(2));
    let share = busy().saturating_sub(before).as_secs_f64() / begin.elapsed().as_secs_f64();
    assert!(share < 0.2, "three idle nodes take {share:.2} of a core");
    // Each hand-over between the threads is a wake-up: were they lost, requests would wait for 50 ms sleeps to end.
    let mut times: Vec<Duration> = (0..100)
        .map(|_| {
            let begin = Instant::now();
            increment_once(&mut client, b"n");
            begin.elapsed()
        })
        .collect();
    times.sort();
    assert!(times[50] < Duration::from_millis(25), "half of the requests took {:?}", times[50]);
}
