//! The binary: files in, report, JSON and exit code out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use history_checker::lines::{Line, Writer};
use history_checker::{Truth, Verdict};

use crate::run::{Run, Shape, answered_write, run};

/// A folder of this test's own, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn lines<T: Line>(&self, name: &str, values: &[T]) {
        let mut writer = Writer::create(&self.0.join(name)).unwrap();
        for value in values {
            writer.write(value).unwrap();
        }
        writer.flush().unwrap();
    }

    fn write(&self, run: &Run) {
        let (one, other) = run.history.split_at(run.history.len() / 2);
        self.lines("one.history", one);
        self.lines("other.history", other);
        for (node, audit) in run.audits.iter().enumerate() {
            self.lines(&format!("{node}.audit"), audit);
        }
        let states: Vec<_> =
            run.states.iter().map(|state| serde_json::to_string_pretty(state).unwrap()).collect();
        fs::write(self.0.join("all.state"), states.join("\n")).unwrap();
    }

    fn check(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_history-check"));
        command.current_dir(&self.0).args(arguments.split(' ')).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const ALL: &str = "--service kv --history one.history other.history --audit 0.audit 1.audit \
                   2.audit --state all.state --json verdict.json";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_good_run_is_0_a_bad_one_1_one_without_evidence_2_one_without_files_3() {
    let folder = Folder::new("exit_codes");
    let mut run = run(Shape::default());
    folder.write(&run);
    let output = folder.check(ALL);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).starts_with("linearizable: true\n"));
    let json = fs::read_to_string(folder.0.join("verdict.json")).unwrap();
    assert!(json.contains("\"linearizable\": true"));
    let verdict: Verdict = serde_json::from_str(&json).unwrap();
    assert_eq!((verdict.operations, verdict.states_compared), (300, 3));

    let output = folder.check("--service kv --history one.history other.history");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("undecided because"));

    let at = run.places(answered_write)[3];
    let index = run.history[at].index;
    run.history[at].reply = vec![9];
    folder.write(&run);
    let output = folder.check(ALL);
    assert_eq!(output.status.code(), Some(1));
    let report = text(&output.stdout);
    assert!(report.contains("violations, wrong reply: 1"), "{report}");
    assert!(report.contains(&format!("said 09 from index {index}")), "{report}");
    let json = fs::read_to_string(folder.0.join("verdict.json")).unwrap();
    let verdict: Verdict = serde_json::from_str(&json).unwrap();
    assert_eq!(verdict.linearizable, Truth::False);

    for arguments in ["--service kv --history none", "--service kv", "--nonsense"] {
        assert_eq!(folder.check(arguments).status.code(), Some(3), "{arguments}");
    }
}

#[test]
fn a_killed_nodes_unfinished_line_is_left_out() {
    let folder = Folder::new("cut");
    folder.write(&run(Shape::default()));
    let path = folder.0.join("1.audit");
    let audit = fs::read(&path).unwrap();
    fs::write(&path, &audit[..audit.len() / 2]).unwrap();
    let output = folder.check(ALL);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("1.audit: last line unfinished"));
    fs::write(&path, [&audit[..audit.len() / 2], b"\n"].concat()).unwrap();
    let output = folder.check(ALL);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("1.audit: line "), "{}", text(&output.stderr));
}
