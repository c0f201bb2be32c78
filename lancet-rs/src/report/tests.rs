//! The report says what was measured, in both forms.

use serde_json::Value;

use super::*;
use crate::measure::Ending;

fn origin(has_writes: bool) -> Origin {
    Origin { has_writes, open: None, seed: 7, command: "lancet --rate 100".to_owned() }
}

/// Two phases of a second: 100 answers at 1 ms, then 50 answers at 2 ms, one of each other ending, and a silent half.
fn report(late: u64) -> Report {
    let phases = Phases::parse("before:1s,leader killed:1s").unwrap();
    let mut measures = Measures::new(&phases, Duration::from_secs(1));
    for place in 0..2_u64 {
        let phase = &mut measures.phases[usize::try_from(place).unwrap()];
        for request in 0..100 / (place + 1) {
            phase.counts.scheduled += 1;
            phase.end(Ending::Answered);
            phase.from_schedule.record((place + 1) * 1_000_000);
            phase.from_send.record(900_000);
            phase.pacing.record(late);
            measures.writes.mark(place * 1_000_000_000 + request * 10_000_000);
        }
    }
    let second = &mut measures.phases[1];
    for ending in [Ending::Refused, Ending::Unknown, Ending::Unsent] {
        second.counts.scheduled += 1;
        second.end(ending);
    }
    (second.counts.nacks, second.counts.retries) = (7, 8);
    Report::new(&phases, &measures, origin(true))
}

#[test]
fn the_json_has_the_promised_fields() {
    let json: Value = serde_json::from_str(&report(1_000).json().unwrap()).unwrap();
    let [before, killed] = [0, 1].map(|place| &json["phases"][place]);
    assert_eq!(before["name"], "before");
    assert_eq!((&before["offered_rps"], &before["achieved_rps"]), (&100.0.into(), &100.0.into()));
    assert_eq!((&killed["offered_rps"], &killed["achieved_rps"]), (&53.0.into(), &50.0.into()));
    assert_eq!(before["longest_write_gap_ms"], 10.0);
    // The second phase is silent from its 490th millisecond on.
    assert_eq!(killed["longest_write_gap_ms"], 510.0);
    assert_eq!(json["longest_write_gap_ms"], 510.0);
    assert_eq!(json["operations"], 153);
    assert_eq!(
        (&killed["nacks"], &killed["retries"], &killed["unknown"]),
        (&7.into(), &8.into(), &1.into())
    );
    let close = |value: &Value, wanted: f64| (value.as_f64().unwrap() / wanted - 1.0).abs() < 0.002;
    assert!(close(&before["p50_us"], 1_000.0) && close(&killed["p999_us"], 2_000.0));
    assert!(close(&json["total"]["p50_us"], 1_000.0) && close(&json["total"]["p99_us"], 2_000.0));
    assert!(close(&json["total"]["from_send_p99_us"], 900.0));
    assert_eq!(json["command"], "lancet --rate 100");
    assert_eq!(json["seed"], 7);
    assert!(json["version"].as_str().unwrap().starts_with("lancet "));
    assert_eq!(json["warnings"], Value::Array(Vec::new()));
}

#[test]
fn the_table_has_a_line_for_each_phase_and_the_total() {
    let table = report(1_000).table();
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect())
        .collect();
    assert_eq!(lines[0], HEADINGS);
    assert_eq!(
        lines[2],
        [
            "leader killed",
            "53",
            "50",
            "2.00 ms",
            "2.00 ms",
            "2.00 ms",
            "7",
            "8",
            "1",
            "1",
            "1",
            "510.00 ms"
        ]
    );
    assert_eq!(lines[3][..3], ["total", "76", "75"]);
    assert_eq!(lines.len(), 4);
}

#[test]
fn r1_a_generator_that_does_not_keep_up_says_so() {
    let late = report(5_000_000);
    assert_eq!(late.warnings.len(), 2);
    assert!(late.table().contains("warning: before: the generator did not keep up"));
    assert!(late.table().contains("5.00 ms or more"));
}

#[test]
fn r1_packets_lost_on_this_machine_are_said() {
    let phases = Phases::single("run", Duration::from_secs(1));
    let mut measures = Measures::new(&phases, Duration::ZERO);
    let lost = PacketCounts { lost_receiving: 3, lost_sending: 2, ..PacketCounts::default() };
    (0..2).for_each(|_| measures.packets += lost);
    let report = Report::new(&phases, &measures, origin(true));
    assert!(report.warnings[0].starts_with("6 packets were lost at the generator's own sockets"));
    assert!(report.warnings[1].starts_with("the system would not send 4 packets"));
    let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!(json["packets"]["lost_receiving"], 6);
}

#[test]
fn without_writes_there_is_no_gap() {
    let phases = Phases::single("run", Duration::from_secs(1));
    let measures = Measures::new(&phases, Duration::ZERO);
    let report = Report::new(&phases, &measures, origin(false));
    assert_eq!(report.longest_write_gap_ms, None);
    assert_eq!(report.total.p50_us, None);
    assert!(report.table().lines().nth(1).unwrap().ends_with('-'));
}

#[test]
fn r3_a_closed_loop_says_what_it_does_not_know() {
    let phases = Phases::single("run", Duration::from_secs(1));
    let measures = Measures::new(&phases, Duration::ZERO);
    let report = Report::new(&phases, &measures, Origin { open: Some(64), ..origin(true) });
    assert!(report.table().contains("\nnote: closed loop: 64 requests kept open, latency from"));
    let json: Value = serde_json::from_str(&report.json().unwrap()).unwrap();
    assert_eq!((&json["open"], &json["interrupted_at_seconds"]), (&64.into(), &Value::Null));
}

#[test]
fn r3_an_interrupted_run_is_counted_until_its_end() {
    let phases = Phases::parse("a:1s,b:1s,c:1s").unwrap();
    let mut measures = Measures::new(&phases, Duration::ZERO);
    for (place, answers) in [(0, 100), (1, 50)] {
        let phase = &mut measures.phases[place];
        for _ in 0..answers {
            phase.counts.scheduled += 1;
            phase.end(Ending::Answered);
        }
    }
    measures.stopped_at = Some(1_500_000_000);
    let report = Report::new(&phases, &measures, origin(true));
    let lines: Vec<_> =
        report.phases.iter().map(|line| (line.seconds, line.achieved_rps)).collect();
    assert_eq!(lines, [(1.0, 100.0), (0.5, 100.0)]);
    assert_eq!((report.total.seconds, report.total.achieved_rps), (1.5, 100.0));
    assert_eq!(report.interrupted_at_seconds, Some(1.5));
    assert!(report.table().contains("\nnote: interrupted after 1.5 s: "));
}

#[test]
fn times_choose_their_unit() {
    assert_eq!(
        [None, Some(12.34), Some(1_500.0), Some(2e6)].map(span),
        ["-", "12.3 us", "1.50 ms", "2.00 s"]
    );
}
