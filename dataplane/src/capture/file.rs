//! The file itself: blocks of pcapng, by the crate `pcap-file`.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::interface_statistics::{
    InterfaceStatisticsBlock, InterfaceStatisticsOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};

use super::{CaptureConfig, CaptureTotals, Direction};
use crate::backend::Instant;

/// What an enhanced packet block with its flags has around the frame.
const PACKET_OVERHEAD: u64 = 44;
/// Room for the interface statistics block.
const END_MAX: u64 = 128;
/// Buffered between system calls.
const BUFFER: usize = 1 << 18;

/// A frame on its way to the file.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) at: Instant,
    direction: Direction,
    len: usize,
    kept: usize,
    bytes: Box<[u8]>,
}

/// The file, as far as it was written.
pub(super) struct CaptureFile {
    writer: PcapNgWriter<BufWriter<File>>,
    /// From 1970 to the moment at which the clock began.
    epoch: Duration,
    len: u64,
    len_max: u64,
    last: Instant,
}

impl Record {
    pub(super) fn new(snaplen: usize) -> Self {
        // Not zero: that would be memory which the system gives when it is first written, on the hot path.
        let bytes = vec![0xff; snaplen].into_boxed_slice();
        Self { at: Instant::ZERO, direction: Direction::In, len: 0, kept: 0, bytes }
    }

    pub(super) fn fill(&mut self, at: Instant, direction: Direction, parts: &[&[u8]]) {
        (self.at, self.direction) = (at, direction);
        (self.len, self.kept) = (0, 0);
        for part in parts {
            let room = &mut self.bytes[self.kept..];
            let fits = part.len().min(room.len());
            room[..fits].copy_from_slice(&part[..fits]);
            self.kept += fits;
            self.len += part.len();
        }
    }
}

impl fmt::Debug for CaptureFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureFile").field("len", &self.len).finish_non_exhaustive()
    }
}

impl CaptureFile {
    /// Big endian: the two halves of a statistics block's time are in the wrong order otherwise (`pcap-file` 2.0.0).
    pub(super) fn new(file: File, config: &CaptureConfig, epoch: Duration) -> io::Result<Self> {
        let program = concat!("hovercraft dataplane ", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            endianness: Endianness::Big,
            options: vec![SectionHeaderOption::UserApplication(Cow::Borrowed(program))],
            ..SectionHeaderBlock::default()
        };
        let writer = BufWriter::with_capacity(BUFFER, file);
        let mut writer = PcapNgWriter::with_section_header(writer, section).map_err(io_error)?;
        let interface = InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: config.snaplen.into(),
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Owned(config.interface.clone())),
                // Nanoseconds.
                InterfaceDescriptionOption::IfTsResol(9),
            ],
        };
        writer.write_pcapng_block(interface).map_err(io_error)?;
        writer.get_mut().flush()?;
        let len = writer.get_ref().get_ref().metadata()?.len();
        Ok(Self { writer, epoch, len, len_max: config.bytes_max, last: Instant::ZERO })
    }

    /// False when the file has its length.
    pub(super) fn write(&mut self, record: &Record) -> io::Result<bool> {
        let padded = record.kept.next_multiple_of(4) as u64;
        if self.len + padded + PACKET_OVERHEAD + END_MAX > self.len_max {
            return Ok(false);
        }
        let direction = match record.direction {
            Direction::In => 1,
            Direction::Out => 2,
        };
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: self.epoch + record.at,
            original_len: u32::try_from(record.len).unwrap_or(u32::MAX),
            data: Cow::Borrowed(&record.bytes[..record.kept]),
            options: vec![EnhancedPacketOption::Flags(direction)],
        };
        let written = self.writer.write_pcapng_block(block).map_err(io_error)? as u64;
        assert_eq!(written, padded + PACKET_OVERHEAD, "W2 counts on it");
        self.len += written;
        self.last = self.last.max(record.at);
        Ok(true)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.get_mut().flush()
    }

    /// The last block: what is missing.
    pub(super) fn end(mut self, totals: CaptureTotals) -> io::Result<()> {
        let at = self.epoch + self.last;
        let CaptureTotals { written, dropped, past_limit } = totals;
        let block = InterfaceStatisticsBlock {
            interface_id: 0,
            timestamp: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
            options: vec![
                InterfaceStatisticsOption::IsbIfRecv(written + dropped + past_limit),
                InterfaceStatisticsOption::IsbIfDrop(dropped + past_limit),
                InterfaceStatisticsOption::IsbUsrDeliv(written),
            ],
        };
        let written = self.writer.write_pcapng_block(block).map_err(io_error)? as u64;
        assert!(written <= END_MAX, "W2 counts on it");
        self.flush()
    }
}

/// What the crate says of a failed write, as the system said it.
fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}
