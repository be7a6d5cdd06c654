//! The thread that writes what the loop received to a pcapng file.
//!
//! It takes records from the loop's [`tap`], makes whole blocks of them and writes those. The loop
//! never waits for it: where it is too slow, the ring is full and frames are not captured, which is counted and noted in the
//! file. Where a write fails, the file is cut back to its last whole block, the capture ends, and that is said; the loop goes
//! on. What was written is flushed at least every [`FLUSH`], so a process that is killed leaves all but that, and a file that
//! ends after some whole block, or inside one.
//!
//! # Stamps
//! A frame's stamp is the TSC at the return of the poll that brought it, converted by the calibrated clock and set once, at
//! the start, against the system's ([`Anchor`]). It is never set again: stamps go on evenly whatever happens to the system's
//! clock, and stray from it by as much as the calibration is wrong (some ms an hour at 1 ppm). They never go back; where the
//! TSCs of two CPUs differ, the later record has the earlier one's stamp.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crate::capture::own::{LINK_NOTES, MAX_NOTE, Own};
use crate::capture::write::{self, Interface, Origin, Packet, Statistics};
use crate::capture::{LINK_ETHERNET, MAX_RECORD};
use crate::pipeline::board::Row;
use crate::pipeline::tap::{self, FromTap, PORTS, Taken, Tap};
use crate::stats::clock::Clock;
use crate::tsc;

/// Bytes that are written at one go. A power of two of pages.
const CHUNK: usize = 1 << 20;

/// Longest time that a block stays in memory.
pub const FLUSH: Duration = Duration::from_millis(100);

/// Pause where there is nothing to do.
const PAUSE: Duration = Duration::from_millis(2);

/// Two times that were the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Ticks of the loop's clock.
    pub ticks: u64,
    /// ns since 1970.
    pub unix_ns: u64,
}

impl Anchor {
    /// Now, by the TSC and the system's clock: the tightest of several tries.
    #[must_use]
    pub fn now() -> Self {
        const TRIES: usize = 32;
        let attempts = (0..TRIES).map(|_| {
            let before = tsc::now();
            let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let took = tsc::now().saturating_sub(before);
            let unix_ns = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
            (took, Self { ticks: before + took / 2, unix_ns })
        });
        attempts.min_by_key(|(took, _)| *took).map_or(Self { ticks: 0, unix_ns: 0 }, |(_, anchor)| anchor)
    }

    /// `ticks` in ns since 1970.
    fn unix_ns(&self, clock: &Clock, ticks: u64) -> u64 {
        match ticks.checked_sub(self.ticks) {
            Some(after) => self.unix_ns.saturating_add(clock.ns(after)),
            None => self.unix_ns.saturating_sub(clock.ns(self.ticks - ticks)),
        }
    }
}

/// What is said at the head of a file.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Processor.
    pub hardware: String,
    /// Operating system.
    pub os: String,
    /// Names of the ports in the order of the receive queues, at most two.
    pub ports: Vec<String>,
}

/// What came of a capture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// Frames written.
    pub frames: u64,
    /// Notes written: what the loop did that no frame shows.
    pub notes: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Why the file ended before the run, if it did.
    pub failure: Option<String>,
}

impl Captured {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 4] {
        [
            ("tap_written", self.frames),
            ("tap_notes", self.notes),
            ("tap_file_bytes", self.bytes),
            ("tap_failed", u64::from(self.failure.is_some())),
        ]
    }
}

/// Turns records into blocks, and writes them.
#[derive(Debug)]
pub struct Writer {
    from: FromTap,
    file: File,
    clock: Clock,
    anchor: Anchor,
    began: u64,
    /// Whole blocks that are not written yet.
    blocks: Vec<u8>,
    /// Stamp of the latest record.
    latest: u64,
    ports: usize,
    /// Packets by interface.
    packets: [u64; PORTS + 1],
    written: u64,
    flushed: Instant,
    failure: Option<String>,
}

