//! What a run is made of, drawn from its seed (swarm testing: most seeds leave most dangers out, so that rare combinations occur).

use core::time::Duration;

use hovercraft::limits::Limits;
use hovercraft::replica::Mode;
use hovercraft::replier::ReplierPolicy;
use r2p2::client::Mode as ClientMode;

use crate::client::Habits;
use crate::clock::TRUE_RATE;
use crate::faults::Plan;
use crate::random::Random;

/// Everything but the faults.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// The seed.
    pub seed: u64,
    /// Voters at birth, 1 to 9.
    pub nodes: u8,
    /// How requests are replicated.
    pub mode: Mode,
    /// Who answers.
    pub replier: ReplierPolicy,
    /// Replies that a node may owe.
    pub bound: u32,
    /// Whether messages between nodes carry MACs.
    pub key: bool,
    /// The replicated limits.
    pub limits: Limits,
    /// The local ones.
    pub room: Room,
    /// Longest time that an application half takes to notice commands, each node's own.
    pub application_delays: Vec<Duration>,
    /// Parts per million of the true rate, each node's own.
    pub clock_rates: Vec<u64>,
    /// Receive stamps by the back end, or the time of the last look only (HC8).
    pub stamps: bool,
    /// One for each client.
    pub clients: Vec<Habits>,
    /// How long faults go on.
    pub storm: Duration,
    /// Whether histories get the black-box check as well, which may take long.
    pub black_box: bool,
}

/// Sizes of what a node has.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Entries of the log's ring.
    pub log_entries: u32,
    /// Waiting bodies.
    pub unordered_max: u32,
    /// Requests in the system before the leader refuses.
    pub in_system_max: u32,
    /// Appends that may wait for bodies.
    pub parked_max: u32,
    /// Bodies that may be missed.
    pub wants_max: u32,
    /// Messages in reassembly.
    pub reassembly_max: u32,
    /// Commands under way to the application half.
    pub commands_max: u32,
    /// Entries in one append.
    pub append_entries_max: u16,
    /// Appends under way to one follower.
    pub inflight_max: u16,
    /// Packets that wait at a node before others are dropped.
    pub inbox_max: usize,
}

impl Knobs {
    /// A cluster under default limits, with true clocks, quick applications, and neither clients nor faults of its own: for tests.
    #[must_use]
    pub fn usual(seed: u64, nodes: u8, mode: Mode) -> Self {
        let count = usize::from(nodes);
        Self {
            seed,
            nodes,
            mode,
            replier: ReplierPolicy::Jbsq,
            bound: 128,
            key: true,
            limits: Limits::default(),
            room: Room {
                log_entries: 1 << 14,
                unordered_max: 4_096,
                in_system_max: 4_096,
                parked_max: 64,
                wants_max: 512,
                reassembly_max: 256,
                commands_max: 1_024,
                append_entries_max: 20,
                inflight_max: 64,
                inbox_max: 4_096,
            },
            application_delays: vec![Duration::from_micros(20); count],
            clock_rates: vec![TRUE_RATE; count],
            stamps: true,
            clients: Vec::new(),
            storm: Duration::ZERO,
            black_box: false,
        }
    }

    /// What `seed` says, and the faults that go with it.
    #[must_use]
    pub fn draw(seed: u64) -> (Self, Plan) {
        let mut random = Random::new(seed.wrapping_mul(0x2545_F491_4F6C_DD1D));
        let nodes = random.one_of(&[1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7, 8, 9]);
        let mode = draw_mode(&mut random, nodes);
        let count = usize::from(nodes);
        let limits = draw_limits(&mut random);
        let slow = random.one_of(&[1, 1, 50, 500, 3_000]);
        let clients = draw_clients(&mut random, mode, &limits);
        let plain = clients.iter().any(|client| client.mode == ClientMode::Plain);
        // Windows of plain ids rest on clocks that run nearly alike.
        let drift = random.one_of(&[0, 200, 10_000, if plain { 200 } else { 100_000 }]);
        let policies = [ReplierPolicy::Jbsq, ReplierPolicy::Random, ReplierPolicy::Leader];
        let knobs = Self {
            seed,
            nodes,
            mode,
            replier: random.one_of(&policies),
            bound: random.one_of(&[1, 4, 16, 128, 1_024]),
            key: random.chance(50),
            room: draw_room(&mut random),
            application_delays: draw_some(&mut random, count, |random| {
                Duration::from_micros(if random.chance(70) { 1 } else { slow })
            }),
            clock_rates: draw_some(&mut random, count, |random| {
                TRUE_RATE - drift + random.below(2 * drift + 1)
            }),
            stamps: random.chance(70),
            clients,
            limits,
            storm: Duration::from_millis(400 + random.below(1_600)),
            black_box: random.chance(10),
        };
        let plan = Plan::draw(&mut random, &knobs, plain);
        (knobs, plan)
    }
}

