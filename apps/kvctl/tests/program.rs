//! The program against a server on loopback: what it prints, and with which status it ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hovercraft_client::test_server::TestServer;
use hovercraft_config::Mode;
use kv::Kv;

/// A server and the file that names it.
struct Store {
    server: TestServer,
    config: PathBuf,
}

/// What the program did.
#[derive(Debug, PartialEq)]
struct Said {
    status: i32,
    output: String,
    error: String,
}

impl Store {
    fn new(mode: Mode) -> Self {
        static STORES: AtomicU64 = AtomicU64::new(0);
        let place = STORES.fetch_add(1, Relaxed);
        let name = format!("kvctl-{}-{place}.ron", std::process::id());
        let config = std::env::temp_dir().join(name);
        let server = TestServer::start(mode, Box::new(Kv::default()), 64);
        fs::write(&config, server.config(&[])).unwrap();
        Self { server, config }
    }

    fn says(&self, arguments: &str) -> Said {
        let config = self.config.to_str().unwrap();
        let words = ["--config", config].into_iter().chain(arguments.split_whitespace());
        kvctl(&words.collect::<Vec<_>>())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.config);
    }
}

fn kvctl(arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_kvctl")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    let status = output.status.code().unwrap();
    Said { status, output: text(output.stdout), error: text(output.stderr) }
}

fn said(status: i32, output: &str, error: &str) -> Said {
    Said { status, output: output.to_owned(), error: error.to_owned() }
}

#[test]
fn a_conversation_in_every_mode() {
    for mode in [Mode::Unreplicated, Mode::Raft, Mode::Hovercraft] {
        let store = Store::new(mode);
        for (arguments, wanted) in [
            ("get k", said(1, "", "kvctl: no such key")),
            ("put k v", said(0, "", "")),
            ("get k", said(0, "v", "")),
            ("append k w", said(0, "vw", "")),
            ("cas k old new", said(1, "", "kvctl: not swapped: the key has vw")),
            ("cas k vw new", said(0, "", "")),
            ("cas --absent k other", said(1, "", "kvctl: not swapped: the key has new")),
            ("cas --absent a first", said(0, "", "")),
            ("incr n", said(0, "1", "")),
            ("incr n -5", said(0, "-4", "")),
            ("incr k", said(1, "", "kvctl: the value is not a number")),
            ("scan", said(0, "a\tfirst\nk\tnew\nn\t-4", "")),
            ("scan b --limit 1", said(0, "k\tnew", "")),
            ("scan x", said(0, "", "")),
            ("delete k", said(0, "", "")),
            ("delete k", said(1, "", "kvctl: no such key")),
        ] {
            assert_eq!(store.says(arguments), wanted, "{mode:?}: {arguments}");
        }
        let sessions = u64::from(mode != Mode::Unreplicated) * 16;
        assert_eq!(store.server.faults().closed.load(Relaxed), sessions, "each session is closed");
    }
}

#[test]
fn a_scan_of_many_pages_is_one_list() {
    let store = Store::new(Mode::Hovercraft);
    let cluster = store.server.cluster(&[]);
    let mut client =
        hovercraft_client::Client::connect(&cluster, &hovercraft_client::Options::default())
            .unwrap();
    for number in 0..2_500 {
        let key = format!("{number:05}");
        let mut body = Vec::new();
        kv::Request::Put { key: key.as_bytes(), value: b"v" }.encode(&mut body).unwrap();
        client.call(hovercraft_client::Kind::Write, &body).unwrap();
    }
    let all = store.says("scan");
    let keys: Vec<&str> = all.output.lines().map(|line| line.split_once('\t').unwrap().0).collect();
    let wanted: Vec<String> = (0..2_500).map(|number| format!("{number:05}")).collect();
    assert_eq!(keys, wanted);
    assert_eq!(store.says("scan 01000 --limit 1200").output.lines().count(), 1_200);
    let json: serde_json::Value =
        serde_json::from_str(&store.says("scan --limit 3 --json").output).unwrap();
    assert_eq!((&json["more"], &json["pairs"][2]["key"]), (&true.into(), &"00002".into()));
}

#[test]
fn json_says_all_on_one_line() {
    let store = Store::new(Mode::Raft);
    assert!(store.says("put k v --json").output.contains(r#""ok":true"#));
    let answer = store.says("get k --json");
    let json: serde_json::Value = serde_json::from_str(&answer.output).unwrap();
    assert_eq!((&json["ok"], &json["value"]), (&true.into(), &"v".into()));
    assert!(json["index"].as_u64().unwrap() > 0);
    let refused = store.says("cas k x y --json");
    assert_eq!((refused.status, refused.error.as_str()), (1, ""));
    assert!(refused.output.contains(r#""error":"conflict","found":"v""#), "{refused:?}");
}

#[test]
fn no_answer_ends_with_status_3_and_says_what_that_means() {
    let store = Store::new(Mode::Hovercraft);
    store.server.faults().silent.store(true, Relaxed);
    let nobody = store.says("put k v --timeout 0.2");
    assert_eq!(nobody.status, 3);
    assert!(nobody.error.contains("nobody opened a session"), "{nobody:?}");
    store.server.faults().silent.store(false, Relaxed);
    // From now on every request is lost: the session opens, the write is not answered.
    store.server.faults().lose_request_every.store(1, Relaxed);
    let write = store.says("put k v --timeout 0.2");
    let read = store.says("get k --timeout 0.2 --json");
    assert_eq!((write.status, read.status), (3, 3));
    assert_eq!(
        write.error,
        "kvctl: no answer in time; the write may have been done, or may yet be"
    );
    assert!(read.output.contains(r#""error":"unknown","message":"no answer in time""#));
}

#[test]
fn wrong_lines_and_files_end_with_status_2() {
    let store = Store::new(Mode::Raft);
    assert_eq!(store.says("put k").status, 2);
    assert_eq!(
        store.says("get k --group other").error,
        "kvctl: --group other: no such group; the file has test"
    );
    assert_eq!(store.says("get k --group other").status, 2);
    let missing = kvctl(&["--config", "/nowhere.ron", "get", "k"]);
    assert_eq!(missing.status, 2);
    assert!(missing.error.contains("/nowhere.ron"), "{missing:?}");
    let key = "k".repeat(kv::KEY_MAX + 1);
    let long = store.says(&format!("get {key}"));
    assert_eq!(
        (long.status, long.error.as_str()),
        (2, "kvctl: a key of 1025 bytes: must be at most 1024")
    );
    assert_eq!(kvctl(&["--help"]).status, 0);
}
