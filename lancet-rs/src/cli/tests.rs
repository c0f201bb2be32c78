//! Arguments that make a run, and those that do not.

use std::path::Path;

use std::ffi::OsString;

use super::*;

/// A file with a cluster in it, removed when dropped.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn file(name: &str, text: &str) -> File {
    let path = std::env::temp_dir().join(format!("lancet-cli-{}-{name}", std::process::id()));
    fs::write(&path, text).unwrap();
    File(path)
}

fn cluster(name: &str) -> File {
    let member = "(id: 1, data: \"127.0.0.1:8000\", admin: \"127.0.0.1:9000\")";
    file(name, &format!("(groups: [(name: \"main\", mode: unreplicated, members: [{member}])])"))
}

fn parsed(config: &Path, arguments: &[&str]) -> Result<Arguments, clap::Error> {
    let config = config.to_str().unwrap();
    Arguments::try_parse_from(["lancet", "--config", config].iter().chain(arguments))
}

fn plan(name: &str, arguments: &[&str]) -> Result<Plan, PlanError> {
    let config = cluster(name);
    Plan::new(&parsed(&config.0, arguments).unwrap())
}

fn fault(name: &str, arguments: &[&str]) -> String {
    plan(name, arguments).unwrap_err().to_string()
}

#[test]
fn defaults_make_a_run() {
    let plan = plan("defaults", &["--rate", "20000", "--duration", "10s"]).unwrap();
    let Pace::Open(schedule) = plan.pace else { panic!("{:?}", plan.pace) };
    assert_eq!((schedule.gaps, schedule.rate), (Gaps::Exponential, 20_000.0));
    assert_eq!(schedule.duration, Duration::from_secs(10));
    assert_eq!((plan.threads, plan.sessions_per_thread), (1, 4));
    assert_eq!(plan.timeout, Duration::from_secs(2));
    assert_eq!(plan.phases, Phases::single("run", Duration::from_secs(10)));
    assert_eq!(plan.mode(), Mode::Unreplicated);
}

#[test]
fn a_closed_loop_has_a_number_instead_of_a_rate() {
    let plan = plan("closed", &["--open", "16", "--duration", "1s", "--threads", "3"]).unwrap();
    assert_eq!((plan.pace.open(), plan.threads, plan.sessions_per_thread), (Some(16), 3, 4));
}

#[test]
fn without_a_log_nothing_is_scanned_unless_asked_for() {
    let scans = |name, arguments: &[&str]| match plan(name, arguments).unwrap().workload {
        Workload::Kv(shape) => shape.scans,
        other => panic!("{other:?}"),
    };
    let run = ["--rate", "1", "--duration", "1s", "--scans", "0.5"];
    assert_eq!((scans("scans-a", &run[..4]), scans("scans-b", &run)), (0.0, 0.5));
}

#[test]
fn without_a_seed_every_run_has_its_own() {
    let seed = |name| plan(name, &["--rate", "1", "--duration", "1s"]).unwrap().seed;
    assert_ne!(seed("seed-a"), seed("seed-b"));
    let chosen = plan("seed-c", &["--rate", "1", "--duration", "1s", "--seed", "7"]).unwrap();
    assert_eq!(chosen.seed, 7);
}

#[test]
fn phases_come_from_the_command_line_or_a_file() {
    let text = "before:10s,leader killed:5s";
    let spoken = plan("phases", &["--rate", "1", "--phases", text]).unwrap();
    assert_eq!(spoken.phases.duration(), Duration::from_secs(15));
    let phases = file("phase-file", "before:10s\nleader killed:5s\n");
    let read = ["--rate", "1", "--phase-file", phases.0.to_str().unwrap()];
    assert_eq!(plan("phase-cluster", &read).unwrap().phases, spoken.phases);
}

