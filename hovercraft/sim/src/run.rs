//! One seed, one run: a safety phase under faults, then a calm one in which everything must come to an end (TigerBeetle's way).

use core::time::Duration;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use dataplane::sim::Weather;
use history_checker::Truth;
use hovercraft::replica::{Mode, Role};
use r2p2::client::Mode as ClientMode;
use raft_core::ids::NodeId;

use crate::checks::{Found, Violation};
use crate::client::SimClient;
use crate::cluster::Cluster;
use crate::coverage::Coverage;
use crate::faults::{Fault, Plan, Target, Ways};
use crate::history;
use crate::knobs::Knobs;
use crate::node::ELECTION_TIMEOUT;
use crate::random::micros;

/// In a calm network everything comes to an end within so many of the longest election timeouts.
const CALM_TIMEOUTS: u32 = 20;
/// A window of plain ids, or a session, that has to end first comes on top.
const PROBES: u32 = 40;

/// Rule that a stuck run breaks.
const LIVENESS: &str = "liveness";

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Nothing, or the first thing wrong.
    pub found: Result<(), Violation>,
    /// States that it reached.
    pub coverage: Coverage,
    /// Hash of all packets: equal for equal runs.
    pub trace: u64,
    /// Requests that clients made.
    pub operations: u64,
    /// Whether the history could not be decided: only where plain clients used ids again without learning their outcome.
    pub undecided: bool,
    /// Virtual time.
    pub virtual_us: u64,
    /// What happened, in words: faults as they met nodes, elections, the end.
    pub story: Vec<String>,
}

/// Runs what a seed says.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    let (knobs, plan) = Knobs::draw(seed);
    run_plan(&knobs, &plan)
}

/// Runs a plan of faults, which may be a shorter one than the seed's.
#[must_use]
pub fn run_plan(knobs: &Knobs, plan: &Plan) -> Outcome {
    quiet_panics();
    let mut run = Run::new(knobs);
    let caught = panic::catch_unwind(AssertUnwindSafe(|| run.go(plan)));
    let found = caught.unwrap_or_else(|_| {
        let text = PANIC.with_borrow_mut(core::mem::take);
        Err(Violation::new("an assertion of the code's own", text))
    });
    run.outcome(found)
}

thread_local! {
    /// Text and place of the last panic of a run on this thread.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
    static RUNNING: RefCell<bool> = const { RefCell::new(false) };
}

/// A panic inside a run is a finding, and told as one.
fn quiet_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if RUNNING.with_borrow(|running| *running) {
                PANIC.with_borrow_mut(|text| *text = info.to_string().replace('\n', " "));
            } else {
                usual(info);
            }
        }));
    });
}

struct Run {
    cluster: Cluster,
    undecided: bool,
    story: Vec<String>,
}

impl Run {
    fn new(knobs: &Knobs) -> Self {
        let cluster = Cluster::new(knobs.clone(), Weather::CALM);
        Self { cluster, undecided: false, story: Vec::new() }
    }

    fn go(&mut self, plan: &Plan) -> Found {
        RUNNING.set(true);
        let result = self.phases(plan);
        RUNNING.set(false);
        result
    }

    fn phases(&mut self, plan: &Plan) -> Found {
        let leader = self.cluster.settle()?;
        self.tell(&format!("n{leader} leads"));
        for habits in self.cluster.knobs.clients.clone() {
            self.cluster.add_client(habits);
        }
        if let Some(weather) = plan.weather {
            self.cluster.network.set_weather(weather);
            self.tell(&crate::faults::in_words(&weather));
        }
        let began = self.cluster.now;
        for planned in &plan.faults {
            self.cluster.run_until(began + planned.at)?;
            self.strike(planned.fault);
        }
        self.cluster.run_until(began + self.cluster.knobs.storm)?;
        self.tell("calm");
        self.cluster.calm();
        match self.come_to_an_end() {
            Err(stuck) if stuck.rule == LIVENESS && !quorum_reachable(&self.cluster) => {
                self.end_without_quorum()
            }
            Err(stuck) => Err(stuck),
            Ok(()) => self.judge(),
        }
    }