fn draw_mode(random: &mut Random, nodes: u8) -> Mode {
    match random.below(10) {
        0 if nodes == 1 => Mode::Unreplicated,
        0..=2 => Mode::Raft,
        _ => Mode::Hovercraft,
    }
}

/// The defaults, or times a tenth of them, so that windows and sessions end within a run; and small tables.
fn draw_limits(random: &mut Random) -> Limits {
    let ms = Duration::from_millis;
    let mut limits = Limits::default();
    if random.chance(40) {
        limits = Limits {
            unordered_expiry: ms(50),
            packet_life: ms(15),
            answer_ttl: ms(35),
            plain_window: ms(120),
            session_expiry: ms(1_200),
            ..limits
        };
    }
    if random.chance(20) {
        limits.sessions_max = 3;
    }
    if random.chance(20) {
        limits.session_window = 4;
    }
    if random.chance(20) {
        limits.plain_ids_max = 24;
    }
    limits.reply_keep_max = random.one_of(&[1_024, 1_024, 1_024, 8, 0]);
    if random.chance(10) {
        limits.replies_bytes_max = 16 * 1_024;
    }
    limits
}

fn draw_room(random: &mut Random) -> Room {
    let mut small = |usual, small| if random.chance(15) { small } else { usual };
    Room {
        log_entries: small(4_096, 256),
        unordered_max: small(1_024, 12),
        in_system_max: small(1_024, 10),
        parked_max: small(64, 2),
        wants_max: small(512, 3),
        reassembly_max: small(256, 3),
        commands_max: small(1_024, 8),
        append_entries_max: if small(1, 0) == 0 { 1 } else { 20 },
        inflight_max: if small(1, 0) == 0 { 1 } else { 64 },
        inbox_max: small(4_096, 40) as usize,
    }
}

fn draw_clients(random: &mut Random, mode: Mode, limits: &Limits) -> Vec<Habits> {
    let plain = random.one_of(&[0, 0, 30, 100]);
    let same_ids = random.chance(30);
    let keys = 1 + random.below(8);
    let count = 1 + random.below(6);
    let count = usize::try_from(count).expect("a handful");
    draw_some(random, count, |random| {
        let long = random.chance(20);
        let mode = match mode {
            Mode::Unreplicated => ClientMode::Sessionless,
            _ if random.chance(plain) => ClientMode::Plain,
            _ => ClientMode::Session,
        };
        let most = limits.session_window.min(random.one_of(&[1, 1, 4, 32, 64]));
        let give_up_after = Duration::from_millis(300 + random.below(3_000));
        Habits {
            mode,
            gives_up_first: give_up_after * 3 < limits.session_expiry,
            open_max: most as usize,
            keys,
            reads: random.below(80),
            pause: Duration::from_micros(random.one_of(&[500, 2_000, 8_000])),
            long_value: if long { random.one_of(&[3_000, 20_000]) } else { 0 },
            give_up_after,
            retry_after: Duration::from_millis(random.one_of(&[2, 20, 20])),
            at_nodes: random.chance(10),
            same_ids: mode == ClientMode::Plain && same_ids,
            short_answers: plain > 0,
        }
    })
}

fn draw_some<T>(
    random: &mut Random,
    count: usize,
    mut draw: impl FnMut(&mut Random) -> T,
) -> Vec<T> {
    (0..count).map(|_| draw(random)).collect()
}
