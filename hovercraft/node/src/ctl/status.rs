//! `hovercraft-ctl status`: the members side by side.

use core::time::Duration;
use std::io::IsTerminal as _;
use std::thread;

use hovercraft_config::{Group, Member};

use super::{AdminError, NO_LEADER, SOME_SILENT, ask_all, get, say};
use crate::report::NodeStatus;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);

const HEADINGS: [&str; 10] =
    ["node", "role", "term", "leader", "commit", "applied", "lag", "unordered", "queue", "address"];

/// A member and its answer.
pub(super) type Row<'a> = (&'a Member, Result<NodeStatus, AdminError>);

/// Prints once, or again and again; returns the exit code.
pub(super) fn run(group: &Group, timeout: Duration, json: bool, watch: bool) -> u8 {
    loop {
        let answers = ask_all(group, |member| ask(member, timeout));
        let rows: Vec<Row<'_>> = group.members.iter().zip(answers).collect();
        let text = if json { json_of(&rows) } else { table(&rows) };
        if watch && !json && std::io::stdout().is_terminal() {
            // Clears the screen.
            say("\x1b[2J\x1b[H");
        }
        say(&text);
        if !watch {
            return exit_code(&rows);
        }
        thread::sleep(EVERY);
    }
}

/// What a member says of itself.
pub(super) fn ask(member: &Member, timeout: Duration) -> Result<NodeStatus, AdminError> {
    let answer = get(member.admin, "/status", timeout)?;
    serde_json::from_slice(&answer).map_err(|_| AdminError::Strange("a status of another version"))
}

/// One line: what each member says, null for one that does not answer.
pub(super) fn json_of(rows: &[Row<'_>]) -> String {
    let said: Vec<Option<&NodeStatus>> = rows.iter().map(|(_, row)| row.as_ref().ok()).collect();
    let mut text = serde_json::to_string(&said).unwrap_or_else(|error| error.to_string());
    text.push('\n');
    text
}

/// Columns in line. `lag`: entries between the highest commit index that anybody names and what this node has applied.
/// `queue`: what its leader counts against it.
pub(super) fn table(rows: &[Row<'_>]) -> String {
    let answered = || rows.iter().filter_map(|(_, row)| row.as_ref().ok());
    let commit = answered().map(|status| status.commit).max().unwrap_or(0);
    let leader = answered().filter(|status| status.role == "leader").max_by_key(|s| s.term);
    let mut lines = vec![HEADINGS.map(str::to_owned).to_vec()];
    let mut trouble = Vec::new();
    for (member, row) in rows {
        let id = member.id.number();
        let mut line = vec![id.to_string()];
        match row {
            Ok(status) => {
                let queues = leader.map(|leader| leader.queue.as_slice()).unwrap_or_default();
                let queue = queues.iter().find(|queue| queue.id == id);
                line.extend([
                    status.role.clone(),
                    status.term.to_string(),
                    status.leader.map_or_else(none, |leader| leader.to_string()),
                    status.commit.to_string(),
                    status.applied.to_string(),
                    commit.saturating_sub(status.applied).to_string(),
                    status.unordered.to_string(),
                    queue.map_or_else(none, |queue| queue.depth.to_string()),
                ]);
                if !status.serving {
                    trouble.push(format!("node {id}: it has stopped (a panic of its service, or a lost body): its log says why"));
                }
            }
            Err(error) => {
                line.push("no answer".to_owned());
                line.extend((0..7).map(|_| none()));
                trouble.push(format!("node {id}: {error}"));
            }
        }
        line.push(member.admin.to_string());
        lines.push(line);
    }
    let mut text = aligned(&lines);
    for line in trouble {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn none() -> String {
    "-".to_owned()
}

/// Words to the left, numbers to the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let mut padded = String::new();
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            let word = matches!(HEADINGS[column], "role" | "address");
            let cell = if word { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
            padded.push_str(&cell);
            padded.push_str("  ");
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

pub(super) fn exit_code(rows: &[Row<'_>]) -> u8 {
    let answered = || rows.iter().filter_map(|(_, row)| row.as_ref().ok());
    if !answered().any(|status| matches!(status.role.as_str(), "leader" | "alone")) {
        NO_LEADER
    } else if answered().count() < rows.len() {
        SOME_SILENT
    } else {
        0
    }
}
