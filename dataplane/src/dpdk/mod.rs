//! DPDK: the back end that never enters the kernel. Feature `dpdk`; needs Debian's packages `dpdk libdpdk-dev libclang-dev
//! clang` to build.
//!
//! | module | what it is |
//! |---|---|
//! | (here) | [`Eal`]: DPDK started from its users' arguments; which core is whose |
//! | [`packet`] | pools, packets with one owner, payloads that many packets share |
//! | [`port`] | devices: set up, watched, brought back; whole frames in and out of their queues |
//! | [`queue`] | [`Dpdk`]: the trait [`Queue`](crate::backend::Queue) on a port, with [`crate::net`] between |
//! | [`forward`] | a learning switch between ports, for nodes that are processes of their own |
//! | [`cable`] | ports of one process on a wire that copies: tests, labs, benchmarks |
//!
//! # For a node
//!
//! ```no_run
//! use dataplane::backend::Queue;
//! use dataplane::capture::{Capture, CaptureConfig};
//! use dataplane::clock::Clock;
//! use dataplane::dpdk::{Dpdk, DpdkConfig, Eal, choose_port};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // What stands before `--`: refused with a line that works where the machine has not got it.
//! let arguments = ["-l", "0-1", "--no-huge", "-m", "512", "--vdev", "net_af_packet0,iface=eth1"];
//! let clock = Clock::start(); // before EAL
//! let eal = Eal::start(&arguments.map(str::to_owned))?;
//!
//! let device = choose_port(&eal, "0")?; // a number, a name, or `net_virtio_user0,path=/run/switch/3`
//! let mut config = DpdkConfig { clock, ..DpdkConfig::new("10.0.0.1:8000".parse()?, 24, device) };
//! config.groups = vec!["239.0.0.1:8000".parse()?];
//! config.port.mtu = 1_500;
//! let mut network = Dpdk::open(&eal, config)?;
//! let mut application = network.transmit_queue()?; // for another thread
//! println!("{}", network.description());
//!
//! // The node pins its threads: the network's to the first core, the application's to the second.
//! let (first, second) = (&eal.lcores()[0].cpus, eal.lcores().get(1).map(|lcore| &lcore.cpus));
//! println!("network on {first:?}, application on {second:?}");
//!
//! // `--pcap FILE`: two taps, one for each queue.
//! let (_capture, mut taps) = Capture::start(CaptureConfig::new("node.pcapng", "port 0"), clock, 2)?;
//! application.capture(taps.remove(1));
//! network.capture(taps.remove(0));
//!
//! network.receive(&mut |arrival| println!("{} bytes from {}", arrival.bytes.len(), arrival.from));
//! # Ok(())
//! # }
//! ```
//!
//! Threads need not be registered with EAL: queues do that by themselves, once per thread. Both queues are of one type, and
//! both have a [`Waker`](crate::udp::Waker) ([`Dpdk::waker`]). The network thread must go on calling
//! [`receive`](crate::backend::Queue::receive) or [`wait`](crate::backend::Queue::wait): that is also when ARP, ICMP and
//! IGMP are answered, and when frames of threads without a transmit queue leave.

pub mod cable;
mod eal;
pub mod forward;
pub mod packet;
pub mod port;
pub mod queue;

pub use eal::{Eal, EalError, Lcore, RegisteredThread};
pub use queue::{Dpdk, DpdkConfig, DpdkError, choose_port};
