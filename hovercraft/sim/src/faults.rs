//! What goes wrong in a run: a list drawn from the seed before it begins, so that it can be told in words and made shorter.

use core::fmt;
use core::time::Duration;

use dataplane::sim::Weather;

use crate::clock::TRUE_RATE;
use crate::knobs::Knobs;
use crate::random::Random;

/// The faults of a run, in order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Weather from the start.
    pub weather: Option<Weather>,
    /// What happens when.
    pub faults: Vec<Planned>,
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// Time since the storm began.
    pub at: Duration,
    /// What happens.
    pub fault: Fault,
}

/// Whom it meets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// Whoever leads then.
    Leader,
    /// This node.
    Node(u8),
}

/// What can go wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Loss, duplication and delay of all links.
    Weather(Weather),
    /// A node is cut off from everybody.
    Isolate(Target),
    /// A node is cut off from all others, and clients still reach it: what it orders nobody gets.
    Fence(Target),
    /// The leader and one other node are cut off from all others.
    Strand(u8),
    /// Nothing passes between these nodes, node 1 being bit 0, and the others; clients reach both sides.
    Split(u16),
    /// Nothing passes between two nodes, or from the first to the second only; both see the others.
    Cut(Target, u8, Ways),
    /// A node hears no multicast.
    Deaf(Target),
    /// All links work again.
    Heal,
    /// A node stands still as a whole, and goes on as if nothing had happened.
    Pause(Target, Duration),
    /// Its application half stands still.
    PauseApplication(Target, Duration),
    /// It dies, and its memory with it.
    Crash(Target),
    /// A dead node begins a fresh life (HC11a).
    Restart,
    /// Its clock runs at this rate from now on (0: it stands still for a while).
    Clock(Target, u64),
    /// The leader is told to hand over.
    HandOver,
    /// A client asks as many things at once.
    Burst(u8, u16),
    /// A client stands still; packets to it are read when it goes on.
    PauseClient(u8, Duration),
    /// A client's process ends, and another one begins at its address with the same numbers.
    NewClient(u8),
}

/// Which way nothing passes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ways {
    /// From the first to the second.
    There,
    /// Both.
    Both,
}

impl Plan {
    /// The faults of a seed. `plain`: some client has no session, so that its answers rest on clocks and packet lives (HC7c).
    #[must_use]
    pub fn draw(random: &mut Random, knobs: &Knobs, plain: bool) -> Self {
        if random.chance(14) && knobs.nodes >= 4 && !plain {
            return Self::reversions(random, knobs);
        }
        let churn = random.chance(15);
        let mut weights: Vec<u64> = (0..KINDS).map(|_| random.one_of(&[0, 1, 1, 3])).collect();
        if churn {
            weights = CHURN.to_vec();
        }
        if plain {
            // HC7e rests on the leader's monotonic time: a clock that stands still makes ids live longer than they may.
            weights[CLOCK] = 0;
        }
        let life = if plain { knobs.limits.packet_life } else { Duration::from_millis(400) };
        let calm = random.chance(15) && !churn;
        let mut weather = (!calm).then(|| draw_weather(random, life));
        if let Some(weather) = weather.as_mut().filter(|_| churn) {
            weather.loss_ppm = random.one_of(&[20_000, 100_000, 400_000]);
            weather.late_ppm = random.one_of(&[100_000, 500_000]);
            weather.late_max = if plain { life } else { random.one_of(&[life, life * 2]) };
            weather.late_max -= weather.delay_max;
        }
        let mut faults = Vec::new();
        let mut crashes = u64::from(knobs.nodes - 1) / 2;
        let mut at = Duration::ZERO;
        let often = if churn { 15 } else { random.one_of(&[20, 80, 200]) };
        loop {
            at += Duration::from_millis(1 + random.below(2 * often));
            if at >= knobs.storm || weights.iter().sum::<u64>() == 0 {
                break;
            }
            let kind = weighted(random, &weights);
            if let Some(fault) = draw_fault(random, knobs, kind, life, &mut crashes) {
                faults.push(Planned { at, fault });
            }
        }
        Self { weather, faults }
    }

