//! HC7: never twice.

use super::Step;

/// No node executes a request, by id and hash, at two indexes.
pub(super) fn hc7_never_twice(step: &Step<'_>) -> Result<(), String> {
    let after = step.after;
    if after.executed.len() == step.before.executed.len() {
        return Ok(());
    }
    let request = |&(index, _): &(u64, u64)| Some((index, after.entry(index)?.request?));
    let requests: Vec<_> = after.executed.iter().filter_map(request).collect();
    for (at, (first, one)) in requests.iter().enumerate() {
        let again = requests[at + 1..].iter().find(|(_, other)| other == one);
        if let Some((second, _)) = again {
            let id = after.id;
            return Err(format!(
                "n{id} executes one request at index {first} and again at {second}"
            ));
        }
    }
    Ok(())
}
