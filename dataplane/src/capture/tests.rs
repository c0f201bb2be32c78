//! Files read back by another crate (`pcap-parser`) than the one that wrote them.

use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, PcapBlockOwned, PcapError, PcapNGReader};

use super::*;

/// A file of its own for each test.
fn path(test: &str) -> PathBuf {
    std::env::temp_dir().join(format!("dataplane-capture-{}-{test}.pcapng", std::process::id()))
}

#[derive(Debug, Default)]
struct Read {
    interface: String,
    nanoseconds: bool,
    snaplen: u32,
    /// Time in nanoseconds since 1970, direction's flags, original length, bytes.
    frames: Vec<(u64, u32, u32, Vec<u8>)>,
    /// Time, received, dropped.
    end: Option<(u64, u64, u64)>,
}

fn read(path: &PathBuf) -> Read {
    let mut reader = PcapNGReader::new(1 << 16, File::open(path).unwrap()).unwrap();
    let mut read = Read::default();
    loop {
        match reader.next() {
            Ok((used, PcapBlockOwned::NG(block))) => {
                read.note(&block);
                reader.consume(used);
            }
            Ok(_) => panic!("not pcapng"),
            Err(PcapError::Eof) => return read,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

impl Read {
    fn note(&mut self, block: &Block<'_>) {
        match block {
            Block::SectionHeader(_) => {}
            Block::InterfaceDescription(interface) => {
                self.interface = interface.if_name().unwrap().unwrap().to_owned();
                self.nanoseconds = interface.ts_resolution() == Some(1_000_000_000);
                self.snaplen = interface.snaplen;
            }
            Block::EnhancedPacket(packet) => {
                let flags = packet.options.iter().find(|option| option.code.0 == 2).unwrap();
                let flags = u32::from_be_bytes(flags.value().try_into().unwrap());
                let at = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let bytes = packet.packet_data().to_vec();
                self.frames.push((at, flags, packet.origlen, bytes));
            }
            Block::InterfaceStatistics(end) => {
                let number = |code: u16| {
                    let option = end.options.iter().find(|option| option.code.0 == code).unwrap();
                    u64::from_be_bytes(option.value().try_into().unwrap())
                };
                let at = u64::from(end.ts_high) << 32 | u64::from(end.ts_low);
                self.end = Some((at, number(4), number(5)));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn frames_of_two_taps_are_read_back_with_times_and_directions() {
    let file = path("two-taps");
    let clock = Clock::start();
    let before = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let (capture, mut taps) =
        Capture::start(CaptureConfig::new(&file, "net_ring0"), clock, 2).unwrap();
    let at = |nanoseconds| Duration::from_nanos(nanoseconds);
    taps[0].frame(at(1_000_000_007), Direction::In, &[&[1; 60]]);
    taps[1].frame(at(1_000_000_009), Direction::Out, &[&[2; 42], &[3; 19]]);
    taps[0].frame(at(1_000_000_011), Direction::In, &[&[4; 3_000]]);
    let totals = capture.stop().unwrap();
    assert_eq!(totals, CaptureTotals { written: 3, dropped: 0, past_limit: 0 });
    let read = read(&file);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(
        (read.interface.as_str(), read.nanoseconds, read.snaplen),
        ("net_ring0", true, 2_048)
    );
    let summary: Vec<_> =
        read.frames.iter().map(|frame| (frame.1, frame.2, frame.3.len())).collect();
    assert_eq!(summary, [(1, 60, 60), (2, 61, 61), (1, 3_000, 2_048)]);
    assert_eq!(read.frames[1].3, [vec![2; 42], vec![3; 19]].concat());
    let first = read.frames[0].0;
    let times: Vec<_> = read.frames.iter().map(|frame| frame.0 - first).collect();
    assert_eq!(times, [0, 2, 4]);
    // The clock began just before: one second later is within seconds of `before` and one.
    let expected = u64::try_from((before + at(1_000_000_007)).as_nanos()).unwrap();
    assert!(first.abs_diff(expected) < 5_000_000_000, "{first} is not about {expected}");
    assert_eq!(read.end, Some((first + 4, 3, 0)));
}

#[test]
fn without_a_free_buffer_a_frame_is_counted_and_left_out() {
    let file = path("full");
    let clock = Clock::start();
    let config = CaptureConfig { frames: 8, snaplen: 64, ..CaptureConfig::new(&file, "full") };
    let (capture, mut taps) = Capture::start(config, clock, 1).unwrap();
    // Far faster than a thread that rests for milliseconds.
    for n in 0..10_000 {
        taps[0].frame(Duration::from_nanos(n), Direction::Out, &[&[5; 64]]);
    }
    let totals = capture.stop().unwrap();
    let read = read(&file);
    std::fs::remove_file(&file).unwrap();
    assert!(totals.dropped > 0, "{totals:?}");
    assert_eq!(totals.written + totals.dropped, 10_000); // W1
    assert_eq!(read.frames.len() as u64, totals.written);
    assert_eq!(read.end.unwrap().1, 10_000);
    assert_eq!(read.end.unwrap().2, totals.dropped);
}

#[test]
fn the_file_never_grows_above_its_bound() {
    for bytes_max in [0, 300, 1_000, 5_003] {
        let file = path(&format!("bound-{bytes_max}"));
        let config = CaptureConfig { bytes_max, ..CaptureConfig::new(&file, "bound") };
        let (capture, mut taps) = Capture::start(config, Clock::start(), 1).unwrap();
        for n in 0..100 {
            taps[0].frame(Duration::from_nanos(n), Direction::In, &[&[6; 61]]);
        }
        let totals = capture.stop().unwrap();
        let len = std::fs::metadata(&file).unwrap().len();
        let read = read(&file);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(totals.written + totals.past_limit, 100);
        assert_eq!(read.frames.len() as u64, totals.written);
        assert!(totals.past_limit > 0);
        // What has to be there in any case: the section, the interface, the end.
        assert!(len <= bytes_max.max(300), "{len} bytes, not {bytes_max} at most");
        assert!(len + 61 + 64 + 128 > bytes_max, "{len} bytes of {bytes_max}");
    }
}

#[test]
fn what_was_pushed_is_there_when_the_capture_is_only_dropped() {
    let file = path("dropped");
    let (capture, mut taps) =
        Capture::start(CaptureConfig::new(&file, "dropped"), Clock::start(), 1).unwrap();
    taps[0].frame(Duration::ZERO, Direction::In, &[b"last words"]);
    drop(capture);
    taps[0].frame(Duration::ZERO, Direction::In, &[b"too late"]); // harms nobody
    let read = read(&file);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(read.frames.len(), 1);
    assert_eq!(read.frames[0].3, b"last words");
    assert!(read.end.is_some());
}

/// W1 at the stop: the writing thread is busy when the last frames come.
#[test]
fn what_was_pushed_before_the_stop_is_written() {
    let file = path("stop");
    for _ in 0..5 {
        let config =
            CaptureConfig { frames: 65_536, snaplen: 64, ..CaptureConfig::new(&file, "stop") };
        let (capture, mut taps) = Capture::start(config, Clock::start(), 1).unwrap();
        let mut pushed = 0;
        let mut push = |count| {
            for _ in 0..count {
                taps[0].frame(Duration::from_nanos(pushed), Direction::In, &[&[7; 64]]);
                pushed += 1;
            }
        };
        while capture.totals().written == 0 {
            push(20);
            thread::sleep(Duration::from_micros(10));
        }
        push(100);
        let totals = capture.stop().unwrap();
        assert_eq!(totals, CaptureTotals { written: pushed, dropped: 0, past_limit: 0 });
        assert_eq!(read(&file).frames.len() as u64, pushed);
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_file_that_cannot_be_made_is_named_with_what_to_do() {
    let config = CaptureConfig::new("/nowhere/at/all.pcapng", "x");
    let error = Capture::start(config, Clock::start(), 1).unwrap_err().to_string();
    assert!(error.starts_with("capture file /nowhere/at/all.pcapng: cannot make it: "), "{error}");
    assert!(error.ends_with("; name another with --pcap, or make room"), "{error}");
    let full = Capture::start(CaptureConfig::new("/dev/full", "x"), Clock::start(), 1);
    let error = full.unwrap_err().to_string();
    assert!(error.starts_with("capture file /dev/full: cannot write to it: "), "{error}");
}