    /// Again and again a leader orders what only one other node gets, is replaced, and leads again, while what was said in its earlier
    /// term is still under way.
    fn reversions(random: &mut Random, knobs: &Knobs) -> Self {
        let ms = Duration::from_millis;
        let delay_max = Duration::from_micros(10 + random.below(1_000));
        let weather = Weather {
            loss_ppm: random.one_of(&[0, 20_000]),
            duplicate_ppm: 0,
            delay_min: Duration::from_micros(5),
            delay_max,
            late_ppm: random.one_of(&[100_000, 300_000]),
            late_max: ms(900),
        };
        let mut faults = Vec::new();
        let mut at = ms(5);
        while at < knobs.storm {
            let other = 1 + u8::try_from(random.below(knobs.nodes.into())).expect("at most nine");
            let client = random.below(knobs.clients.len() as u64);
            let client = u8::try_from(client).expect("a handful");
            faults.push(Planned { at, fault: Fault::Strand(other) });
            faults.push(Planned { at, fault: Fault::Burst(client, 40) });
            at += ms(150 + random.below(250));
            faults.push(Planned { at, fault: Fault::Heal });
            for _ in 0..4 + random.below(12) {
                at += ms(4 + random.below(16));
                faults.push(Planned { at, fault: Fault::HandOver });
            }
        }
        faults.retain(|planned| planned.at < knobs.storm);
        Self { weather: Some(weather), faults }
    }
}

/// Kinds of faults, as their weights are numbered.
const KINDS: usize = 16;
/// Leaders come and go, and what was said in one term arrives in another.
const CHURN: [u64; KINDS] = [0, 0, 2, 0, 4, 2, 2, 0, 0, 0, 6, 2, 0, 0, 3, 5];
const CLOCK: usize = 9;

fn weighted(random: &mut Random, weights: &[u64]) -> usize {
    let mut left = random.below(weights.iter().sum());
    for (kind, &weight) in weights.iter().enumerate() {
        if left < weight {
            return kind;
        }
        left -= weight;
    }
    unreachable!("it is below the sum")
}

fn draw_fault(
    random: &mut Random,
    knobs: &Knobs,
    kind: usize,
    life: Duration,
    crashes: &mut u64,
) -> Option<Fault> {
    let node = |random: &mut Random| {
        1 + u8::try_from(random.below(knobs.nodes.into())).expect("at most nine")
    };
    let any = node(random);
    let target = if random.chance(40) { Target::Leader } else { Target::Node(any) };
    let long = random.one_of(&[30, 200, 700]);
    let span = Duration::from_millis(1 + random.below(long));
    let clients = knobs.clients.len() as u64;
    let client = u8::try_from(random.below(clients)).expect("a handful");
    Some(match kind {
        0 => Fault::Weather(draw_weather(random, life)),
        1 => Fault::Isolate(target),
        2 => {
            let ways = if random.chance(50) { Ways::Both } else { Ways::There };
            let other = node(random);
            return (target != Target::Node(other)).then_some(Fault::Cut(target, other, ways));
        }
        3 => Fault::Deaf(target),
        4 | 5 => Fault::Heal,
        6 => Fault::Pause(target, span),
        7 => Fault::PauseApplication(target, span),
        8 if *crashes > 0 => {
            *crashes -= 1;
            Fault::Crash(target)
        }
        8 => Fault::Restart,
        CLOCK => {
            let rates = [0, TRUE_RATE / 2, TRUE_RATE, TRUE_RATE * 9 / 10, TRUE_RATE * 2];
            Fault::Clock(target, random.one_of(&rates))
        }
        10 => Fault::HandOver,
        11 => Fault::Burst(client, u16::try_from(1 + random.below(200)).expect("small")),
        12 => Fault::PauseClient(client, Duration::from_millis(1 + random.below(2_500))),
        13 => Fault::NewClient(client),
        14 => Fault::Fence(target),
        _ => {
            let sides = random.below(1 << knobs.nodes);
            Fault::Split(u16::try_from(sides).expect("at most nine nodes"))
        }
    })
}

