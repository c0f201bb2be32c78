//! The commands of scripts.
//!
//! ```text
//! cluster [key=value ..]            a cluster; n1 leads term 1, its configuration is committed (see settings.rs for the keys);
//!                                   `unled`: born, and nobody stood for election yet
//! c1 write 5 BODY to WHOM           a request (see clients.rs); WHOM: n2 (its own address), group, or group:n1,n3 (the others miss
//!                                   it); `waited=3ms`: it was there so long before it was read
//! deliver [n1 n2 [kind]]            everything until all is quiet; or what is under way from n1 to n2, as one burst
//! burst n1 [kind]                   what is under way to n1, from anybody, as one burst
//! drop n1 n2 [kind]                 .. lost
//! again n1 n2 [kind]                the last such message comes once more
//! lacks n1 n2 [applied=5]           to the body request from n2 that it got last n1 says that it has not got the body, whatever it has;
//!                                   the answer is under way
//! mangle n1 n2                      the last byte of what is under way from n1 to n2 is another
//! quiet COMMAND                     without heartbeats, acknowledgements and news of commits
//! timeout n2                        time passes until n2 stands for election; nobody else notices
//! tick n1 | advance 5ms | run 5ms   a turn of its loop | time passes | time passes on a network that works
//! advance 5ms but n2 | only n2     only for those: clocks differ
//! hold n2 | apply n2 [1] | go n2    the application half stands still | takes so many commands | works again
//! cut n3 | heal n3 | crash n3 | restart n3 | transfer n1 n2
//! show n1 [..] | counters n1 name [..] | audit n1 | state | session c1
//! ```

use core::time::Duration;

use hovercraft::replica::Role;
use hovercraft::wire::{self, Encoder, Head, NodeMessage, PACKET_MAX};
use raft_core::ids::{Incarnation, LogIndex, Member, NodeId};

use super::clients;
use super::cluster::{Cluster, Flight};
use super::names;
use super::settings::{ELECTION_MAX, Shape, duration, time, value};
use super::words;

/// Takes the lines of one script.
#[derive(Default)]
pub(crate) struct Runner {
    cluster: Option<Cluster>,
}

/// `n2` as a number.
fn node(name: &str) -> u8 {
    let number = name.strip_prefix('n').and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no node: {name}"))
}

impl Runner {
    pub(crate) fn command(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "cluster" {
            let cluster = self.cluster.insert(Cluster::new(Shape::read(&words)));
            start(cluster, words.contains(&"unled"));
        } else {
            let cluster = self.cluster.as_mut().expect("a script begins with a cluster");
            obey(cluster, &words);
        }
        self.cluster.as_mut().unwrap().take_lines()
    }
}

/// Birth, and the first term of n1.
fn start(cluster: &mut Cluster, unled: bool) {
    if cluster.shape.is_alone() {
        return;
    }
    for _ in 0..200 {
        cluster.now += Duration::from_millis(1);
        for id in cluster.living() {
            let asks = cluster.node(id).replica.status().role == Role::Joining;
            if asks {
                cluster.tick(id);
            }
        }
        cluster.deliver_all();
    }
    if !unled {
        timeout(cluster, 1);
        cluster.deliver_all();
        // Everybody has applied it, and the leader knows.
        cluster.run(Duration::from_millis(5));
    }
    cluster.take_lines();
    for id in cluster.living() {
        let status = cluster.node(id).replica.status();
        assert!(unled || status.applied.to_wire() == 2, "n{id} did not start: {status:?}");
    }
}

fn timeout(cluster: &mut Cluster, id: u8) {
    // Twice when its application lags behind (HC12).
    for _ in 0..2 {
        cluster.now += ELECTION_MAX + Duration::from_millis(5);
        cluster.tick(id);
        if cluster.node(id).replica.status().role == Role::Candidate {
            return;
        }
    }
    panic!("n{id} does not stand for election");
}

