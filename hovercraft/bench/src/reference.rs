//! Instruction counts of an earlier run, held against those of this one: they hardly vary, so a rise is somebody's doing.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::measurement::Row;
use crate::world::Shape;

/// Rows as `--json` writes them; what times say is not compared.
#[derive(Debug, Deserialize)]
struct File {
    rows: Vec<Earlier>,
}

#[derive(Debug, Deserialize)]
struct Earlier {
    #[serde(flatten)]
    shape: Shape,
    instructions_per_op: Option<f64>,
    leader_instructions_per_op: Option<f64>,
}

/// Compares each row of `file` with the one of its shape in `rows`.
///
/// # Errors
///
/// A count more than `margin` percent above the earlier one; a row of the file that was not measured; no counts.
pub(crate) fn compare(file: &Path, margin: f64, rows: &[Row]) -> Result<()> {
    let name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("reading {name}"))?;
    let earlier: File = serde_json::from_str(&text).with_context(|| format!("{name}"))?;
    ensure!(!earlier.rows.is_empty(), "{name} has no rows: nothing to compare with");
    let mut worse = Vec::new();
    for earlier in &earlier.rows {
        let Some(row) = rows.iter().find(|row| row.shape == earlier.shape) else {
            bail!("{name}: {earlier:?} was not measured in this run");
        };
        for (what, then, now) in [
            ("operation", earlier.instructions_per_op, row.instructions_per_op),
            ("leader", earlier.leader_instructions_per_op, row.leader_instructions_per_op),
        ] {
            let (Some(then), Some(now)) = (then, now) else {
                bail!("instructions were not counted, here or in {name}");
            };
            let change = (now / then - 1.0) * 100.0;
            let Shape { mode, nodes, batch, .. } = row.shape;
            let shape = format!("{mode:?}, {nodes} nodes, batch {batch}");
            let line = format!("{shape}, {what}: {then:.0} then, {now:.0} now ({change:+.1} %)");
            println!("{line}");
            if change > margin {
                worse.push(line);
            }
        }
    }
    ensure!(worse.is_empty(), "more than {margin} % above {name}: {}", worse.join("; "));
    Ok(())
}
