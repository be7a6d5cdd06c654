//! The thread that writes the journal of orders to its file, and what is done before it starts.
//!
//! Each run has a file of its own, `wirebook-DATE-TIME-PID.journal`, and a ring for each worker, of the same name in another
//! directory. The thread appends what the loops put into the rings ([`crate::journal`]) every few milliseconds, and has it on the
//! disk within [`SYNC`]. Where it cannot write, it says so, keeps what it has in the rings, lets no new order leave, and
//! tries again until it can.
//!
//! At a start, rings that runs left which were killed are put into their journals and removed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::capture::Anchor;
use crate::config::Config;
use crate::journal::file::{self, Head};
use crate::journal::ring::{self, JournalTaker, LeftRing, RingHead};
use crate::journal::words::Utc;
use crate::journal::{JournalWriter, RECORD};
use crate::pipeline::board::Row;
use crate::stats::clock::Clock;

/// Longest time that a written record is not on the disk.
pub const SYNC: Duration = Duration::from_secs(1);

/// Pause where there is nothing to do.
const PAUSE: Duration = Duration::from_millis(2);

/// Pause before it is tried again where it cannot be written.
const RETRY: Duration = Duration::from_millis(200);

/// Records of a ring that are written at one go.
const AT_ONCE: u64 = 8_192;

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file.
    #[error("the journal {path} cannot be written: {why}\n  {remedy}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A ring.
    #[error("the ring {path} of the journal cannot be made: {why}\n  {remedy}")]
    Ring {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The thread.
    #[error("no thread for the journal: {0}")]
    Thread(io::Error),
}

fn remedy(why: &io::Error, missing: &'static str, room: &'static str) -> &'static str {
    match why.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => missing,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::OutOfMemory => room,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "give the user who runs wirebook the right to write there"
        }
        _ => "see what is wrong there, or name another directory in [journal]",
    }
}

/// What came of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journaled {
    /// The file.
    pub path: PathBuf,
    /// Records written to it.
    pub records: u64,
    /// Times that it could not be written.
    pub failures: u64,
    /// What could not be written in the end, if anything: it is in the rings still.
    pub failure: Option<String>,
}

impl Journaled {
    /// Names and values, as printed to operators.
    #[must_use]
    pub fn rows(&self) -> [Row; 3] {
        [
            ("journal_written", self.records),
            ("journal_failures", self.failures),
            ("journal_failed", u64::from(self.failure.is_some())),
        ]
    }
}

/// Who runs, for the head of the journal.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// The configuration's file.
    pub config: PathBuf,
    /// A number that another content of that file would not have.
    pub config_hash: u64,
    /// Processor.
    pub machine: String,
    /// Operating system.
    pub system: String,
}

/// FNV-1a of `bytes`, 64 bits.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3))
}