fn obey(cluster: &mut Cluster, words: &[&str]) {
    match *words {
        [client, ..] if client.starts_with('c') && client[1..].parse::<u8>().is_ok() => {
            ask(cluster, words);
        }
        ["quiet", ref rest @ ..] => {
            cluster.quiet = true;
            obey(cluster, rest);
            cluster.quiet = false;
        }
        ["deliver" | "burst" | "drop" | "again" | "mangle" | "lacks", ..] => {
            traffic(cluster, words)
        }
        ["timeout", id] => timeout(cluster, node(id)),
        ["tick", id] => cluster.tick(node(id)),
        ["advance", time] => cluster.advance(duration(time), |_| true),
        ["advance", time, "but", id] => cluster.advance(duration(time), |other| other != node(id)),
        ["advance", time, "only", id] => cluster.advance(duration(time), |other| other == node(id)),
        ["run", time] => cluster.run(duration(time)),
        ["hold", id] => cluster.node(node(id)).held = true,
        ["apply", id] => step(cluster, node(id), usize::MAX),
        ["apply", id, count] => step(cluster, node(id), count.parse().unwrap()),
        ["go", id] => {
            cluster.node(node(id)).held = false;
            step(cluster, node(id), usize::MAX);
        }
        ["cut", id] => {
            let id = node(id);
            cluster.cut.insert(id);
            cluster.flights.retain(|flight| flight.from != id && flight.to != id);
        }
        ["heal", id] => assert!(cluster.cut.remove(&node(id)), "{id} was not cut off"),
        ["crash", id] => {
            let id = node(id);
            cluster.node(id).alive = false;
            cluster.flights.retain(|flight| flight.from != id);
        }
        ["restart", id] => cluster.restart(node(id)),
        ["transfer", from, to] => {
            let (from, to) = (node(from), NodeId::new(node(to)));
            let now = cluster.clock(from);
            assert!(cluster.node(from).replica.hand_leadership_over(now, to), "{words:?}");
            cluster.node(from).replica.end_burst(now);
            cluster.drain(from);
        }
        _ => look(cluster, words),
    }
}

/// Commands for what is under way.
fn traffic(cluster: &mut Cluster, words: &[&str]) {
    match *words {
        ["deliver"] => cluster.deliver_all(),
        ["deliver", from, to, ref kind @ ..] => {
            let (from, kinds) = (node(from), kind.to_vec());
            let kinds = matching(cluster, &kinds);
            let any = cluster.deliver(node(to), |flight| flight.from == from && kinds(flight));
            assert!(any, "nothing to deliver: {words:?}");
        }
        ["burst", to, ref kind @ ..] => {
            let kinds = matching(cluster, kind);
            assert!(cluster.deliver(node(to), kinds), "nothing to deliver: {words:?}");
        }
        ["drop", from, to, ref kind @ ..] => {
            let (from, to) = (node(from), node(to));
            let kinds = matching(cluster, kind);
            let before = cluster.flights.len();
            cluster
                .flights
                .retain(|flight| flight.from != from || flight.to != to || !kinds(flight));
            assert!(cluster.flights.len() < before, "nothing to drop: {words:?}");
        }
        ["again", from, to, ref kind @ ..] => {
            let (from, to) = (node(from), node(to));
            let kinds = matching(cluster, kind);
            let same = |flight: &&Flight| flight.from == from && flight.to == to && kinds(flight);
            let flight = cluster.delivered.iter().rev().find(same).expect("delivered before");
            let burst = [(names::node(from), false, Duration::ZERO, flight.bytes.clone())];
            cluster.burst(to, &burst);
        }
        ["lacks", from, to, ..] => lack(cluster, node(from), node(to), value(words, "applied", 0)),
        ["mangle", from, to] => {
            let (from, to) = (node(from), node(to));
            let between = |flight: &&mut Flight| flight.from == from && flight.to == to;
            let flight = cluster.flights.iter_mut().find(between).expect("under way");
            *flight.bytes.last_mut().unwrap() ^= 1;
        }
        _ => panic!("unknown command: {}", words.join(" ")),
    }
}

/// What `id` would say, had it lost the body that `asker` wants.
fn lack(cluster: &mut Cluster, id: u8, asker: u8, applied: u64) {
    let encoder = Encoder::new(cluster.key().cloned());
    let request = |flight: &&Flight| {
        let parsed = wire::parse(&flight.bytes, encoder.key());
        let asks = matches!(parsed, Ok((_, NodeMessage::BodyRequest { .. })));
        (flight.from, flight.to) == (asker, id) && asks
    };
    let asked = cluster.delivered.iter().rev().find(request).expect("asked before").clone();
    let Ok((head, NodeMessage::BodyRequest { question, list })) =
        wire::parse(&asked.bytes, encoder.key())
    else {
        unreachable!("it was found as one")
    };
    let status = cluster.node(id).replica.status();
    let incarnation = Incarnation::from_wire(status.incarnation);
    let sender = Member { id: status.id, incarnation };
    let head = Head { sender, applied: LogIndex::from_wire(applied), ..head };
    let mut packet = [0; PACKET_MAX];
    let len = encoder.no_body(&mut packet, &head, &question, &list.iter().next().unwrap());
    let bytes = packet[..len].to_vec();
    cluster.flights.push_back(Flight { from: id, to: asker, bytes });
}