#[test]
fn faults_name_the_argument_and_the_bound() {
    assert!(fault("f1", &["--rate", "1"]).starts_with("no duration: give --duration 10s"));
    let run = |more: &[&'static str]| {
        let mut arguments = vec!["--duration", "1s", "--rate", "1"];
        arguments.extend(more);
        arguments
    };
    assert!(
        fault("f2", &["--duration", "1s", "--rate", "0"]).starts_with("--rate 0: must be above")
    );
    assert!(fault("f3", &["--duration", "1s", "--rate", "NaN"]).starts_with("--rate NaN"));
    assert_eq!(fault("f4", &run(&["--threads", "0"])), "--threads 0: must be 1 to 256");
    assert_eq!(
        fault("f5", &run(&["--threads", "4", "--sessions", "3"])),
        "--sessions 3: must be at least --threads 4 and at most 65536"
    );
    assert!(
        fault("f6", &run(&["--workload", "echo:4"]))
            .starts_with("--workload echo:4: write kv, stss")
    );
    assert_eq!(
        fault("f7", &run(&["--workload", "stss_1_300000_8"])),
        "requests of up to 300024 bytes: the cluster takes 262144 (limits.request_max)"
    );
    assert!(fault("f8", &run(&["--group", "other"])).contains("has no such group; it has main"));
    let phases = ["--rate", "1", "--phases", "a:1s,b"];
    assert!(fault("f9", &phases).starts_with("--phases: phase 2: no duration"));
    assert_eq!(
        fault("f11", &["--open", "1", "--threads", "2", "--duration", "1s"]),
        "--open 1: must be at least --threads 2, and at most 32768 with 8 sessions (--sessions)"
    );
    let many = ["--open", "4097", "--sessions", "1", "--duration", "1s"];
    assert!(fault("f12", &many).ends_with("at most 4096 with 1 sessions (--sessions)"));
    let missing = ["--rate", "1", "--phase-file", "/nowhere/phases"];
    assert!(fault("f10", &missing).starts_with("--phase-file /nowhere/phases: "));
}

#[test]
fn a_missing_cluster_is_named() {
    let arguments = parsed(Path::new("/nowhere/cluster.ron"), &["--rate", "1"]).unwrap();
    assert!(Plan::new(&arguments).unwrap_err().to_string().contains("/nowhere/cluster.ron"));
}

#[test]
fn the_parser_refuses_contradictions_and_bad_numbers() {
    let refused = |arguments: &[&str]| parsed(Path::new("x"), arguments).is_err();
    assert!(refused(&["--rate", "1", "--duration", "1s", "--phases", "a:1s"]));
    assert!(refused(&["--rate", "1", "--duration", "10"]));
    assert!(refused(&["--duration", "1s"]));
    assert!(refused(&["--rate", "1", "--open", "1", "--duration", "1s"]));
    assert!(refused(&["--open", "1", "--arrivals", "fixed", "--duration", "1s"]));
    assert!(refused(&["--rate", "many", "--duration", "1s"]));
    assert!(refused(&["--rate", "1", "--duration", "1s", "--reads", "1.5"]));
    assert!(refused(&["--rate", "1", "--duration", "1s", "--keys", "0"]));
    assert!(refused(&["--rate", "1", "--duration", "1s", "--arrivals", "bursty"]));
    assert!(!refused(&["--rate", "1", "--duration", "1s", "--arrivals", "fixed"]));
}

fn words(text: &str) -> Result<Arguments, clap::Error> {
    Arguments::of(text.split_whitespace().map(OsString::from))
}

#[test]
fn what_stands_before_the_separator_is_the_eals() {
    let read = words("lancet --dpdk -l 2 --no-huge -- --config c.ron --rate 1 --port 1").unwrap();
    assert_eq!(read.dpdk, Some(["-l", "2", "--no-huge"].map(str::to_owned).to_vec()));
    assert_eq!((read.config, read.port.as_str()), (PathBuf::from("c.ron"), "1"));
    assert_eq!(words("lancet --dpdk -- --config c.ron --rate 1").unwrap().dpdk, Some(vec![]));
    assert_eq!(words("lancet --config c.ron --rate 1").unwrap().dpdk, None);
    let wrong = words("lancet --dpdk -l 2 --config c.ron --rate 1").unwrap_err().to_string();
    assert!(wrong.contains("end with `--`"), "{wrong}");
}

#[test]
fn dpdk_has_one_session_and_an_address_of_its_own() {
    let dpdk = |name, more: &[&str]| {
        let file = cluster(name);
        let more = [&["--rate", "1", "--duration", "1s"], more].concat();
        let arguments = parsed(&file.0, &more).unwrap();
        Plan::new(&Arguments { dpdk: Some(vec![]), ..arguments })
    };
    let plan = dpdk("dpdk", &["--from", "10.0.0.9"]).unwrap();
    assert_eq!((plan.threads, plan.sessions_per_thread), (1, 1));
    let from = plan.dpdk.unwrap().from;
    assert_eq!(from.ip().to_string(), "10.0.0.9");
    assert!(from.port() >= 32_768);
    let wrong = |name, more: &[&str]| dpdk(name, more).unwrap_err().to_string();
    assert!(wrong("dpdk-from", &[]).contains("--from"));
    let many = wrong("dpdk-many", &["--from", "10.0.0.9", "--sessions", "4"]);
    assert!(many.contains("one thread with one session"), "{many}");
}