    fn tell(&mut self, what: &str) {
        let ms = micros(self.cluster.now) / 1_000;
        let leader = self.cluster.leader().map_or(0, |leader| leader);
        self.story.push(format!("{ms:>6} ms  {what}  [leader: {leader}]"));
    }

    fn place_of(&self, target: Target) -> u8 {
        match target {
            Target::Node(node) => node,
            Target::Leader => self.cluster.leader().unwrap_or(1),
        }
    }

    fn strike(&mut self, fault: Fault) {
        self.tell(&fault.to_string());
        let cluster = &mut self.cluster;
        let now = cluster.now;
        match fault {
            Fault::Weather(weather) => cluster.network.set_weather(weather),
            Fault::Heal => cluster.network.heal(),
            Fault::HandOver => self.hand_over(),
            Fault::Split(side) => self.split(side),
            Fault::Strand(other) => {
                let leader = self.place_of(Target::Leader);
                self.split(1 << (leader - 1) | 1 << (other - 1));
            }
            Fault::Restart => {
                if let Some(dead) = cluster.nodes.iter().find(|node| !node.alive) {
                    let id = dead.id.number();
                    cluster.restart(id);
                    cluster.checks.coverage.note("later_lives");
                }
            }
            Fault::Burst(client, count) => cluster.clients[usize::from(client)].hurry(now, count),
            Fault::PauseClient(client, span) => {
                let client = &mut cluster.clients[usize::from(client)];
                client.paused_until = client.paused_until.max(now + span);
                cluster.network.set_paused(client.endpoint, true);
                cluster.checks.coverage.note("client_pauses");
            }
            Fault::NewClient(client) => {
                let client = &mut cluster.clients[usize::from(client)];
                client.begin_anew(now).expect("it made a client before");
                cluster.checks.coverage.note("clients_replaced");
            }
            Fault::Isolate(target)
            | Fault::Fence(target)
            | Fault::Cut(target, ..)
            | Fault::Deaf(target)
            | Fault::Pause(target, _)
            | Fault::PauseApplication(target, _)
            | Fault::Crash(target)
            | Fault::Clock(target, _) => {
                let victim = self.place_of(target);
                self.strike_node(victim, fault);
            }
        }
    }

    /// Nothing passes between these nodes, node 1 being bit 0, and the others.
    fn split(&mut self, side: u16) {
        let cluster = &mut self.cluster;
        cluster.checks.coverage.note("splits");
        let ends: Vec<_> = cluster.nodes.iter().map(|node| node.endpoint).collect();
        let on_side = |place: &usize| side & 1 << place != 0;
        for one in (0..ends.len()).filter(on_side) {
            for other in (0..ends.len()).filter(|place| !on_side(place)) {
                cluster.network.partition(ends[one], ends[other]);
            }
        }
    }

    fn strike_node(&mut self, victim: u8, fault: Fault) {
        let cluster = &mut self.cluster;
        let (now, place) = (cluster.now, usize::from(victim - 1));
        let endpoint = cluster.nodes[place].endpoint;
        let coverage = &mut cluster.checks.coverage;
        match fault {
            Fault::Isolate(_) => cluster.network.isolate(endpoint),
            Fault::Fence(_) => {
                coverage.note("fenced_nodes");
                for other in 0..cluster.nodes.len() {
                    let other = cluster.nodes[other].endpoint;
                    cluster.network.partition(endpoint, other);
                }
            }
            Fault::Cut(_, other, ways) => {
                let other = cluster.nodes[usize::from(other - 1)].endpoint;
                cluster.network.block(endpoint, other);
                match ways {
                    Ways::Both => cluster.network.block(other, endpoint),
                    Ways::There => coverage.note("one_way_cuts"),
                }
            }
            Fault::Deaf(_) => {
                cluster.network.set_deaf(endpoint, true);
                coverage.note("members_deaf_to_multicast");
            }
            Fault::Pause(_, span) => {
                coverage.note("pauses");
                cluster.pause(victim, now + span);
            }
            Fault::PauseApplication(_, span) => {
                coverage.note("stalls_of_the_application");
                cluster.nodes[place].application_paused_until = now + span;
            }
            Fault::Crash(_) if cluster.nodes[place].alive && cluster.nodes[place].lives == 0 => {
                coverage.note("crashes");
                cluster.crash(victim);
            }
            Fault::Clock(_, rate) => {
                coverage.note("clocks_changed");
                cluster.nodes[place].clock.set_rate(now, rate);
            }
            _ => {}
        }
    }