/// Whether a message is of one of these kinds; any, when there is none.
fn matching(cluster: &Cluster, kinds: &[&str]) -> impl Fn(&Flight) -> bool + use<> {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let key = cluster.key().cloned();
    move |flight| {
        let text = words::node_message(&flight.bytes, key.as_ref(), &mut names::Names::default());
        kinds.is_empty() || kinds.iter().any(|kind| text.split(' ').next() == Some(kind))
    }
}

fn ask(cluster: &mut Cluster, words: &[&str]) {
    let to = words.iter().position(|word| *word == "to").expect("to whom");
    let asked = clients::request(words, &cluster.names);
    let client = names::client(&asked.client);
    if words[1] == "open" {
        cluster.names.opens(client, words[2].parse().unwrap());
    }
    let waited = time(words, "waited", Duration::ZERO);
    let (group, ids) = match words[to + 1].split_once(':') {
        None if words[to + 1] == "group" => (true, cluster.living()),
        None => (false, vec![node(words[to + 1])]),
        Some((_, list)) => (true, list.split(',').map(node).collect()),
    };
    let burst: Vec<_> =
        asked.packets.into_iter().map(|packet| (client, group, waited, packet)).collect();
    for id in ids {
        cluster.burst(id, &burst);
    }
}

fn step(cluster: &mut Cluster, id: u8, count: usize) {
    assert!(cluster.node(id).waiting() > 0 || !cluster.node(id).held, "n{id} has nothing to do");
    cluster.step_application(id, count);
    cluster.drain(id);
}

/// Commands that only look.
fn look(cluster: &mut Cluster, words: &[&str]) {
    match *words {
        ["show", ref ids @ ..] => {
            for id in ids {
                let status = cluster.node(node(id)).replica.status();
                let leader = status.leader.map_or("-".into(), |id| format!("n{}", id.number()));
                let mut line = format!(
                    "{id} {} {} leader={leader} commit={} applied={} last={} unordered={} \
                     missing={} parked={} sessions={} time={}",
                    status.role.name(),
                    status.term,
                    status.commit,
                    status.applied,
                    status.last,
                    status.unordered,
                    status.missing_bodies,
                    status.parked,
                    status.sessions,
                    words::ms(status.log_time_us),
                );
                if let Some(lost) = status.lost_body {
                    line += &format!(" stopped: nobody has the body of {}", lost.index);
                }
                for queue in &status.queues {
                    line += &format!(" n{}:{}", queue.id.number(), queue.depth);
                }
                cluster.say(line);
            }
        }
        ["counters", id, ref wanted @ ..] => {
            let counters = *cluster.node(node(id)).replica.counters();
            let mut line = id.to_owned();
            for name in wanted {
                let found = counters.iter().find(|counter| counter.0 == *name);
                line += &format!(" {name}={}", found.expect("a counter of that name").1);
            }
            cluster.say(line);
        }
        ["audit", id] => {
            let audit = cluster.node(node(id)).replica.audit();
            let list: Vec<_> = audit.iter().map(|entry| entry.index.to_string()).collect();
            cluster.say(format!("{id} audit: {}", list.join(", ")));
        }
        ["session", client] => {
            let session = cluster.names.session_of(client).expect("a session");
            let cluster_id = cluster.node(1).replica.status().cluster_id;
            let name = cluster.names.session(session);
            cluster.say(format!("{name} is {} XOR the cluster id", session ^ cluster_id));
        }
        ["state"] => {
            for id in cluster.living() {
                let executed = &cluster.node(id).application.service().executed;
                let list: Vec<_> =
                    executed.iter().map(|(index, _, text)| format!("{index} {text}")).collect();
                cluster.say(format!("n{id} executed: {}", list.join(", ")));
            }
        }
        _ => panic!("unknown command: {}", words.join(" ")),
    }
}
