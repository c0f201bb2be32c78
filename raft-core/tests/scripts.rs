//! Conversations and the exact trace that they print. A stanza is commands, `----`, what they print; `REWRITE=1` prints
//! anew, and the difference is the review. A line that begins with `quiet` prints nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{env, fs};

use raft_core::entry::Configuration;
use raft_core::ids::{Incarnation, Member, NodeSet, Term};
use raft_core::message::Message;

use support::post::Post;
use support::{Number, Packet, id, index, member, ms};

#[test]
fn scripts_print_what_they_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts");
    let mut played = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        println!("playing {}", path.display()); // shown when it fails
        let wanted = fs::read_to_string(&path).unwrap();
        let printed = run(&wanted);
        if env::var_os("REWRITE").is_some() {
            fs::write(&path, printed).unwrap();
        } else {
            assert_eq!(printed, wanted, "in {}", path.display());
        }
        played += 1;
    }
    assert!(played >= 15, "only {played} scripts in {folder}");
}

/// The script again, with what each stanza printed in place of what it should have.
fn run(script: &str) -> String {
    let mut post = Post::new(1);
    let stanzas = script.trim_end().split("\n\n").map(|stanza| {
        let commands = stanza.split("\n----").next().unwrap();
        let lines = commands.lines().filter(|line| !line.starts_with('#'));
        let printed: String = lines.map(|line| print(&mut post, line)).collect();
        format!("{commands}\n----\n{printed}")
    });
    stanzas.collect::<Vec<_>>().join("\n")
}

fn print(post: &mut Post, line: &str) -> String {
    let (quiet, command) = line.strip_prefix("quiet ").map_or((false, line), |rest| (true, rest));
    post.drain_trace();
    let words: Vec<&str> = command.split(' ').collect();
    let said = play(post, &words);
    let lines = post.drain_trace().into_iter().chain(said);
    if quiet { String::new() } else { lines.map(|line| line + "\n").collect() }
}

/// What a command says beside what the nodes do.
fn play(post: &mut Post, words: &[&str]) -> Option<String> {
    match *words {
        ["nodes", count] => *post = Post::new(number(count)),
        ["logs", ref logs @ ..] => *post = with_logs(logs),
        ["slow", node] => post.hosts[place(node)].disk.slow = true,
        ["timeout", node] => post.timeout(place(node)),
        ["pass", span] => post.pass(ms(span.parse().unwrap())),
        ["tick", node] => post.step(place(node), |host, now| host.raft.tick(now)),
        ["deliver", from, to] => post.deliver(place(from), place(to)),
        ["duplicate", from, to] => post.duplicate(place(from), place(to)),
        ["lose", from, to] => post.lose(place(from), place(to)),
        ["delay", from, to] => post.delay(place(from), place(to)),
        ["settle"] => post.settle(),
        ["settle", "without", ref away @ ..] => post.settle_without(&places(away)),
        ["elect", node] => post.elect(place(node), &[]),
        ["elect", node, "without", ref away @ ..] => post.elect(place(node), &places(away)),
        ["win", node, "without", ref away @ ..] => post.win(place(node), &places(away)),
        ["propose", node, ref numbers @ ..] => return propose(post, place(node), numbers),
        ["finish", node, count] => post.finish_writes(place(node), number(count)),
        ["restart", node] => post.restart(place(node), None),
        ["reborn", node] => post.restart(place(node), Some(second_life(place(node)))),
        ["cut", from, to, count] => post.deliver_cut(place(from), place(to), number(count)),
        ["park", from, to] => post.deliver_parked(place(from), place(to)),
        ["release", node, at] => {
            post.hosts[place(node)].raft.release(index(at.parse().unwrap()));
        }
        ["delayed", node] => post.hosts[place(node)].raft.set_campaign_delay(true),
        ["tell", node, by] => {
            let told = post.hosts[place(by)].raft.committed_configuration().clone();
            post.hosts[place(node)].raft.adopt(told);
        }
        ["silence", node] => post.hosts[place(node)].raft.stop_voting(),
        ["quorum-ack", to, term, at, epoch, ref set @ ..] => {
            let mut nodes = NodeSet::EMPTY;
            places(set).into_iter().for_each(|one| nodes.insert(id(one)));
            let (epoch, at) = (index(epoch.parse().unwrap()), index(at.parse().unwrap()));
            let term = Term::from_wire(term.parse().unwrap());
            let message = Message::QuorumAck { epoch, term, index: at, set: nodes };
            let packet = Packet::Message(message);
            post.step(place(to), |host, now| host.take(now, member(15), packet, None));
        }
        ["order", from, to, term] => {
            let order = Message::TimeoutNow { term: Term::from_wire(term.parse().unwrap()) };
            let from = member(place(from));
            post.step(place(to), |host, now| host.raft.receive(now, from, order));
        }
        ["transfer", from, to] => {
            let mut refused = None;
            post.step(place(from), |host, now| {
                refused = host.raft.transfer(now, id(place(to))).err();
            });
            return refused.map(|error| format!("{from}: {error}"));
        }
        ["configure", node, ref halves @ ..] => return configure(post, place(node), halves),
        ["show"] => return Some(show(post)),
        ["show", node] => return Some(status(post, place(node))),
        _ => panic!("unknown command: {words:?}"),
    }
    None
}

