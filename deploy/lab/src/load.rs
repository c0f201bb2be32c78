//! The load generator at work: its command, its ticks, its report.
//!
//! `lancet` prints one JSON object per second on standard output; that is read on a thread and handed over by a channel, so
//! that the one who waits sees signals and the moment to kill a leader, too.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::cluster::Lab;
use crate::ffi;
use crate::inproc::LOG;

/// How often the waiting looks up.
const TURN: Duration = Duration::from_millis(20);

/// What load to make.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The load generator.
    pub program: PathBuf,
    /// Requests per second.
    pub rate: u32,
    /// What to send, as `lancet --workload` takes it.
    pub workload: String,
    /// Names and lengths.
    pub phases: Vec<(String, Duration)>,
}

/// A line that `lancet` prints for programs.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event {
    /// The schedule begins.
    Begin {
        /// Its zero on the monotonic clock.
        monotonic_us: u64,
    },
    /// A second has passed.
    Progress(Tick),
    /// A load inside the process of all nodes has ended.
    Ended {
        /// Whether it went through.
        good: bool,
    },
    /// Not for us.
    #[serde(other)]
    Other,
}

/// One second of load.
#[derive(Clone, Debug, Deserialize)]
pub struct Tick {
    /// Since the start of the load.
    pub seconds: f64,
    /// The phase that the schedule is in.
    pub phase: String,
    /// Sent per second.
    pub sent_rps: f64,
    /// Answered per second.
    pub answered_rps: f64,
    /// Median latency.
    pub p50_us: f64,
    /// 99 % of the answers came within.
    pub p99_us: f64,
    /// Sent and not ended.
    pub open: u64,
    /// Packets refused.
    pub nacks: u64,
    /// Requests sent again.
    pub retries: u64,
}

/// What `lancet` found out: the fields of its report that ours has, too.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// In order of time.
    pub phases: Vec<Phase>,
    /// The longest time without an acknowledged write, over all phases.
    pub longest_write_gap_ms: Option<f64>,
    /// Requests scheduled.
    pub operations: u64,
    /// What makes the figures doubtful.
    pub warnings: Vec<String>,
}

/// One phase of it; times in microseconds, none without an answer.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of lancet's report, documented there")]
pub struct Phase {
    pub name: String,
    pub offered_rps: f64,
    pub achieved_rps: f64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p999_us: Option<f64>,
    pub nacks: u64,
    pub retries: u64,
}

/// A load that goes on.
#[derive(Debug)]
pub struct Load {
    /// None inside the process of all nodes.
    child: Option<Child>,
    events: Receiver<Event>,
    /// The schedule's zero on the monotonic clock.
    began: Option<Duration>,
    log: PathBuf,
    report: PathBuf,
    /// The recorded history.
    pub history: PathBuf,
}

impl Plan {
    /// Length of all phases.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.phases.iter().map(|(_, length)| *length).sum()
    }

    /// What `lancet` is told: where it finds the cluster, and puts history and report.
    fn words(&self, files: [&Path; 3]) -> anyhow::Result<Vec<String>> {
        let text = |file: &Path| file.to_str().map(str::to_owned);
        let texts: Option<Vec<String>> = files.into_iter().map(text).collect();
        let texts = texts.context("the lab's directory has a name that is no text")?;
        let [config, history, report] = [0, 1, 2].map(|place| texts[place].clone());
        let named = [
            ("--config", config),
            ("--rate", self.rate.to_string()),
            ("--phases", self.phases_text()),
            ("--workload", self.workload.clone()),
            ("--history", history),
            ("--json", report),
            ("--progress", "json".to_owned()),
        ];
        Ok(named.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect())
    }

    fn phases_text(&self) -> String {
        let entries =
            self.phases.iter().map(|(name, length)| format!("{name}:{}ms", length.as_millis()));
        entries.collect::<Vec<_>>().join(",")
    }
}