/// Recovers what killed runs left, makes the journal that `config` asks for, and starts the thread, on the CPUs of the calling
/// thread. One writer for each worker, in their order.
///
/// # Errors
/// [`JournalError`]: what, where, and what to do.
pub fn start(
    config: &Config,
    clock: Clock,
    who: &Who,
) -> Result<Option<(Vec<JournalWriter>, JournalThread)>, JournalError> {
    let Some(journal) = &config.journal else { return Ok(None) };
    recover_all(&journal.ring_directory);
    let anchor = Anchor::now();
    let (head, path, rings) = head(config, &clock, who, anchor);
    let failed = |why: io::Error| {
        let remedy = remedy(
            &why,
            "make the directory, or name another in journal.directory",
            "make room, or name another directory in journal.directory",
        );
        JournalError::File { path: path.clone(), why, remedy }
    };
    let directory = fs::canonicalize(&journal.directory).map_err(failed)?;
    // Whoever recovers it may stand in another directory.
    let path = directory.join(path.file_name().unwrap_or_default());
    let mut file =
        OpenOptions::new().append(true).create_new(true).mode(0o640).open(&path).map_err(failed)?;
    file::append(&mut file, &head.to_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;

    let (mut writers, mut takers) = (Vec::new(), Vec::new());
    for (worker, place) in (0..).zip(rings) {
        let head = RingHead { run: head.run, worker, capacity: journal.ring_records, journal: path.clone() };
        match ring::create(&place, &head) {
            Ok((writer, taker)) => {
                writers.push(writer);
                takers.push(taker);
            }
            Err(why) => {
                // A journal of nothing, and rings of nothing: nobody shall wonder about them.
                let _ = fs::remove_file(&path);
                takers.into_iter().for_each(|taker| drop(taker.remove()));
                let remedy = remedy(
                    &why,
                    "make the directory, or name one in memory in journal.ring_directory",
                    "make room there, or lower journal.ring_mib",
                );
                return Err(JournalError::Ring { path: place, why, remedy });
            }
        }
    }
    if !takers.iter().all(|taker| taker.locked) {
        tracing::warn!("the journal's rings may be swapped out: raise `ulimit -l` above their size");
    }
    if !is_memory(&journal.ring_directory) {
        tracing::warn!(
            directory = %journal.ring_directory.display(),
            "the journal's rings are on a disk: a store may wait while a page is written back; name a tmpfs in \
             journal.ring_directory"
        );
    }
    tracing::info!(file = %path.display(), records_in_ring = journal.ring_records, "journalling orders");
    let thread = JournalThread::start(Work::new(path, file, takers)).map_err(JournalError::Thread)?;
    Ok(Some((writers, thread)))
}

/// The head of the file, its name, and those of the rings.
fn head(config: &Config, clock: &Clock, who: &Who, anchor: Anchor) -> (Head, PathBuf, Vec<PathBuf>) {
    let journal = config.journal.clone().unwrap_or_default();
    let pid = std::process::id();
    let (year, month, day) = Utc(anchor.unix_ns).date();
    let seconds = anchor.unix_ns / 1_000_000_000 % 86_400;
    let time = format!("{:02}{:02}{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    // A second start of the same process within a second, as in a test, has another name, too.
    let millis = anchor.unix_ns / 1_000_000 % 1_000;
    let name = format!("wirebook-{year:04}{month:02}{day:02}-{time}.{millis:03}-{pid}");
    let ring = |worker| journal.ring_directory.join(format!("{name}.ring{worker}"));
    let rings: Vec<PathBuf> = (0..config.lcores.count()).map(ring).collect();
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "program = wirebook {version}\npid = {pid}\nmachine = {}\nsystem = {}\nclock = {clock}\nconfig = {}\nconfig_hash = \
         {:016x}\n",
        who.machine,
        who.system,
        who.config.display(),
        who.config_hash,
    );
    for ring in &rings {
        text.push_str(&format!("ring = {}\n", ring.display()));
    }
    // As the loops have them; where there are several, each has a share of what is for all together.
    text.push_str(&format!("limits = {:?}\n", config.risk));
    let run = anchor.unix_ns.rotate_left(20) ^ u64::from(pid).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let head = Head {
        run,
        began_unix_ns: anchor.unix_ns,
        began_ns: clock.ns(anchor.ticks),
        workers: u32::from(config.lcores.count()),
        text,
    };
    (head, journal.directory.join(format!("{name}.journal")), rings)
}

/// True where files there are never written back to a disk.
fn is_memory(directory: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let Ok(directory) = fs::canonicalize(directory) else { return false };
    let mount = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((Path::new(fields.next()?), fields.next()?))
    });
    // The last of the longest is what one sees.
    let nearest =
        mount.filter(|(at, _)| directory.starts_with(at)).max_by_key(|(at, _)| at.components().count());
    nearest.is_some_and(|(_, kind)| matches!(kind, "tmpfs" | "ramfs" | "hugetlbfs"))
}

/// Puts what killed runs left in rings of `directory` into their journals, and removes the rings. What cannot be put back is
/// said, and stays.
fn recover_all(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.starts_with("wirebook-") || !name.contains(".ring") {
            continue;
        }
        let ring = match LeftRing::open(&path) {
            Ok(Some(ring)) => ring,
            Ok(None) => {
                tracing::warn!(file = %path.display(), "is no ring of this version's journal: left alone");
                continue;
            }
            Err(why) => {
                tracing::warn!(file = %path.display(), "cannot be read: {why}");
                continue;
            }
        };
        // Somebody has it still.
        if !ring.is_over() {
            continue;
        }
        let journal = ring.head.journal.display();
        match file::recover(&ring).and_then(|recovered| fs::remove_file(&path).map(|()| recovered)) {
            Ok(recovered) => tracing::warn!(
                records = recovered.records,
                torn_bytes = recovered.torn_bytes,
                "a run before this one was killed: its journal {journal} is complete now"
            ),
            Err(why) => tracing::error!(
                ring = %path.display(),
                "what a killed run left cannot be put into its journal {journal}: {why}; the ring stays"
            ),
        }
    }
}