/// `1,1,2` are the terms of a log's entries; `1,1,2@5` is a node in term 5.
fn with_logs(words: &[&str]) -> Post {
    let parse = |word: &&str| {
        let (log, term) = word.split_once('@').unwrap_or((word, ""));
        let terms: Vec<u64> = log.split(',').map(|term| term.parse().unwrap()).collect();
        let term = term.parse().unwrap_or(terms[terms.len() - 1]);
        (terms, term)
    };
    let (logs, nodes): (Vec<Vec<u64>>, Vec<u64>) = words.iter().map(parse).unzip();
    Post::with_terms(&logs.iter().map(Vec::as_slice).collect::<Vec<_>>(), &nodes)
}

fn propose(post: &mut Post, at: usize, numbers: &[&str]) -> Option<String> {
    let mut refused = None;
    post.step(at, |host, now| {
        for number in numbers {
            let number = Number(number.parse().unwrap());
            refused = host.raft.propose(now, number).err().or(refused);
        }
    });
    refused.map(|error| format!("n{at}: {error}"))
}

/// `configure n0 voters n0 n1 outgoing n0 n2 learners n3`; `n2+` is its second life.
fn configure(post: &mut Post, at: usize, words: &[&str]) -> Option<String> {
    let mut next = Configuration::default();
    let mut half = &mut next.voters;
    for &word in words {
        match word {
            "voters" => half = &mut next.voters,
            "outgoing" => half = &mut next.outgoing,
            "learners" => half = &mut next.learners,
            name => half.push(
                name.strip_suffix('+')
                    .map_or_else(|| member(place(name)), |first| second_life(place(first))),
            ),
        }
    }
    let mut refused = None;
    post.step(at, |host, now| refused = host.raft.propose_configuration(now, next).err());
    refused.map(|error| format!("n{at}: {error}"))
}

fn show(post: &Post) -> String {
    let lines: Vec<String> = (0..post.hosts.len()).map(|at| status(post, at)).collect();
    lines.join("\n")
}

fn status(post: &Post, at: usize) -> String {
    let raft = &post.hosts[at].raft;
    let terms: Vec<String> = post.hosts[at].terms().iter().map(u64::to_string).collect();
    let (commit, verified) = (raft.commit(), raft.verified());
    let (role, term) = (format!("{:?}", raft.role()).to_lowercase(), raft.term());
    format!(
        "n{at} is {role} in {term}: commit {commit} verified {verified} log {}",
        terms.join(",")
    )
}

fn number(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("not a number: {word}"))
}

fn place(word: &str) -> usize {
    number(word.strip_prefix('n').unwrap_or_else(|| panic!("not a node: {word}")))
}

fn places(words: &[&str]) -> Vec<usize> {
    words.iter().map(|word| place(word)).collect()
}

fn second_life(at: usize) -> Member {
    Member { incarnation: Incarnation::from_wire(2), ..member(at) }
}
