//! A whole cluster in virtual time: one thread, one seed.

use std::collections::BTreeMap;

use raft_core::ids::{Incarnation, LogIndex, Member, NodeId, Term};
use raft_core::message::Message;
use raft_core::{Instant, Role, Settings};

use crate::checkers::{Checkers, Seen};
use crate::support::{Disk, Event, Host, Number, Packet, birth, id, ms, settings};
use crate::weather::{Network, Random, Weather};

/// Election timeouts are 100 to 200 ms: this is some thirty of them.
pub const CHAOS: Instant = ms(4_000);
pub const CALM: Instant = ms(3_000);

#[derive(Clone)]
pub struct Cluster {
    pub now: Instant,
    pub random: Random,
    pub weather: Weather,
    pub hosts: Vec<Host>,
    pub checkers: Checkers,
    pub network: Network,
    /// Filled when asked for: every event of every node.
    pub trace: Option<Vec<(Instant, Member, Event)>>,
    /// A restarted node remembers nothing (HC11).
    pub memory: bool,
    /// Members come and go; the log then keeps everything.
    pub membership: bool,
    /// Entries are let go whoever still needs them.
    pub careless: bool,
    /// When a paused host goes on.
    paused: Vec<Instant>,
    /// Writes that complete then, of that life.
    disks: BTreeMap<(Instant, u64), (usize, u64)>,
    lives: Vec<u64>,
    writes: u64,
    aggregator: BTreeMap<(LogIndex, Term), BTreeMap<NodeId, LogIndex>>,
    next_mishap: Instant,
    next_request: Instant,
    pub requests: u64,
    voters: usize,
}