/// What the thread works on.
struct Work {
    path: PathBuf,
    file: File,
    takers: Vec<JournalTaker>,
    bytes: Vec<u8>,
    done: Journaled,
    /// Something is not on the disk yet, since then.
    unsynced: Option<Instant>,
}

impl Work {
    fn new(path: PathBuf, file: File, takers: Vec<JournalTaker>) -> Self {
        let bytes = Vec::with_capacity(takers.len() * AT_ONCE as usize * RECORD);
        let done = Journaled { path: path.clone(), ..Journaled::default() };
        Self { path, file, takers, bytes, done, unsynced: None }
    }

    /// Writes what there is, some thousand records; true where there may be more.
    fn round(&mut self) -> io::Result<bool> {
        self.bytes.clear();
        let bytes = &mut self.bytes;
        let counts: Vec<u64> = self.takers.iter().map(|taker| taker.take(AT_ONCE, bytes)).collect();
        if !bytes.is_empty() {
            file::append(&mut self.file, bytes)?;
            for (taker, count) in self.takers.iter_mut().zip(&counts) {
                taker.commit(*count);
            }
            self.done.records += counts.iter().sum::<u64>();
            self.unsynced.get_or_insert_with(Instant::now);
        }
        if self.unsynced.is_some_and(|since| since.elapsed() >= SYNC) {
            self.sync()?;
        }
        Ok(counts.contains(&AT_ONCE))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.unsynced = None;
        Ok(())
    }

    /// One round; says when it cannot be written, and when it can again. Returns how long to rest.
    fn go_on(&mut self) -> Duration {
        match self.round() {
            Ok(more) => {
                if self.done.failure.take().is_some() {
                    tracing::warn!("{}: can be written again", self.path.display());
                    self.takers.iter().for_each(|taker| taker.shut(false));
                }
                if more { Duration::ZERO } else { PAUSE }
            }
            Err(why) => {
                self.takers.iter().for_each(|taker| taker.shut(true));
                if self.done.failure.is_none() {
                    self.done.failures += 1;
                    let remedy = remedy(&why, "is the directory gone?", "make room on that disk");
                    tracing::error!(
                        "{}: the journal cannot be written: {why}; no new order leaves until it can: {remedy}",
                        self.path.display()
                    );
                }
                self.done.failure = Some(why.to_string());
                RETRY
            }
        }
    }

    /// The loops have ended: all that is left. Where it cannot be written, the rings stay.
    fn finish(mut self) -> Journaled {
        let all = loop {
            match self.round() {
                Ok(true) => {}
                Ok(false) => break self.sync(),
                Err(why) => break Err(why),
            }
        };
        match all {
            Ok(()) => {
                self.done.failure = None;
                for taker in self.takers {
                    let path = taker.path().to_owned();
                    if let Err(why) = taker.remove() {
                        tracing::warn!(ring = %path.display(), "cannot be removed: {why}");
                    }
                }
            }
            Err(why) => self.done.failure = Some(why.to_string()),
        }
        self.done
    }
}

/// The thread. Dropping it ends the journal, too.
#[derive(Debug)]
pub struct JournalThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Journaled>>,
}

impl JournalThread {
    fn start(mut work: Work) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let body = move || {
            // SYNC POINT: relaxed; the flag carries no data, the rings have their own order.
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(work.go_on());
            }
            work.finish()
        };
        let thread = thread::Builder::new().name("wirebook-journal".to_owned()).spawn(body)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the journal once all that the loops put into it is on the disk. To be called when they have ended.
    #[must_use]
    pub fn finish(mut self) -> Journaled {
        self.end().unwrap_or_else(|| Journaled {
            failure: Some("the writing thread failed".to_owned()),
            ..Journaled::default()
        })
    }

    fn end(&mut self) -> Option<Journaled> {
        // SYNC POINT: relaxed; see the thread.
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take()?.join().ok()
    }
}

impl Drop for JournalThread {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests;
