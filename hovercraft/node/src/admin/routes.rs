//! What the admin endpoint answers.

use std::io::{self, Write};
use std::time::Instant;

use history_checker::lines::Line as _;
use history_checker::state::{NodeState, Scan};
use hovercraft::wire::MacKey;
use r2p2::request_id::RequestId;
use raft_core::ids::{LogIndex, NodeId};
use serde::Serialize;

use super::challenges::Challenges;
use super::http::{Answer, Content, Request, Respond, Status, write, write_head};
use super::{command_mac, metrics};
use crate::handle::{AskError, Handle};
use crate::health::{Check, report};
use crate::traces::{REQUESTS_MAX, Wanted};
use crate::{audit, hex, traces};

/// What a node can be asked.
#[derive(Debug)]
pub(super) struct Routes {
    pub(super) handle: Handle,
    pub(super) challenges: Challenges,
}

impl Respond for Routes {
    fn answer(&self, request: &Request<'_>, out: &mut impl Write) -> io::Result<()> {
        let known = matches!(request.path, "/status" | "/audit" | "/state" | "/config" | "/livez")
            || matches!(
                request.path,
                "/readyz" | "/metrics" | "/trace" | "/challenge" | "/transfer"
            );
        let method = if request.path == "/transfer" { "POST" } else { "GET" };
        let answer = match request.path {
            _ if !known => Answer::text(Status::NotFound, "no such path; see the manual"),
            _ if request.method != method => Answer::text(
                Status::MethodNotAllowed,
                &format!("{} is asked with {method}", request.path),
            ),
            "/audit" => match self.audit_from(request) {
                Ok(from) => return self.audit(from, out),
                Err(refused) => refused,
            },
            "/status" => self.handle.status().map_or_else(unavailable, |status| json(&status)),
            "/state" => self.state(request).unwrap_or_else(|refused| refused),
            "/config" => Answer::text(Status::Ok, self.handle.plan().cluster.to_ron().trim_end()),
            "/livez" => health("livez", &self.handle.live_checks(), request),
            "/readyz" => health("readyz", &self.handle.ready_checks(), request),
            "/metrics" => metrics::answer(&self.handle),
            "/trace" => self.trace(request).unwrap_or_else(|refused| refused),
            "/challenge" => {
                let challenge = hex::digits(&self.challenges.give(Instant::now()));
                json(&crate::report::Challenge { challenge })
            }
            _ => self.transfer(request).unwrap_or_else(|refused| refused),
        };
        write(out, &answer)
    }
}

impl Routes {
    /// What the rings hold of the requests asked for.
    fn trace(&self, request: &Request<'_>) -> Result<Answer, Answer> {
        let bad = |text: &str| Answer::text(Status::BadRequest, text);
        let number = |name| {
            let text = request.field(name);
            text.map(|text| text.parse().map_err(|_| bad(&format!("{name} must be a number"))))
        };
        let wanted = match (request.field("request"), number("index"), number("last")) {
            (Some(names), None, None) => {
                let ids: Option<Vec<RequestId>> = names.split(',').map(traces::parse).collect();
                Wanted::Requests(
                    ids.ok_or_else(|| bad("a request is session:number or ip:port:id"))?,
                )
            }
            (None, Some(index), None) => Wanted::Index(index?),
            (None, None, Some(last)) => {
                Wanted::Last(usize::try_from(last?).unwrap_or(REQUESTS_MAX).min(REQUESTS_MAX))
            }
            _ => return Err(bad("ask with one of request=, index= and last=")),
        };
        let rings = &self.handle.boards().traces;
        if rings.is_empty() {
            let text = "this node keeps no trace: its file says trace: (events: 0)";
            return Err(Answer::text(Status::Conflict, text));
        }
        Ok(json(&traces::select(self.handle.plan().member.id.number(), rings, &wanted)))
    }

    fn state(&self, request: &Request<'_>) -> Result<Answer, Answer> {
        let query = request.field("query").map(|digits| {
            let refused = || Answer::text(Status::BadRequest, "query must be hexadecimal digits");
            hex::bytes(digits).ok_or_else(refused)
        });
        let query = query.transpose()?;
        let state = self.handle.state(query.clone()).map_err(unavailable)?;
        let scan = match (query, state.reply) {
            (None, _) => None,
            (Some(request), Some(reply)) => Some(Scan { request, reply }),
            (Some(_), None) => {
                let text = "the service does not answer this as a query";
                return Err(Answer::text(Status::BadRequest, text));
            }
        };
        Ok(json(&NodeState {
            node: self.handle.plan().member.id.number().into(),
            applied: state.applied,
            state_hash: state.state_hash,
            scan,
        }))
    }