    fn hand_over(&mut self) {
        let cluster = &mut self.cluster;
        let Some(leader) = cluster.leader() else { return };
        let now = cluster.own_time(leader);
        let node = &mut cluster.nodes[usize::from(leader - 1)];
        if node.replica.hand_leadership_over(now, None) {
            node.touched = true;
            cluster.checks.coverage.note("hand_overs");
        }
    }

    /// Liveness: with the network whole, every request ends, every client gets an answer to a new one, and the members agree.
    fn come_to_an_end(&mut self) -> Found {
        let limit = ELECTION_TIMEOUT.1 * CALM_TIMEOUTS;
        let cluster = &mut self.cluster;
        for client in &mut cluster.clients {
            client.stopping = true;
        }
        let waits = |cluster: &Cluster| !cluster.clients.iter().all(SimClient::is_idle);
        if !cluster.run_while(limit, waits)? {
            return Err(self.stuck(limit, "clients still wait"));
        }
        // Whoever is refused for what is full now gets an answer when that has passed.
        let ends =
            self.cluster.knobs.limits.plain_window.max(self.cluster.knobs.limits.session_expiry);
        for place in 0..self.cluster.clients.len() {
            if !self.is_answered(place, ends)? {
                return Err(self.stuck(limit, &format!("client {place} gets no answer")));
            }
        }
        let differ = |cluster: &Cluster| !members_agree(cluster);
        if !self.cluster.run_while(limit, differ)? {
            return Err(self.stuck(limit, "members do not agree"));
        }
        Ok(())
    }

    /// A majority died or fell behind the leader's ring, which only snapshots can bring back: nothing is promised but that nothing
    /// goes wrong. What was answered may stand committed in a log, and nobody can say so: there is no history to judge.
    fn end_without_quorum(&mut self) -> Found {
        self.tell("no quorum can be had");
        self.cluster.checks.coverage.note("left_without_quorum");
        for client in &mut self.cluster.clients {
            client.stopping = true;
        }
        let waits = |cluster: &Cluster| !cluster.clients.iter().all(SimClient::is_idle);
        self.cluster.run_while(Duration::from_secs(10), waits)?;
        Ok(())
    }

    /// Asks for one thing until it is answered, or refused for good: the session table may be full of others.
    fn is_answered(&mut self, place: usize, ends: Duration) -> Result<bool, Violation> {
        let limit = ELECTION_TIMEOUT.1 * CALM_TIMEOUTS;
        let full = self.cluster.knobs.clients.len() as u64
            > u64::from(self.cluster.knobs.limits.sessions_max);
        let asks_from = self.cluster.clients[place].asks_from();
        self.cluster.run_until(self.cluster.now.max(asks_from))?;
        for probe in 0..PROBES {
            let cluster = &mut self.cluster;
            let before = cluster.clients[place].answered();
            let value = format!("{place}.{probe}");
            cluster.clients[place].put(cluster.now, b"probe", value.as_bytes());
            cluster.run_while(limit, |cluster| !cluster.clients[place].is_idle())?;
            if cluster.clients[place].answered() > before || full {
                return Ok(true);
            }
            cluster.run_until(cluster.now + ends / 8)?;
        }
        Ok(false)
    }

    fn stuck(&self, limit: Duration, what: &str) -> Violation {
        let mut text = format!("{what} after {limit:?} of calm");
        for node in self.cluster.nodes.iter().filter(|node| node.alive) {
            text += &format!("\n    {:?}", node.replica.status());
        }
        Violation::new(LIVENESS, text)
    }

