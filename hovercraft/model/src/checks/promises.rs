//! HC1a, HC6c and HC11a: what a node says it has, it has, and who has lost its memory says nothing.

use hovercraft::wire::NodeMessage;
use raft_core::message::Message;

use super::Step;

/// HC1a: no entry is in a log without its body, and what is acknowledged stands in the log.
pub(super) fn hc1a_acknowledged_is_held(step: &Step<'_>) -> Result<(), String> {
    if let Some(index) = step.after.missing_body {
        let id = step.after.id;
        return Err(format!("n{id} has index {index} in its log without its body"));
    }
    for packet in step.sent {
        let Some((_, NodeMessage::Raft(Message::Ack { index, .. }))) = packet.message() else {
            continue;
        };
        let (id, last, index) = (step.after.id, step.after.last(), index.to_wire());
        if index > last {
            return Err(format!("n{id} acknowledges index {index}; its log ends at {last}"));
        }
    }
    Ok(())
}

/// HC6c: an entry is bound to the body whose hash it names.
pub(super) fn hc6c_bodies(step: &Step<'_>) -> Result<(), String> {
    match step.after.wrong_body {
        Some(index) => {
            let id = step.after.id;
            Err(format!("n{id} has another body at index {index} than its entry names"))
        }
        None => Ok(()),
    }
}

/// HC11a: a life that no configuration names neither votes nor acknowledges.
pub(super) fn hc11a_fresh_lives(step: &Step<'_>) -> Result<(), String> {
    if !step.after.is_outside() {
        return Ok(());
    }
    for packet in step.sent {
        if let Some((_, NodeMessage::Raft(message))) = packet.message() {
            let id = step.after.id;
            return Err(format!("n{id}, which belongs to no cluster, says {message:?}"));
        }
    }
    Ok(())
}
