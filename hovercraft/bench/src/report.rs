//! The table, and the same as JSON.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::measurement::Row;
use crate::stages;
use crate::world::{Shape, word};

/// The line above the rows.
pub(crate) fn head() {
    println!(
        "{:<10} {:>5} {:>7} {:>5} {:>5} | {:>9} {:>9} | {:>9} {:>9} {:>6} {:>6}",
        "mode",
        "nodes",
        "request",
        "reply",
        "batch",
        "ns/op",
        "instr/op",
        "leader ns",
        "instr",
        "rx",
        "tx"
    );
}

/// One line, and with `split` the leader's stages below it.
pub(crate) fn row(row: &Row, split: bool) {
    let Shape { mode, nodes, request, reply, batch, .. } = row.shape;
    let count =
        |count: Option<f64>| count.map_or_else(|| "-".to_owned(), |count| format!("{count:.0}"));
    println!(
        "{:<10} {:>5} {:>7} {:>5} {:>5} | {:>9.0} {:>9} | {:>9.0} {:>9} {:>6.2} {:>6.2}",
        word(mode),
        nodes,
        request,
        reply,
        batch,
        row.cpu_ns_per_op,
        count(row.instructions_per_op),
        row.leader_ns_per_op,
        count(row.leader_instructions_per_op),
        row.leader_rx_per_op,
        row.leader_tx_per_op,
    );
    let Some(stages) = row.stages.as_ref().filter(|_| split) else { return };
    let parts: Vec<String> =
        stages::of(row.shape.wire).map(|stage| format!("{stage} {:.0}", stages[stage])).collect();
    println!("           leader's instructions: {}", parts.join(", "));
}

/// Writes `{"rows": [...]}`.
///
/// # Errors
///
/// The file cannot be written.
pub(crate) fn json(file: &Path, rows: &[Row]) -> Result<()> {
    let text = serde_json::to_string_pretty(&serde_json::json!({ "rows": rows }))?;
    fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))
}
