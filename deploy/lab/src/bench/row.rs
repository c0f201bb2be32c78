//! Rounds, the rows that their medians make, and the table.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Answers per second.
    pub(super) rate: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) sent: u64,
    pub(super) answered: u64,
    pub(super) retries: u64,
    /// CPU time of all servers together.
    pub(super) servers: Duration,
    /// CPU time of the client.
    pub(super) client: Duration,
}

/// A cluster and the floor, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) floor: Sample,
    pub(super) cluster: Sample,
}

/// A cell: medians over its rounds. Times in microseconds from the send to the answer; CPU time, user and system, for each
/// answered request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `namespaces` or `loopback`.
    #[serde(rename = "where")]
    pub place: String,
    /// How the cluster replicates.
    pub mode: String,
    /// Requests open at a time.
    pub open: u32,
    /// Requests answered per second.
    pub rate: f64,
    /// Median time.
    pub p50_us: f64,
    /// 99 % were answered within.
    pub p99_us: f64,
    /// Of all nodes together.
    pub cpu_us_per_op: f64,
    /// Of the load generator.
    pub client_cpu_us_per_op: f64,
    /// As `rate`, of packets echoed.
    pub floor_rate: f64,
    /// As `p50_us`, of packets echoed.
    pub floor_p50_us: f64,
    /// As `p99_us`, of packets echoed.
    pub floor_p99_us: f64,
    /// Of the echo.
    pub floor_cpu_us_per_op: f64,
    /// Of the echo's client.
    pub floor_client_cpu_us_per_op: f64,
    /// Requests of all rounds.
    pub sent: u64,
    /// Of these, answered.
    pub answered: u64,
    /// Requests sent again, in all rounds.
    pub retries: u64,
}

impl Row {
    pub(super) fn new(place: &str, mode: &str, open: u32, rounds: &[Round]) -> Self {
        let clusters = || rounds.iter().map(|round| round.cluster);
        let floors = || rounds.iter().map(|round| round.floor);
        Self {
            place: place.to_owned(),
            mode: mode.to_owned(),
            open,
            rate: median(clusters().map(|sample| sample.rate)),
            p50_us: median(clusters().map(|sample| sample.p50_us)),
            p99_us: median(clusters().map(|sample| sample.p99_us)),
            cpu_us_per_op: median(clusters().map(|sample| sample.per_op(sample.servers))),
            client_cpu_us_per_op: median(clusters().map(|sample| sample.per_op(sample.client))),
            floor_rate: median(floors().map(|sample| sample.rate)),
            floor_p50_us: median(floors().map(|sample| sample.p50_us)),
            floor_p99_us: median(floors().map(|sample| sample.p99_us)),
            floor_cpu_us_per_op: median(floors().map(|sample| sample.per_op(sample.servers))),
            floor_client_cpu_us_per_op: median(floors().map(|sample| sample.per_op(sample.client))),
            sent: clusters().map(|sample| sample.sent).sum(),
            answered: clusters().map(|sample| sample.answered).sum(),
            retries: clusters().map(|sample| sample.retries).sum(),
        }
    }

    fn cells(&self) -> [String; 12] {
        let ratio = |ours: f64, floor: f64| format!("{:.2}", ours / floor);
        [
            self.place.clone(),
            self.mode.clone(),
            self.open.to_string(),
            format!("{:.0}", self.rate),
            ratio(self.rate, self.floor_rate),
            format!("{:.1}", self.p50_us),
            ratio(self.p50_us, self.floor_p50_us),
            format!("{:.1}", self.p99_us),
            ratio(self.p99_us, self.floor_p99_us),
            format!("{:.2}", self.cpu_us_per_op),
            ratio(self.cpu_us_per_op, self.floor_cpu_us_per_op),
            format!("{:.2}", self.client_cpu_us_per_op),
        ]
    }
}

impl Sample {
    #[allow(clippy::cast_precision_loss, reason = "a quotient, shown with two decimals")]
    fn per_op(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.answered.max(1) as f64
    }
}

/// The middle one; of an even number the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let rounded = |value: f64| (value * 1e3).round() / 1e3;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0.0,
        (Some(&high), 0) => rounded(f64::midpoint(values[middle - 1], high)),
        (Some(&value), _) => rounded(value),
    }
}

const HEADINGS: [&str; 12] = [
    "where",
    "mode",
    "open",
    "rate/s",
    "x floor",
    "p50 us",
    "x floor",
    "p99 us",
    "x floor",
    "nodes us/op",
    "x floor",
    "client us/op",
];

/// The rows as a table in Markdown, each figure with its ratio to the floor's behind it.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let lines = [HEADINGS.map(str::to_owned)].into_iter().chain(rows.iter().map(Row::cells));
    let lines: Vec<[String; 12]> = lines.collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, cell) in line.iter().enumerate() {
            let width = width(column);
            // Names to the left, numbers to the right.
            let _ = match column {
                0 | 1 => write!(text, "| {cell:<width$} "),
                _ => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for column in 0..HEADINGS.len() {
                let colon = if column > 1 { ":" } else { "-" };
                let _ = write!(text, "|{}{colon}", "-".repeat(width(column) + 1));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rate: f64, servers_ms: u64) -> Sample {
        Sample {
            rate,
            p50_us: 1e6 / rate,
            p99_us: 2e6 / rate,
            sent: 1_000,
            answered: 1_000,
            retries: 1,
            servers: Duration::from_millis(servers_ms),
            client: Duration::from_millis(5),
        }
    }

    fn row() -> Row {
        let round =
            |rate, servers| Round { floor: sample(2.0 * rate, 4), cluster: sample(rate, servers) };
        let rounds = [round(1_000.0, 20), round(9_000.0, 30), round(2_000.0, 10)];
        Row::new("loopback", "raft", 16, &rounds)
    }

    #[test]
    fn rows_are_medians_and_sums() {
        let row = row();
        assert_eq!((row.rate, row.floor_rate), (2_000.0, 4_000.0));
        assert_eq!((row.p50_us, row.p99_us, row.floor_p50_us), (500.0, 1_000.0, 250.0));
        assert_eq!((row.cpu_us_per_op, row.client_cpu_us_per_op), (20.0, 5.0));
        assert_eq!((row.floor_cpu_us_per_op, row.sent, row.retries), (4.0, 3_000, 3));
        assert_eq!([median([4.0, 1.0].into_iter()), median([].into_iter())], [2.5, 0.0]);
    }

    #[test]
    fn the_table_has_ratios_to_the_floor() {
        let text = table(&[row()]);
        let cells: Vec<&str> = text.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        assert_eq!(
            cells[1..13],
            [
                "loopback", "raft", "16", "2000", "0.50", "500.0", "2.00", "1000.0", "2.00",
                "20.00", "5.00", "5.00"
            ]
        );
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn the_json_has_the_fields_that_programs_read() {
        let json = serde_json::to_value(row()).unwrap();
        for field in ["where", "mode"] {
            assert!(json[field].is_string(), "{field}");
        }
        for field in [
            "open",
            "rate",
            "p50_us",
            "p99_us",
            "cpu_us_per_op",
            "client_cpu_us_per_op",
            "floor_rate",
            "floor_p50_us",
            "floor_p99_us",
            "floor_cpu_us_per_op",
        ] {
            assert!(json[field].is_number(), "{field}");
        }
    }
}
