//! The program: asks a cluster and prints what it says. See the crate's documentation.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use hovercraft_client::{CallError, Client, Kind, Options};
use hovercraft_config::Cluster;
use kv::{Request, Response};
use kvctl::answer::{Outcome, Status, collected};
use kvctl::arguments::{Arguments, Command};

/// Pairs asked for in one request, so that a reply never gets too long.
const PAGE: u32 = 1_000;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args()) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help goes to standard output with status 0, a fault to standard error with status 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let outcome = run(&arguments);
    if arguments.json {
        println!("{}", outcome.json);
    } else {
        outcome.output.iter().for_each(|output| println!("{output}"));
        outcome.error.iter().for_each(|error| eprintln!("kvctl: {error}"));
    }
    ExitCode::from(outcome.status as u8)
}

fn run(arguments: &Arguments) -> Outcome {
    let cluster = match Cluster::load(&arguments.config) {
        Ok(cluster) => cluster,
        Err(error) => return Outcome::failed(Status::Usage, &error.to_string()),
    };
    let group = arguments
        .group
        .as_deref()
        .map_or(Some(0), |name| cluster.groups.iter().position(|group| group.name == name));
    let Some(group) = group else {
        let name = arguments.group.as_deref().unwrap_or_default();
        let known: Vec<&str> = cluster.groups.iter().map(|group| group.name.as_str()).collect();
        let message = format!("--group {name}: no such group; the file has {}", known.join(", "));
        return Outcome::failed(Status::Usage, &message);
    };
    let options = Options {
        group,
        connect_timeout: arguments.timeout,
        request_timeout: arguments.timeout,
        ..Options::default()
    };
    let mut client = match Client::connect(&cluster, &options) {
        Ok(client) => client,
        Err(error) => return Outcome::failed(Status::Unknown, &error.to_string()),
    };
    let outcome = match &arguments.command {
        Command::Scan { from, limit } => scan(&mut client, from.as_bytes(), *limit),
        command => ask(&mut client, &command.request()),
    };
    // A session that cannot be closed soon is left to expire.
    client.close(arguments.timeout.min(CLOSE_TIMEOUT));
    outcome
}

/// How long a command that has its answer waits to close its session.
const CLOSE_TIMEOUT: core::time::Duration = core::time::Duration::from_millis(200);

fn ask(client: &mut Client, request: &Request<'_>) -> Outcome {
    match call(client, request) {
        Ok((reply, index)) => {
            Outcome::of_reply(&reply, index).unwrap_or_else(|error| foreign(&error))
        }
        Err(outcome) => outcome,
    }
}

/// As many requests as the pairs take; each sees the store at an index of its own.
fn scan(client: &mut Client, from: &[u8], limit: Option<u32>) -> Outcome {
    let (mut from, mut left) = (from.to_vec(), limit.unwrap_or(u32::MAX));
    let mut pairs = Vec::new();
    loop {
        let request = Request::Scan { from: &from, limit: left.min(PAGE) };
        let reply = match call(client, &request) {
            Ok((reply, _)) => reply,
            Err(outcome) => return outcome,
        };
        let page = match Response::parse(&reply) {
            Ok(Response::Pairs(page)) => page,
            Ok(_) => return Outcome::of_reply(&reply, 0).unwrap_or_else(|error| foreign(&error)),
            Err(error) => return foreign(&error),
        };
        pairs.extend(collected(page));
        left -= page.len().min(left);
        match pairs.last() {
            Some((last, _)) if page.more() && left > 0 && !page.is_empty() => {
                from.clone_from(last);
                from.push(0);
            }
            _ => return Outcome::pairs(&pairs, page.more()),
        }
    }
}

/// Sends a request; the reply and the log index at which it was executed.
fn call(client: &mut Client, request: &Request<'_>) -> Result<(Vec<u8>, u64), Outcome> {
    let mut body = Vec::new();
    request
        .encode(&mut body)
        .map_err(|error| Outcome::failed(Status::Usage, &error.to_string()))?;
    let kind = if request.is_read() { Kind::Read } else { Kind::Write };
    match client.call(kind, &body) {
        Ok(answer) => Ok((answer.body.to_vec(), answer.index)),
        Err(CallError::Submit(error)) => Err(Outcome::failed(Status::Usage, &error.to_string())),
        Err(error @ CallError::NotSent) => {
            Err(Outcome::failed(Status::Unknown, &error.to_string()))
        }
        Err(error) if error.may_have_been_executed() => {
            Err(Outcome::unknown(request.is_read(), &error.to_string()))
        }
        Err(error) => Err(Outcome::refused(&error.to_string())),
    }
}

fn foreign(error: &kv::ResponseError) -> Outcome {
    Outcome::failed(Status::No, &format!("{error}: does the group run the key-value service?"))
}