    fn judge(&mut self) -> Found {
        let verdict = history::verdict(&self.cluster);
        if self.cluster.knobs.black_box {
            self.cluster.checks.coverage.note("black_box_checked");
        }
        // Without a log there is the search alone, which may give up.
        let may_be_undecided = self.cluster.knobs.mode == Mode::Unreplicated;
        self.undecided = verdict.linearizable == Truth::Undecided;
        let right = verdict.linearizable == Truth::True || (self.undecided && may_be_undecided);
        // Nobody was answered: nothing can be said, and nothing was promised.
        let right = right || (self.undecided && verdict.answered == 0);
        if right && (verdict.acknowledged_lost, verdict.executed_twice) == (0, 0) {
            return Ok(());
        }
        let texts = verdict.violations.iter().map(|violation| {
            let evidence = violation.operations.iter().map(|shown| format!("{shown:?}"));
            let evidence: Vec<_> = evidence.collect();
            format!("{:?}: {}; {}", violation.kind, violation.text, evidence.join("; "))
        });
        let texts: Vec<_> = texts.chain(verdict.undecided_because.clone()).collect();
        Err(Violation::new("history", texts.join("\n    ")))
    }

    fn outcome(mut self, found: Found) -> Outcome {
        let cluster = &mut self.cluster;
        for node in cluster.nodes.iter().filter(|node| node.alive) {
            cluster.checks.coverage.add_totals(node);
        }
        note_shape(cluster);
        let operations = cluster.clients.iter().map(|client| client.history.len() as u64).sum();
        if let Err(violation) = &found {
            self.story.push(format!("{:>6} ms  {violation}", micros(cluster.now) / 1_000));
        }
        Outcome {
            found,
            coverage: core::mem::take(&mut cluster.checks.coverage),
            trace: cluster.network.trace(),
            operations,
            undecided: self.undecided,
            virtual_us: micros(cluster.now),
            story: self.story,
        }
    }
}

/// Whether enough voters live whom the newest leader's log can still serve.
fn quorum_reachable(cluster: &Cluster) -> bool {
    if cluster.knobs.mode == Mode::Unreplicated {
        return true;
    }
    let voters = cluster.nodes.iter().filter(|node| node.alive && node.lives == 0);
    let within = voters.filter(|node| !is_left_behind(cluster, node.id));
    within.count() > usize::from(cluster.knobs.nodes) / 2
}

/// Whether only a snapshot would help a node.
fn is_left_behind(cluster: &Cluster, id: NodeId) -> bool {
    let leader = cluster.leader().map(|leader| &cluster.nodes[usize::from(leader - 1)].replica);
    let core = leader.and_then(|replica| replica.core());
    core.is_some_and(|core| {
        core.followers().iter().any(|one| one.member.id == id && one.needs_snapshot)
    })
}

/// Whether every live member has applied all that the leader has in its log. Who fell behind the leader's ring waits for a snapshot.
fn members_agree(cluster: &Cluster) -> bool {
    if cluster.knobs.mode == Mode::Unreplicated {
        return true;
    }
    let Some(leader) = cluster.leader() else { return false };
    let leader = &cluster.nodes[usize::from(leader - 1)].replica;
    let Some(core) = leader.core() else { return false };
    let last = core.last_index();
    cluster.nodes.iter().filter(|node| node.alive).all(|node| {
        let status = node.replica.status();
        let behind = is_left_behind(cluster, node.id);
        matches!(status.role, Role::Silent | Role::Joining)
            || behind
            || (status.applied == last && status.commit == last)
    })
}

fn note_shape(cluster: &mut Cluster) {
    let (nodes, mode) = (cluster.knobs.nodes, cluster.knobs.mode);
    let has = |mode| cluster.knobs.clients.iter().any(|client| client.mode == mode);
    let (plain, sessions) = (has(ClientMode::Plain), has(ClientMode::Session));
    let wrapped = cluster.clients.iter().filter(|client| client.wrapped()).count() as u64;
    let coverage = &mut cluster.checks.coverage;
    coverage.add("plain_clients", plain.into());
    coverage.add("session_clients", sessions.into());
    coverage.add("plain_ids_wrapped", wrapped);
    coverage.add("single_node", (nodes == 1).into());
    coverage.add("even_cluster", nodes.is_multiple_of(2).into());
    coverage.add("nine_nodes", (nodes == 9).into());
    coverage.add("unreplicated", (mode == Mode::Unreplicated).into());
    coverage.add("mode_raft", (mode == Mode::Raft).into());
}
