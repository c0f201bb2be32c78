//! The kernel's own floor: datagrams of a request's and a reply's size, echoed by a process that does nothing else.
//!
//! Both ends are subcommands of `hovercraft-lab`, so that a run can put them where a node and its clients are. Each waits
//! for a packet and takes up to 32 that stand behind it in one system call, and sends as many in one.
//!
//! The client keeps a number of packets open, as `lancet --open` does, prints a line on standard output when it is ready
//! and its [`FloorReport`] at the end, both as JSON with an `event`.

#[allow(unsafe_code, reason = "the door to libc; see its header")]
mod ffi;

use std::io::{self, Write as _};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use socket2::SockRef;

use ffi::{BURST, Burst, PACKET_MAX};

/// Silence after which packets on their way are taken for lost: longer than a busy machine stops an echo.
const SILENCE: Duration = Duration::from_secs(2);

/// How often the client asks for an echo before it gives up, and how long it waits for each.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_millis(50);

/// Receive buffer asked for, in bytes; the system may give less.
const RECEIVE_BUFFER: usize = 8 << 20;

/// Bytes in front of each packet: its number.
const NUMBER_LEN: usize = 8;

/// What the client is to do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Where the echo is.
    pub to: SocketAddrV4,
    /// Packets on their way at a time, at least one.
    pub open: usize,
    /// Bytes of a packet to the echo, 8 to 2,048.
    pub request: usize,
    /// Not measured, at the start.
    pub warm: Duration,
    /// Measured.
    pub length: Duration,
}

/// What the client found: counts of the whole run, the rest of its measured part.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct FloorReport {
    /// Packets sent.
    pub sent: u64,
    /// Packets that came back.
    pub answered: u64,
    /// Of these, per second.
    pub rate: f64,
    /// Median time from the send to the answer, in microseconds.
    pub p50_us: f64,
    /// 99 % came within.
    pub p99_us: f64,
}

/// Sends every packet that comes to `own` back as `reply` bytes; never returns but by an error.
///
/// # Errors
///
/// When the address cannot be used, or `reply` is no size of a packet.
pub fn echo(own: SocketAddrV4, reply: usize) -> anyhow::Result<()> {
    ensure!((NUMBER_LEN..=PACKET_MAX).contains(&reply), "{reply} bytes are no packet");
    let socket = UdpSocket::bind(own).with_context(|| format!("cannot bind {own}"))?;
    widen(&socket)?;
    let mut burst = Burst::new();
    loop {
        burst.receive(&socket)?;
        burst.lengths = [reply; BURST];
        burst.send(&socket)?;
    }
}

