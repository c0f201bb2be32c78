//! `hovercraft-ctl transfer`: asks the leader to hand over, and waits until another one leads.

use core::net::SocketAddr;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use hovercraft::wire::MacKey;
use hovercraft_config::Group;

use super::{AdminError, NO_LEADER, REFUSED, WRONG, ask_all, get, post, say, status};
use crate::admin::command_mac;
use crate::hex;
use crate::report::Challenge;

/// How long the others have to elect the new leader.
const TAKE_OVER_MAX: Duration = Duration::from_secs(3);

/// Returns the exit code.
pub(super) fn run(group: &Group, timeout: Duration, key: Option<[u8; 32]>, to: Option<u8>) -> u8 {
    if let Some(to) = to.filter(|&to| group.members.iter().all(|m| m.id.number() != to)) {
        eprintln!("--to {to}: group {} has no such member", group.name);
        return WRONG;
    }
    let Some((leader, address)) = leader_of(group, timeout) else {
        eprintln!("no member says that it leads; see `hovercraft-ctl status`");
        return NO_LEADER;
    };
    if to == Some(leader) {
        say(&format!("node {leader} leads already\n"));
        return 0;
    }
    if let Err(error) = order(address, timeout, key, to) {
        eprintln!("node {leader}: {error}");
        return REFUSED;
    }
    let end = Instant::now() + TAKE_OVER_MAX;
    while Instant::now() < end {
        match leader_of(group, timeout) {
            Some((now, _)) if now != leader => {
                say(&format!("node {now} leads now; it was node {leader}\n"));
                return if to.is_none_or(|to| to == now) { 0 } else { REFUSED };
            }
            _ => thread::sleep(Duration::from_millis(50)),
        }
    }
    eprintln!("nobody took over from node {leader}");
    REFUSED
}

/// The member that leads in the highest term.
fn leader_of(group: &Group, timeout: Duration) -> Option<(u8, SocketAddr)> {
    let answers = ask_all(group, |member| status::ask(member, timeout));
    let answers = group.members.iter().zip(answers);
    let answers = answers.filter_map(|(member, answer)| Some((member, answer.ok()?)));
    let leads = answers.filter(|(_, status)| status.role == "leader");
    leads.max_by_key(|(_, status)| status.term).map(|(member, status)| (status.id, member.admin))
}

/// The command, under a MAC when there is a key.
fn order(
    address: SocketAddr,
    timeout: Duration,
    key: Option<[u8; 32]>,
    to: Option<u8>,
) -> Result<(), AdminError> {
    let path = to.map_or_else(|| "/transfer".to_owned(), |to| format!("/transfer?to={to}"));
    let Some(key) = key else {
        return post(address, &path, &[], timeout).map(drop);
    };
    let answer = get(address, "/challenge", timeout)?;
    let strange = || AdminError::Strange("a challenge of another version");
    let challenge: Challenge = serde_json::from_slice(&answer).map_err(|_| strange())?;
    let bytes = hex::bytes(&challenge.challenge).and_then(|bytes| bytes.try_into().ok());
    let bytes: [u8; 16] = bytes.ok_or_else(strange)?;
    let mac = hex::digits(&command_mac(&MacKey::derive(&key), &bytes, &path));
    let headers =
        [("Hovercraft-Challenge", challenge.challenge.as_str()), ("Hovercraft-Mac", mac.as_str())];
    post(address, &path, &headers, timeout).map(drop)
}
