//! The program as it is called: exit statuses, files, lines of progress.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use hovercraft_config::Mode;
use serde_json::Value;

use support::{Folder, kv_server, read, synthetic_server};

fn lancet(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lancet"));
    command.args(arguments.split_whitespace()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_run_prints_a_table_and_writes_json_and_history() {
    let (server, folder) = (kv_server(Mode::Hovercraft), Folder::new());
    let (config, json, history) =
        (folder.config(&server), folder.file("report.json"), folder.file("history"));
    let arguments = format!(
        "--config {} --rate 1000 --phases one:1s,two:500ms --threads 2 --json {} --history {}",
        config.display(),
        json.display(),
        history.display()
    );
    let output = lancet(&arguments);
    let (table, progress) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{progress}");
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("phase ") && lines[0].ends_with("write gap"), "{table}");
    let names = lines[1..4].iter().map(|line| line.split_whitespace().next().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["one", "two", "total"]);
    assert!(
        progress.lines().any(|line| line.contains("1.0 s  one  ") && line.contains("answered"))
    );
    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    for field in
        ["offered_rps", "achieved_rps", "p50_us", "p99_us", "p999_us", "longest_write_gap_ms"]
    {
        assert!(report["phases"][1][field].as_f64().unwrap() > 0.0, "{field}: {report}");
    }
    for field in ["nacks", "retries", "unknown"] {
        assert!(report["phases"][1][field].is_u64(), "{field}: {report}");
    }
    assert_eq!(report["operations"].as_u64().unwrap(), read(&history).len() as u64);
    assert!(report["command"].as_str().unwrap().contains(" --phases one:1s,two:500ms "));
    assert!(report["seed"].is_u64() && report["total"].is_object());
}

#[test]
fn json_lines_on_standard_output_are_for_programs() {
    let (server, folder) = (kv_server(Mode::Raft), Folder::new());
    let config = folder.config(&server);
    let arguments =
        format!("--config {} --rate 500 --duration 2100ms --progress json", config.display());
    let output = lancet(&arguments);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let [first, between @ .., last] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((*first, *last), ("begin", "report"));
    assert!(between.len() >= 2 && between.iter().all(|event| *event == "progress"), "{events:?}");
    assert!(lines[0]["monotonic_us"].as_u64().unwrap() > 0);
    assert_eq!(lines[0]["phases"][0]["end_seconds"], 2.1);
    assert!(lines[2]["answered_rps"].as_f64().unwrap() > 300.0, "{}", lines[2]);
    assert_eq!(lines[lines.len() - 1]["phases"][0]["name"], "run");
    assert!(text(&output.stderr).contains("phase "), "the table goes to standard error");
}

/// Starts a run of a minute, and waits for its first line about it.
fn running(arguments: &str) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lancet"));
    command.args(arguments.split_whitespace()).args(["--duration", "60s", "--progress", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    for event in ["begin", "progress"] {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(line.contains(&format!(r#""event":"{event}""#)), "{line}");
    }
    (child, lines)
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn interrupted_it_reports_what_was_done() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let (server, folder) = (kv_server(Mode::Hovercraft), Folder::new());
        let (config, json, history) =
            (folder.config(&server), folder.file("report.json"), folder.file("history"));
        let arguments = format!(
            "--config {} --rate 1000 --json {} --history {}",
            config.display(),
            json.display(),
            history.display()
        );
        let (mut child, mut lines) = running(&arguments);
        signal(&child, name);
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        let mut table = String::new();
        child.stderr.take().unwrap().read_to_string(&mut table).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{table}");
        assert!(table.contains("\nnote: interrupted after "), "{table}");
        assert!(rest.lines().last().unwrap().contains(r#""event":"report""#));
        let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
        let operations = report["operations"].as_u64().unwrap();
        assert!(operations > 500, "{report}");
        assert_eq!(
            report["total"]["answered"].as_u64().unwrap(),
            operations,
            "it waited for answers"
        );
        assert_eq!(read(&history).len() as u64, operations);
        assert!((0.9..30.0).contains(&report["interrupted_at_seconds"].as_f64().unwrap()));
    }
}

#[test]
fn a_second_signal_waits_for_nobody() {
    let (server, folder) = (kv_server(Mode::Hovercraft), Folder::new());
    let config = folder.config(&server);
    let (mut child, _lines) =
        running(&format!("--config {} --open 4 --timeout 50s", config.display()));
    server.faults().silent.store(true, Relaxed);
    signal(&child, "INT");
    // The first must have been taken: two that wait together count as one.
    thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it waits for answers");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}

#[test]
fn quiet_says_nothing() {
    let (server, folder) = (kv_server(Mode::Raft), Folder::new());
    let config = folder.config(&server);
    let output =
        lancet(&format!("--config {} --rate 500 --duration 1200ms --quiet", config.display()));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()));
}

#[test]
fn wrong_arguments_and_files_end_with_status_2() {
    let folder = Folder::new();
    let broken = folder.file("broken.ron");
    fs::write(&broken, "(groups: [(mode: quantum)])").unwrap();
    for (arguments, message) in [
        ("--rate 1 --duration 1s".to_owned(), "--config"),
        ("--config /nowhere.ron --rate 1 --duration 1s".to_owned(), "/nowhere.ron"),
        (format!("--config {} --rate 1 --duration 1s", broken.display()), "quantum"),
        ("--config x --rate 1 --duration 10".to_owned(), "no unit"),
    ] {
        let output = lancet(&arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {error}");
        assert!(error.contains(message), "{arguments}: {error}");
    }
}

#[test]
fn replies_of_another_service_end_with_status_1() {
    let (server, folder) = (synthetic_server(Mode::Raft), Folder::new());
    let config = folder.config(&server);
    let output = lancet(&format!("--config {} --rate 200 --duration 200ms", config.display()));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("is this the service of the workload?"));
}

#[test]
fn a_history_that_cannot_be_written_ends_with_status_1() {
    let (server, folder) = (kv_server(Mode::Raft), Folder::new());
    let config = folder.config(&server);
    let output = lancet(&format!(
        "--config {} --rate 2000 --duration 500ms --history /dev/full --quiet",
        config.display()
    ));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("lancet: /dev/full: "), "{}", text(&output.stderr));
}
