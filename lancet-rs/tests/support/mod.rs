//! A server on loopback, and plans of runs against it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use clap::Parser as _;
use history_checker::history::Operation;
use history_checker::lines::Reader;
use hovercraft_client::test_server::TestServer;
use hovercraft_config::Mode;
use kv::Kv;
use lancet_rs::cli::{Arguments, Plan};
use lancet_rs::measure::{Counts, Measures};
use lancet_rs::progress::Progress;
use lancet_rs::report::{Origin, Report};
use lancet_rs::run::{connect, run};
use lancet_rs::stop::Stop;
use synthetic::{Pace, Synthetic};

/// Files of one test, removed when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static FOLDERS: AtomicU64 = AtomicU64::new(0);
        let place = FOLDERS.fetch_add(1, Relaxed);
        let path = std::env::temp_dir().join(format!("lancet-{}-{place}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn config(&self, server: &TestServer) -> PathBuf {
        let path = self.file("cluster.ron");
        fs::write(&path, server.config(&[])).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn kv_server(mode: Mode) -> TestServer {
    TestServer::start(mode, Box::new(Kv::default()), 4_096)
}

pub(crate) fn synthetic_server(mode: Mode) -> TestServer {
    TestServer::start(mode, Box::new(Synthetic::new(Pace::NONE)), 4_096)
}

/// A finished run.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) measures: Measures,
    pub(crate) history: Vec<Operation>,
}

impl Run {
    pub(crate) fn counts(&self) -> Counts {
        self.measures.total().counts
    }

    pub(crate) fn report(&self) -> Report {
        let origin = Origin {
            has_writes: true,
            open: self.plan.pace.open(),
            seed: 0,
            command: String::new(),
        };
        Report::new(&self.plan.phases, &self.measures, origin)
    }
}

/// Runs a load on `server` while `meanwhile` does something to it.
pub(crate) fn run_while(
    server: &TestServer,
    arguments: &str,
    meanwhile: impl FnOnce() + Send,
) -> Run {
    run_until(server, arguments, &Stop::new(), meanwhile)
}

/// The same, unless it is asked to stop.
pub(crate) fn run_until(
    server: &TestServer,
    arguments: &str,
    stop: &Stop,
    meanwhile: impl FnOnce() + Send,
) -> Run {
    let folder = Folder::new();
    let config = folder.config(server);
    let line = format!("lancet --config {} --seed 7 {arguments}", config.display());
    let plan = Plan::new(&Arguments::try_parse_from(line.split_whitespace()).unwrap()).unwrap();
    let file = folder.file("history");
    let measures = thread::scope(|scope| {
        scope.spawn(meanwhile);
        run(&plan, Some(&file), Progress::None, stop, &connect).unwrap()
    });
    Run { plan, measures, history: read(&file) }
}

pub(crate) fn run_on(server: &TestServer, arguments: &str) -> Run {
    run_while(server, arguments, || {})
}

pub(crate) fn read(history: &Path) -> Vec<Operation> {
    let lines = Reader::<_, Operation>::open(history).unwrap();
    lines.collect::<Result<_, _>>().unwrap()
}

/// Says nothing for `length`, once the load has gone on for `after`.
pub(crate) fn pause(server: &TestServer, after: Duration, length: Duration) {
    let faults = server.faults();
    while faults.executed.load(Relaxed) == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(after);
    faults.silent.store(true, Relaxed);
    thread::sleep(length);
    faults.silent.store(false, Relaxed);
}