/// Keeps `load.open` packets on their way for as long as asked.
///
/// # Errors
///
/// When the echo does not answer at all, or the socket fails.
pub fn load(load: Load) -> anyhow::Result<FloorReport> {
    let fits = load.open > 0 && (NUMBER_LEN..=PACKET_MAX).contains(&load.request);
    ensure!(fits, "{} open packets of {} bytes are none", load.open, load.request);
    let mut client = Client::new(load)?;
    client.reach()?;
    println!(r#"{{"event":"begin"}}"#);
    io::stdout().flush()?;
    client.run()
}

/// Prints a report as the line that ends a run.
///
/// # Errors
///
/// When nobody reads it.
pub fn print(report: &FloorReport) -> anyhow::Result<()> {
    let mut line = serde_json::to_value(report)?;
    line["event"] = "report".into();
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

struct Client {
    load: Load,
    socket: UdpSocket,
    burst: Burst,
    /// When each packet was sent, by its place; a number is a place plus a multiple of how many there are.
    sent_at: Vec<Duration>,
    numbers: Vec<u64>,
    latencies: Vec<u32>,
    report: FloorReport,
}

impl Client {
    fn new(load: Load) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind(("0.0.0.0", 0))?;
        widen(&socket)?;
        socket.connect(SocketAddr::V4(load.to))?;
        socket.set_read_timeout(Some(PAUSE))?;
        Ok(Self {
            load,
            socket,
            burst: Burst::new(),
            sent_at: vec![Duration::ZERO; load.open],
            numbers: (0..load.open as u64).collect(),
            latencies: Vec::with_capacity(1 << 20),
            report: FloorReport::default(),
        })
    }

    /// Waits until the echo answers: it may just be starting.
    fn reach(&mut self) -> anyhow::Result<()> {
        for _ in 0..TRIES {
            // No packet that counts has this number.
            self.burst.buffers[0][..NUMBER_LEN].copy_from_slice(&u64::MAX.to_be_bytes());
            (self.burst.lengths[0], self.burst.peers[0]) = (self.load.request, self.load.to);
            self.burst.count = 1;
            let sent = self.burst.send(&self.socket);
            match sent.and_then(|()| self.burst.receive(&self.socket)) {
                Ok(()) => return Ok(self.socket.set_read_timeout(Some(SILENCE))?),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => sleep(PAUSE),
                Err(error) if is_silence(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bail!("nothing comes back from {}", self.load.to)
    }

    fn run(&mut self) -> anyhow::Result<FloorReport> {
        let start = Instant::now();
        let end = self.load.warm + self.load.length;
        let mut free: Vec<usize> = (0..self.load.open).collect();
        loop {
            let now = start.elapsed();
            if now >= end {
                break;
            }
            self.send(&mut free, start)?;
            match self.burst.receive(&self.socket) {
                Ok(()) => self.take(&mut free, start.elapsed()),
                Err(error) if is_silence(&error) => free = (0..self.load.open).collect(),
                Err(error) => return Err(error.into()),
            }
        }
        let under_way = self.load.open - free.len();
        Ok(self.finish(under_way, &mut free, start))
    }

    /// Sends a packet for each free place.
    fn send(&mut self, free: &mut Vec<usize>, start: Instant) -> io::Result<()> {
        while !free.is_empty() {
            let now = start.elapsed();
            for at in 0..BURST.min(free.len()) {
                let Some(place) = free.pop() else { break };
                // An answer to an earlier packet of this place is told by its number.
                self.numbers[place] += self.load.open as u64;
                self.sent_at[place] = now;
                let number = self.numbers[place].to_be_bytes();
                self.burst.buffers[at][..NUMBER_LEN].copy_from_slice(&number);
                self.burst.lengths[at] = self.load.request;
                self.burst.peers[at] = self.load.to;
                self.burst.count = at + 1;
            }
            self.report.sent += self.burst.count as u64;
            self.burst.send(&self.socket)?;
        }
        Ok(())
    }

    fn take(&mut self, free: &mut Vec<usize>, now: Duration) {
        for at in 0..self.burst.count {
            let mut number = [0; NUMBER_LEN];
            number.copy_from_slice(&self.burst.buffers[at][..NUMBER_LEN]);
            let number = u64::from_be_bytes(number);
            let place = usize::try_from(number % self.load.open as u64).unwrap_or(0);
            if self.numbers[place] != number {
                continue;
            }
            // Taken: a second answer with this number is none.
            self.numbers[place] += self.load.open as u64;
            free.push(place);
            self.report.answered += 1;
            if now >= self.load.warm && now < self.load.warm + self.load.length {
                let latency = now.saturating_sub(self.sent_at[place]).as_nanos();
                self.latencies.push(u32::try_from(latency).unwrap_or(u32::MAX));
            }
        }
    }

    /// Takes the last answers, and sums up.
    fn finish(
        &mut self,
        mut under_way: usize,
        free: &mut Vec<usize>,
        start: Instant,
    ) -> FloorReport {
        while under_way > 0 && self.burst.receive(&self.socket).is_ok() {
            free.clear();
            self.take(free, start.elapsed());
            under_way -= free.len();
        }
        self.latencies.sort_unstable();
        let share = |percent: usize| {
            let at = (self.latencies.len() * percent / 100).min(self.latencies.len().max(1) - 1);
            self.latencies.get(at).map_or(0.0, |&ns| f64::from(ns) / 1e3)
        };
        let answered = u32::try_from(self.latencies.len()).unwrap_or(u32::MAX);
        FloorReport {
            rate: f64::from(answered) / self.load.length.as_secs_f64(),
            p50_us: share(50),
            p99_us: share(99),
            ..self.report
        }
    }
}

/// Room for all that can be open: what the system gives by default holds some 250 packets.
fn widen(socket: &UdpSocket) -> io::Result<()> {
    SockRef::from(socket).set_recv_buffer_size(RECEIVE_BUFFER)
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn an_echo_answers_all_and_the_times_are_sound() {
        let own = SocketAddrV4::new([127, 71, 255, 77].into(), 7_007);
        thread::spawn(move || echo(own, 48));
        let ms = Duration::from_millis;
        for open in [1, 40] {
            let load = Load { to: own, open, request: 56, warm: ms(20), length: ms(200) };
            let report = super::load(load).unwrap();
            assert_eq!(report.sent, report.answered, "{report:?}");
            assert!(report.rate > 100.0 && report.p50_us > 0.5, "{report:?}");
            assert!(report.p50_us <= report.p99_us && report.p99_us < 2e5, "{report:?}");
            // What is open, and how fast it comes back, is the rate (Little's law), within what a busy machine blurs.
            let open_on_average = report.rate * report.p50_us / 1e6;
            assert!(open_on_average < 2.0 * f64::from(u32::try_from(open).unwrap()), "{report:?}");
        }
    }

    #[test]
    fn where_nobody_echoes_nothing_is_measured() {
        let silent = UdpSocket::bind("127.71.255.78:0").unwrap();
        let Ok(SocketAddr::V4(to)) = silent.local_addr() else { panic!() };
        let ms = Duration::from_millis;
        let load = Load { to, open: 2, request: 56, warm: ms(0), length: ms(500) };
        assert!(super::load(load).unwrap_err().to_string().starts_with("nothing comes back from"));
        assert!(echo(to, 4).unwrap_err().to_string().contains("no packet"));
    }
}