/// From calm to worse than the protocol is made for; packets live as long as they may.
fn draw_weather(random: &mut Random, life: Duration) -> Weather {
    let ppm = |random: &mut Random, most: u64| {
        u32::try_from(random.below(most)).expect("below a million")
    };
    let none = random.below(8);
    let mut some = |bit: u64, most: u64| if none & bit == 0 { ppm(random, most) } else { 0 };
    let (loss_ppm, duplicate_ppm, late_ppm) = (some(1, 100_000), some(2, 50_000), some(4, 30_000));
    let delay_max = Duration::from_micros(10 + random.below(2_000));
    Weather {
        loss_ppm,
        duplicate_ppm,
        delay_min: Duration::from_micros(5),
        delay_max,
        late_ppm,
        late_max: random.time_below(life.saturating_sub(delay_max)),
    }
}

impl Fault {
    /// The client that it names.
    #[must_use]
    pub fn client(&self) -> Option<u8> {
        match self {
            Self::Burst(client, _) | Self::NewClient(client) | Self::PauseClient(client, _) => {
                Some(*client)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => f.write_str("the leader"),
            Self::Node(node) => write!(f, "n{node}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Weather(weather) => write!(f, "{}", in_words(&weather)),
            Self::Isolate(target) => write!(f, "{target} is cut off from everybody"),
            Self::Fence(target) => write!(f, "{target} is cut off from all other nodes"),
            Self::Strand(other) => {
                write!(f, "the leader and n{other} are cut off from all others")
            }
            Self::Split(side) => {
                let side = (0..9).filter(|place| side & 1 << place != 0);
                let side: Vec<_> = side.map(|place| format!("n{}", place + 1)).collect();
                write!(f, "the nodes {} are cut off from the others", side.join(", "))
            }
            Self::Cut(target, node, Ways::Both) => {
                write!(f, "{target} and n{node} are cut off from each other")
            }
            Self::Cut(target, node, Ways::There) => {
                write!(f, "nothing passes from {target} to n{node}")
            }
            Self::Deaf(target) => write!(f, "{target} hears no multicast"),
            Self::Heal => f.write_str("all links work again"),
            Self::Pause(target, span) => write!(f, "{target} stands still for {span:?}"),
            Self::PauseApplication(target, span) => {
                write!(f, "the application half of {target} stands still for {span:?}")
            }
            Self::Crash(target) => write!(f, "{target} dies"),
            Self::Restart => f.write_str("the first dead node begins a fresh life"),
            Self::Clock(target, 0) => write!(f, "the clock of {target} stands still"),
            Self::Clock(target, rate) => {
                write!(f, "the clock of {target} runs at {} %", rate * 100 / TRUE_RATE)
            }
            Self::HandOver => f.write_str("the leader hands over"),
            Self::Burst(client, count) => write!(f, "client {client} asks {count} things at once"),
            Self::PauseClient(client, span) => {
                write!(f, "client {client} stands still for {span:?}")
            }
            Self::NewClient(client) => {
                write!(f, "client {client} dies, and another begins with its numbers")
            }
        }
    }
}

/// A weather in words.
#[must_use]
pub fn in_words(weather: &Weather) -> String {
    let percent = |ppm: u32| f64::from(ppm) / 10_000.0;
    format!(
        "{:.1} % lost, {:.1} % twice, {:?} to {:?} under way, {:.1} % late by up to {:?}",
        percent(weather.loss_ppm),
        percent(weather.duplicate_ppm),
        weather.delay_min,
        weather.delay_max,
        percent(weather.late_ppm),
        weather.late_max
    )
}