impl Cluster {
    pub fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let voters = random.one_of(&[1, 2, 3, 3, 3, 4, 5, 5, 7]);
        let memory = random.chance(300);
        let membership = random.chance(400);
        let careless = !memory && !membership && random.chance(300);
        let nodes = if membership { voters + 1 + random.place(4) } else { voters };
        let mut cluster = Self {
            now: ms(0),
            weather: Weather::draw(&mut random),
            hosts: Vec::new(),
            checkers: Checkers::default(),
            network: Network::default(),
            trace: None,
            memory,
            membership,
            careless,
            paused: vec![ms(0); nodes],
            disks: BTreeMap::new(),
            lives: vec![1; nodes],
            writes: 0,
            aggregator: BTreeMap::new(),
            next_mishap: ms(0),
            next_request: ms(0),
            requests: 0,
            voters,
            random,
        };
        cluster.hosts = (0..nodes).map(|place| cluster.host(place, Disk::default())).collect();
        cluster
    }

    pub fn run_until(&mut self, end: Instant) {
        loop {
            let timer = (0..self.hosts.len())
                .map(|place| self.hosts[place].raft.deadline().max(self.paused[place]));
            let next = timer
                .chain(self.network.next_arrival())
                .chain(self.disks.keys().next().map(|&(at, _)| at))
                .chain([self.next_mishap, self.next_request])
                .min();
            let next = next.unwrap_or(end).max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            self.finish_writes();
            self.deliver();
            self.tick();
            if self.now >= self.next_request {
                self.next_request = self.now + ms(1 + self.random.below(20));
                self.request();
            }
            if self.now >= self.next_mishap {
                self.next_mishap = self.now + ms(20);
                self.mishap();
            }
        }
    }

    /// From now on nothing goes wrong.
    pub fn calm(&mut self) {
        self.weather = self.weather.fair();
        self.network.mend();
        self.paused.fill(self.now);
    }

    /// Feeds `place` and performs what it wants done.
    pub fn step(&mut self, place: usize, input: impl FnOnce(&mut Host, Instant)) {
        let now = self.now;
        input(&mut self.hosts[place], now);
        let events = self.hosts[place].drain(now);
        self.perform(place, events);
    }

    fn perform(&mut self, place: usize, events: Vec<Event>) {
        self.checkers.look(&self.hosts[place], &events);
        let me = self.hosts[place].raft.me();
        for event in events {
            if let Some(trace) = &mut self.trace {
                trace.push((self.now, me, event.clone()));
            }
            match event {
                Event::Did(raft_core::output::Output::Persist { .. }) => {
                    if self.hosts[place].disk.slow {
                        self.start_write(place);
                    }
                }
                Event::Did(_) => {}
                Event::Sent(to, packet) => {
                    self.aggregate(me, &packet);
                    self.post(me, to, packet);
                }
                Event::SentAll(all, packet) => {
                    all.into_iter().for_each(|to| self.post(me, to, packet.clone()));
                }
            }
        }
    }

    fn post(&mut self, from: Member, to: NodeId, packet: Packet) {
        self.network.send(self.now, (from, to, packet), &self.weather, &mut self.random);
    }

    fn start_write(&mut self, place: usize) {
        let micros = u64::try_from(self.weather.disk_max.as_micros()).unwrap().max(1);
        let earliest = self.disks.iter().filter(|(_, job)| job.0 == place).map(|(&(at, _), _)| at);
        let after = earliest.max().unwrap_or(self.now).max(self.now);
        let at = after + std::time::Duration::from_micros(self.random.below(micros));
        self.writes += 1;
        self.disks.insert((at, self.writes), (place, self.lives[place]));
    }

    fn finish_writes(&mut self) {
        while let Some(first) = self.disks.first_entry().filter(|first| first.key().0 <= self.now) {
            let (place, life) = first.remove();
            if life == self.lives[place] {
                let mut events = self.hosts[place].finish_writes(self.now, 1);
                events.extend(self.hosts[place].drain(self.now));
                self.perform(place, events);
            }
        }
    }

    fn deliver(&mut self) {
        let mut late = Vec::new();
        while let Some((from, to, packet)) = self.network.arrive(self.now) {
            let place = to.place();
            if place >= self.hosts.len() {
                continue;
            }
            if self.paused[place] > self.now {
                late.push((from, to, packet));
                continue;
            }
            let cut = self.random.chance(self.weather.cut);
            let chosen = self.random.next();
            self.step(place, |host, now| host.take(now, from, packet, cut.then_some(chosen)));
            if self.random.chance(700) {
                self.step(place, |host, now| host.raft.end_burst(now));
            }
        }
        for (from, to, packet) in late {
            let at = self.paused[to.place()];
            let calm = self.weather.fair();
            self.network.send(at, (from, to, packet), &calm, &mut self.random);
        }
        for place in 0..self.hosts.len() {
            if self.paused[place] <= self.now {
                self.step(place, |host, now| host.raft.end_burst(now));
            }
        }
    }

    fn tick(&mut self) {
        for place in 0..self.hosts.len() {
            if self.paused[place] <= self.now {
                self.step(place, |host, now| host.raft.tick(now));
                self.apply(place);
            }
        }
    }

    /// Somebody asks whoever says that it leads.
    fn request(&mut self) {
        let place = self.random.place(self.hosts.len());
        let number = self.requests;
        let host = &mut self.hosts[place];
        if self.paused[place] <= self.now && host.raft.propose(self.now, Number(number)).is_ok() {
            self.requests += 1;
        }
        self.step(place, |host, now| host.raft.end_burst(now));
    }

    /// The application applies, with some delay; what all hold, or what is applied here, is let go.
    fn apply(&mut self, place: usize) {
        if self.membership {
            return;
        }
        let everywhere = self.hosts.iter().filter(|host| host.raft.is_named());
        let everywhere = everywhere.map(|host| host.raft.commit().min(host.raft.durable()));
        let everywhere = everywhere.min().unwrap_or_default();
        let host = &mut self.hosts[place];
        let commit = host.raft.commit();
        let wanted = if self.careless { commit } else { commit.min(everywhere) };
        host.raft.set_campaign_delay(host.raft.room().0 < 32);
        if self.random.chance(if place == 0 { self.weather.first_applies } else { 300 }) {
            host.raft.release(wanted);
            let snapshot = wanted.min(host.raft.durable());
            host.disk.stable.snapshot = host.disk.stable.snapshot.max(snapshot);
        }
    }

    fn mishap(&mut self) {
        let place = self.random.place(self.hosts.len());
        if self.random.chance(self.weather.restart) {
            self.restart(place);
        }
        if self.random.chance(self.weather.pause) {
            let place = self.random.place(self.hosts.len());
            self.paused[place] = self.now + ms(self.random.below(800));
        }
        if self.random.chance(self.weather.partition) {
            self.network.partition(self.hosts.len(), &mut self.random);
        }
        self.operate();
        self.tell();
    }

    /// What was on its way to the disk is lost; in memory mode, everything, and it is nobody that anyone knows.
    fn restart(&mut self, place: usize) {
        if self.memory && !self.can_spare(self.hosts[place].raft.me()) {
            return;
        }
        self.lives[place] += 1;
        self.checkers.count(&self.hosts[place]);
        let kept = self.hosts[place].disk.clone();
        let disk = if self.memory { Disk::default() } else { kept };
        self.hosts[place] = self.host(place, disk);
        self.checkers.restarted(&self.hosts[place]);
    }

    /// Whether a majority of every configuration in force somewhere keeps its memory without `member`.
    fn can_spare(&self, member: Member) -> bool {
        let alive = |one: &&Member| {
            **one != member && self.hosts.iter().any(|host| host.raft.me() == **one)
        };
        let majority = |half: &[Member]| half.iter().filter(alive).count() * 2 > half.len();
        self.hosts.iter().filter(|host| host.raft.is_named()).all(|host| {
            [host.raft.configuration(), host.raft.committed_configuration()]
                .iter()
                .all(|one| majority(&one.voters) && (!one.is_joint() || majority(&one.outgoing)))
        })
    }

    fn host(&mut self, place: usize, disk: Disk) -> Host {
        let life = if self.memory { self.lives[place] } else { 1 };
        let me = Member { id: id(place), incarnation: Incarnation::from_wire(life) };
        let log_capacity = if self.membership { 4_096 } else { 64 };
        let settings = Settings { log_capacity, ..settings() };
        let slow = self.weather.disk_max > ms(0);
        let seed = self.random.next();
        let disk = Disk { slow, ..disk };
        Host::with(me, birth(self.voters), settings, disk, seed, self.now)
    }

    /// The aggregator sees an acknowledgement of an append that its leader could have sent through it (HC1c, HC9d).
    fn aggregate(&mut self, from: Member, packet: &Packet) {
        let Packet::Message(Message::Ack { epoch, term, index, .. }) = *packet else {
            return;
        };
        if !self.random.chance(self.weather.aggregated) {
            return;
        }
        let leads = |host: &&Host| {
            let raft = &host.raft;
            let in_force = raft.configuration_at(index);
            raft.role() == Role::Leader
                && raft.term() == term
                && raft.durable() >= index
                && Some(index) >= raft.first_of_term()
                && in_force.epoch == epoch
                && epoch <= raft.commit()
                && !in_force.is_joint()
                && in_force.voters.contains(&raft.me())
                && in_force.voters.contains(&from)
        };
        let Some(leader) = self.hosts.iter().find(leads) else {
            return;
        };
        let (leader, in_force) = (leader.raft.me(), leader.raft.configuration_at(index).clone());
        let slots = self.aggregator.entry((epoch, term)).or_default();
        let slot = slots.entry(from.id).or_default();
        *slot = (*slot).max(index);
        let at_least = slots.iter().filter(|&(_, &held)| held >= index).map(|(&node, _)| node);
        let mut set = raft_core::ids::NodeSet::only(leader.id);
        at_least.for_each(|node| set.insert(node));
        if in_force.is_quorum(set) {
            let word = Packet::Message(Message::QuorumAck { epoch, term, index, set });
            (0..self.hosts.len()).for_each(|place| self.post(from, id(place), word.clone()));
        }
    }

    /// What keeps a calm cluster from being whole: `None` when nothing does.
    pub fn unsettled(&self) -> Option<String> {
        let leaders: Vec<&Host> =
            self.hosts.iter().filter(|host| host.raft.role() == Role::Leader).collect();
        let [leader] = leaders[..] else {
            return Some(format!("{} leaders", leaders.len()));
        };
        let commit = leader.raft.commit();
        if commit != leader.raft.last_index()
            && commit.since(LogIndex::ZERO) + 8 < leader.raft.last_index().to_wire()
        {
            return Some(format!("{commit} of {} committed", leader.raft.last_index()));
        }
        for progress in leader.raft.followers() {
            let host = self.hosts.iter().find(|host| host.raft.me() == progress.member);
            let Some(host) = host.filter(|_| !progress.needs_snapshot) else { continue };
            if host.raft.commit().plus(8) < commit
                || host.raft.leader() != Some(leader.raft.me().id)
            {
                return Some(format!("{:?} is at {}", host.raft.me(), host.raft.commit()));
            }
        }
        None
    }

    /// A line per node, for a failure's message.
    pub fn status(&self) -> String {
        let line = |host: &Host| {
            let raft = &host.raft;
            let numbers = (raft.first_index(), raft.commit(), raft.last_index(), raft.room());
            let names = (raft.configuration().epoch, raft.is_voter(), raft.is_named());
            let at = (raft.me(), raft.role(), raft.term(), raft.leader());
            format!(
                "\n{at:?} first, commit, last, room {numbers:?} epoch, voter, named {names:?} {:?}",
                raft.followers()
            )
        };
        self.hosts.iter().map(line).collect()
    }

    /// Whether a majority of every configuration in force somewhere is alive.
    pub fn can_live(&self) -> bool {
        self.can_spare(Member { id: id(15), incarnation: Incarnation::default() })
    }

    /// What came to pass in this run.
    pub fn seen(&mut self) -> Seen {
        self.hosts.iter().for_each(|host| self.checkers.count(host));
        self.checkers.seen
    }
}
