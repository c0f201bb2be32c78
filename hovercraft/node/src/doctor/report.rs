//! What was found, for people and for programs.

use serde::Serialize;

use super::{BackEnd, Concerns, Finding, State};

/// Columns of the longest name.
const NAME: usize = 21;

#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(rename = "for")]
    back_end: BackEnd,
    /// That concern the back end.
    failures: usize,
    checks: &'a [Finding],
}

/// Failures that concern the back end.
pub(super) fn failures(findings: &[Finding], back_end: BackEnd) -> usize {
    let fails = findings.iter().filter(|one| one.state == State::Fail);
    fails.filter(|one| one.concerns.is_about(back_end)).count()
}

/// One object.
pub(super) fn json(findings: &[Finding], back_end: BackEnd) -> String {
    let failures = failures(findings, back_end);
    let report = Report { back_end, failures, checks: findings };
    // Nothing in it is a map or fails to be written.
    let text = serde_json::to_string_pretty(&report).unwrap_or_default();
    text + "\n"
}

/// A line for each finding, and one for what to do.
pub(super) fn text(program: &str, findings: &[Finding], back_end: BackEnd) -> String {
    let mut text = String::new();
    for Finding { name, concerns, state, found, advice } in findings {
        let mark = match state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "FAIL",
            State::NotApplicable => "-",
        };
        let whom = match concerns {
            Concerns::All => "",
            Concerns::Udp => " (udp)",
            Concerns::Dpdk => " (dpdk)",
        };
        let name = format!("{name}{whom}");
        text += &format!("{mark:>4}  {name:<width$}  {found}\n", width = NAME + 7);
        if let Some(advice) = advice {
            text += &format!("{:>4}  {:<width$}    -> {advice}\n", "", "", width = NAME + 7);
        }
    }
    let count = |state| findings.iter().filter(|one| one.state == state).count();
    let (fails, of_ours) = (count(State::Fail), failures(findings, back_end));
    let [ok, warn, none] = [State::Ok, State::Warn, State::NotApplicable].map(count);
    text += &format!("\n{ok} ok, {warn} to look at, {fails} failed, {none} not applicable. ");
    text += &match (of_ours, fails) {
        (0, 0) => format!("{program} --{back_end} can run here.\n"),
        (0, _) => {
            format!("{program} --{back_end} can run here; what failed is for the other back end.\n")
        }
        (some, _) => format!("{some} must be put right for {program} --{back_end}.\n"),
    };
    text
}