impl Writer {
    /// Writes the head of the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(mut file: File, from: FromTap, clock: Clock, anchor: Anchor, head: &Head) -> io::Result<Self> {
        let mut blocks = Vec::with_capacity(2 * CHUNK);
        let comment = format!(
            "stamps: TSC ({clock}) at the return of the poll, set once at the start to the system's clock"
        );
        let application = concat!("wirebook ", env!("CARGO_PKG_VERSION"));
        let origin = Origin { hardware: &head.hardware, os: &head.os, application, comment: &comment };
        write::section(&mut blocks, &origin);
        let ports = head.ports.len().clamp(1, PORTS);
        let descriptions = ["market data", "orders"];
        let names = head.ports.iter().map(String::as_str).chain([""; PORTS]);
        for (name, description) in names.zip(descriptions).take(ports) {
            let (link_type, snap_len) = (LINK_ETHERNET, MAX_RECORD as u32);
            write::interface(
                &mut blocks,
                &Interface { name, description, link_type, snap_len, hz: clock.hz() },
            );
        }
        let notes = Interface {
            name: "loop",
            description: "what the loop did that no frame shows",
            link_type: LINK_NOTES,
            snap_len: MAX_NOTE as u32,
            hz: clock.hz(),
        };
        write::interface(&mut blocks, &notes);
        file.write_all(&blocks)?;
        let written = blocks.len() as u64;
        blocks.clear();
        Ok(Self {
            from,
            file,
            clock,
            anchor,
            began: anchor.unix_ns,
            blocks,
            latest: anchor.unix_ns,
            ports,
            packets: [0; PORTS + 1],
            written,
            flushed: Instant::now(),
            failure: None,
        })
    }

    /// Takes what is there, at most some MB; true where there may be more.
    pub fn round(&mut self) -> bool {
        if self.failure.is_some() {
            return false;
        }
        let mut more = false;
        while self.blocks.len() < CHUNK {
            more = self.take_one();
            if !more {
                break;
            }
        }
        if more || self.flushed.elapsed() >= FLUSH {
            self.flush();
        }
        more
    }

    fn take_one(&mut self) -> bool {
        let Self { from, clock, anchor, blocks, latest, ports, packets, .. } = self;
        let kind_of_note;
        let (when, interface, flags, nic_stamp, parts) = match from.take() {
            None => return false,
            Some(Taken::Frame { when, port, flags, nic_stamp, bytes }) => {
                (when, usize::from(port).min(*ports - 1), flags, nic_stamp, [bytes, &[], &[]])
            }
            Some(Taken::Note { when, kind, bytes }) => {
                kind_of_note = [kind];
                (when, *ports, 0, 0, [&kind_of_note[..], bytes, &[]])
            }
        };
        *latest = anchor.unix_ns(clock, when.ticks).max(*latest);
        if let Some(count) = packets.get_mut(if interface == *ports { PORTS } else { interface }) {
            *count += 1;
        }
        let own = Own { ticks: when.feed, hz: clock.hz(), flags, nic_stamp };
        write::packet(blocks, &Packet { interface: interface as u32, stamp_ns: *latest, parts, own });
        true
    }

    /// Writes the blocks that are whole, which all of them are.
    fn flush(&mut self) {
        self.flushed = Instant::now();
        if self.blocks.is_empty() || self.failure.is_some() {
            return;
        }
        match self.file.write_all(&self.blocks) {
            Ok(()) => self.written += self.blocks.len() as u64,
            Err(why) => {
                // A part of a block may be there. Where it cannot be cut off, readers say where the whole ones end.
                let _ = self.file.set_len(self.written);
                self.failure = Some(why.to_string());
            }
        }
        self.blocks.clear();
    }

    /// Why nothing is written any more.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Takes all that is left, and ends the file with its statistics.
    #[must_use]
    pub fn finish(mut self) -> Captured {
        while self.round() {}
        for port in (0..self.ports).chain([PORTS]) {
            let dropped = self.from.dropped(port);
            let statistics = Statistics {
                interface: port.min(self.ports) as u32,
                during: [self.began, self.latest],
                received: self.packets.get(port).copied().unwrap_or(0) + dropped,
                dropped,
            };
            write::statistics(&mut self.blocks, &statistics);
        }
        self.flush();
        let [feed, orders, notes] = self.packets;
        Captured { frames: feed + orders, notes, bytes: self.written, failure: self.failure }
    }
}

/// The thread. Dropping it ends the capture.
#[derive(Debug)]
pub struct CaptureThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Captured>>,
}

/// Creates the file (over one of the same name), and starts the thread that writes it, on the CPUs of the calling thread.
/// The ring to it holds `buffer_bytes` bytes. The tap is for the loop.
///
/// # Errors
/// The file cannot be created or written, or there is no thread to be had.
pub fn start(
    path: &Path,
    buffer_bytes: usize,
    clock: Clock,
    head: &Head,
) -> io::Result<(Tap, CaptureThread)> {
    let (tap, from) = tap::tap(buffer_bytes);
    let mut writer = Writer::new(File::create(path)?, from, clock, Anchor::now(), head)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let name = path.display().to_string();
    let body = move || {
        let mut said = false;
        // SYNC POINT: relaxed; the flag carries no data, the ring has its own order.
        while !stopped.load(Ordering::Relaxed) {
            if !writer.round() {
                thread::sleep(PAUSE);
            }
            if let Some(why) = writer.failure()
                && !said
            {
                tracing::error!("{name}: {why}: the capture ends here, the loop goes on");
                said = true;
            }
        }
        writer.finish()
    };
    let thread = thread::Builder::new().name("wirebook-capture".to_owned()).spawn(body)?;
    Ok((tap, CaptureThread { stop, thread: Some(thread) }))
}

impl CaptureThread {
    /// Ends the capture once all that the loop handed over is written. To be called when the loop has ended.
    #[must_use]
    pub fn finish(mut self) -> Captured {
        self.end().unwrap_or_else(|| Captured {
            failure: Some("the writing thread failed".to_owned()),
            ..Captured::default()
        })
    }

    fn end(&mut self) -> Option<Captured> {
        // SYNC POINT: relaxed; see the thread.
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take()?.join().ok()
    }
}

impl Drop for CaptureThread {
    fn drop(&mut self) {
        let _ = self.end();
    }
}