    fn transfer(&self, request: &Request<'_>) -> Result<Answer, Answer> {
        if let Some(key) = &self.handle.plan().replica.mac {
            self.authorize(key, request)?;
        }
        let members = &self.handle.plan().group.members;
        let to = request.field("to").map(|number| {
            let id = number.parse().ok().and_then(NodeId::new);
            let member = id.filter(|id| members.iter().any(|member| member.id == *id));
            let refused = || Answer::text(Status::BadRequest, "to must be a member's id");
            member.ok_or_else(refused)
        });
        let started = self.handle.hand_leadership_over(to.transpose()?).map_err(unavailable)?;
        if !started {
            let text = "this node does not lead, or that one cannot take over now";
            return Err(Answer::text(Status::Conflict, text));
        }
        tracing::info!("the operator asked for another leader");
        Ok(json(&crate::report::TransferStarted { started }))
    }

    /// Invariant A3.
    fn authorize(&self, key: &MacKey, request: &Request<'_>) -> Result<(), Answer> {
        let refused = |text| Err(Answer::text(Status::Unauthorized, text));
        let given = |name| {
            let bytes = request.header(name).and_then(hex::bytes);
            bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
        };
        let (Some(challenge), Some(mac)) = (given("hovercraft-challenge"), given("hovercraft-mac"))
        else {
            return refused("this needs the cluster key: hovercraft-ctl has it from cluster.ron");
        };
        let good = command_mac(key, &challenge, request.target);
        // As long whatever differs.
        let differs = good.iter().zip(mac).fold(0, |all, (a, b)| all | (a ^ b));
        if core::hint::black_box(differs) != 0 {
            return refused("the MAC is wrong: another cluster key?");
        }
        if !self.challenges.take(Instant::now(), &challenge) {
            return refused("the challenge was used, or is too old; ask for another");
        }
        Ok(())
    }

    fn audit_from(&self, request: &Request<'_>) -> Result<LogIndex, Answer> {
        if !self.handle.keeps_audit() {
            let text = "this node keeps no audit: set `audit: true` in its group (not in mode unreplicated)";
            return Err(Answer::text(Status::Conflict, text));
        }
        let from = request.field("from").map_or(Ok(1), str::parse);
        let from = from.ok().filter(|&from| from > 0).map(LogIndex::from_wire);
        from.ok_or_else(|| Answer::text(Status::BadRequest, "from must be an index from 1 on"))
    }

    /// The records from `from` up to what is applied now, page by page.
    fn audit(&self, from: LogIndex, out: &mut impl Write) -> io::Result<()> {
        let first = match self.handle.audit(from) {
            Ok(page) => page,
            Err(error) => return write(out, &unavailable(error)),
        };
        let last = first.applied;
        let said = last.to_wire().to_string();
        write_head(out, Status::Ok, Content::JsonLines, &[("Audit-Last", &said)])?;
        let (mut page, mut line) = (first, Vec::with_capacity(512));
        loop {
            for entry in page.entries.iter().filter(|entry| entry.index <= last) {
                line.clear();
                audit::record(entry).push_json(&mut line);
                line.push(b'\n');
                out.write_all(&line)?;
            }
            let Some(end) = page.entries.last().filter(|end| end.index < last) else {
                return Ok(());
            };
            // When it fails the reader sees by `Audit-Last` that this is not all.
            page = self.handle.audit(end.index.next()).map_err(io::Error::other)?;
        }
    }
}

/// 200 when every check is good; `?verbose` lists them all.
pub(crate) fn health(name: &str, checks: &[Check], request: &Request<'_>) -> Answer {
    let (good, text) = report(name, checks, request.has("verbose"));
    Answer::text(if good { Status::Ok } else { Status::ServiceUnavailable }, &text)
}

fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            Answer { status: Status::Ok, content: Content::Json, body }
        }
        Err(error) => Answer::text(Status::ServiceUnavailable, &error.to_string()),
    }
}

fn unavailable(error: AskError) -> Answer {
    Answer::text(Status::ServiceUnavailable, &error.to_string())
}