impl Load {
    /// Starts the load where the lab's clients are: as a process, or inside that of all nodes.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(lab: &mut Lab, plan: &Plan) -> anyhow::Result<Self> {
        let file = |name: &str| lab.view.path.join(name);
        let (report, history) = (file("lancet.json"), file("history.jsonl"));
        let words = plan.words([&file("cluster.ron"), &history, &report])?;
        let network = lab.view.state.network;
        let (child, out, log) = if network.is_one_process() {
            let log = file(LOG);
            (None, lab.start_load_inside(inside(words, network.client()))?, log)
        } else {
            let log = file("lancet.log");
            let (child, out) = beside(lab, &plan.program, &words, &log)?;
            (Some(child), out, log)
        };
        Ok(Self { child, events: read_events(out), began: None, log, report, history })
    }

    /// Waits until `until` of the schedule is over, or, without it, until the load has ended. Ticks go to `show`.
    ///
    /// # Errors
    ///
    /// When the load ended too early or not well, or `interrupted` says so.
    pub fn wait(
        &mut self,
        until: Option<Duration>,
        show: &mut dyn FnMut(&Tick),
        interrupted: &dyn Fn() -> bool,
    ) -> anyhow::Result<()> {
        loop {
            ensure!(!interrupted(), "interrupted");
            match self.events.recv_timeout(TURN) {
                Ok(Event::Begin { monotonic_us }) => {
                    self.began = Some(Duration::from_micros(monotonic_us));
                }
                Ok(Event::Progress(tick)) => show(&tick),
                Ok(Event::Other) => {}
                Ok(Event::Ended { good }) => {
                    let fits = until.is_none() && good;
                    ensure!(fits, "the load ended badly, or early:\n{}", self.last_words());
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.end(interrupted)?;
                    let fits = until.is_none() && status.success();
                    ensure!(fits, "the load generator ended with {status}:\n{}", self.last_words());
                    return Ok(());
                }
            }
            let due = until.zip(self.began).map(|(until, began)| began + until);
            let due = due.is_some_and(|due| ffi::monotonic() >= due);
            if due {
                return Ok(());
            }
        }
    }

    /// What it found out, once it has ended.
    ///
    /// # Errors
    ///
    /// When there is no report or another one than we know.
    pub fn report(&self) -> anyhow::Result<Report> {
        read_report(&self.report)
    }

    fn end(&mut self, interrupted: &dyn Fn() -> bool) -> anyhow::Result<ExitStatus> {
        let last_words = self.last_words();
        let child = self.child.as_mut();
        let child =
            child.with_context(|| format!("the process of the nodes ended:\n{last_words}"))?;
        loop {
            ensure!(!interrupted(), "interrupted");
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(TURN);
        }
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// What a load takes that runs where the nodes are: the only client of its wire.
fn inside(mut words: Vec<String>, from: IpAddr) -> Vec<String> {
    let more = ["--sessions", "1", "--from", &from.to_string()];
    words.extend(more.map(str::to_owned));
    words.insert(0, "lancet".to_owned());
    words
}

/// A load that is a process, where the lab's clients are.
fn beside(
    lab: &Lab,
    program: &Path,
    words: &[String],
    log: &Path,
) -> anyhow::Result<(Child, ChildStdout)> {
    let name = program.display();
    ensure!(program.is_file(), "no program {name}; build it with `cargo build --release`");
    let mut command = lab.client_command(program.as_os_str())?;
    command.args(words).stdout(Stdio::piped()).stderr(File::create(log)?);
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let out = child.stdout.take().context("the load generator has no output")?;
    Ok((child, out))
}

fn read_report(file: &Path) -> anyhow::Result<Report> {
    let text = fs::read(file).with_context(|| format!("no report in {}", file.display()))?;
    serde_json::from_slice(&text).context("the load generator's report is not understood")
}

fn read_events(out: ChildStdout) -> Receiver<Event> {
    let (hand_over, events) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let event = serde_json::from_str(&line).unwrap_or(Event::Other);
            if hand_over.send(event).is_err() {
                return;
            }
        }
    });
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_written_as_lancet_reads_them() {
        let ms = Duration::from_millis;
        let phases = vec![("before".to_owned(), ms(1_200)), ("leader killed".to_owned(), ms(600))];
        let plan = Plan { program: "lancet".into(), rate: 1, workload: "kv".to_owned(), phases };
        assert_eq!(plan.phases_text(), "before:1200ms,leader killed:600ms");
        assert_eq!(plan.duration(), ms(1_800));
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        let event = |line| serde_json::from_str::<Event>(line).unwrap();
        let begin = event(r#"{"event":"begin","monotonic_us":7,"seed":1,"phases":[]}"#);
        assert!(matches!(begin, Event::Begin { monotonic_us: 7 }));
        let tick = event(
            r#"{"event":"progress","seconds":1.0,"phase":"before","sent_rps":9.0,"answered_rps":8.0,"p50_us":1.0,
            "p99_us":2.0,"open":3,"nacks":0,"retries":4,"unknown":0,"refused":0,"unsent":0}"#,
        );
        assert!(matches!(tick, Event::Progress(Tick { open: 3, retries: 4, .. })));
        assert!(matches!(event(r#"{"event":"report","phases":[]}"#), Event::Other));
    }

    #[test]
    fn a_report_may_have_more_than_we_know() {
        let text = r#"{"phases":[{"name":"before","seconds":8.0,"offered_rps":10.0,"achieved_rps":9.5,"p50_us":1.5,
            "p99_us":2.0,"p999_us":null,"max_us":3.0,"nacks":1,"retries":2}],"total":{},"longest_write_gap_ms":412.5,
            "operations":80,"warnings":[],"command":"lancet","version":"lancet 0.1.0"}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!((report.operations, report.longest_write_gap_ms), (80, Some(412.5)));
        assert_eq!((report.phases[0].p999_us, report.phases[0].retries), (None, 2));
    }
}
