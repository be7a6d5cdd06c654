//! The ring between the loop and the thread that writes the journal: a file in memory, mapped by both.
//!
//! A store into the mapping is in the file, whatever becomes of the process. So the file should lie in a file system that is
//! memory (`/dev/shm`): on a disk the kernel write-protects pages while it writes them back, and the next store of the loop
//! would wait in a page fault. All pages are there, written and locked, before the first packet.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 16 | `wirebook jr ring` |
//! | 16, 20 | 4, 4 | [`super::VERSION`], [`RECORD`] |
//! | 24 | 8 | records that it holds, a power of two |
//! | 32 | 8 | number of the run |
//! | 40, 44 | 4, 4 | worker, bytes of the path |
//! | 48 | 8 | checksum of the path, whose seed is that of offsets 16 to 48 |
//! | 64 | | path of the journal's file |
//! | 2048 | 8 | records written, by the loop |
//! | 2176 | 8 | records that are in the file, by the thread |
//! | 2304 | 8 | not 0 while the thread cannot write |
//! | 4096 | | record `n` (from 0) at place `n` modulo the ring's size |
//!
//! The record is stored before the count that contains it. After a kill, whatever is whole and of the right sequence counts, whether
//! or not the count had come to it.
#![allow(unsafe_code, reason = "memory that is shared with a file has no safe interface")]

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::record::{RECORD, Record};
use super::{VERSION, checksum};
use crate::prefetch;

const MAGIC: &[u8; 16] = b"wirebook jr ring";

/// Bytes in front of the records: one page.
const HEAD: usize = 4096;

const PATH: usize = 64;

/// Longest path that the head holds.
const LONGEST_PATH: usize = WRITTEN - PATH;

// Cache lines of their own, and not neighbours, which are fetched in pairs.
const WRITTEN: usize = 2048;
const TAKEN: usize = 2176;
const SHUT: usize = 2304;

/// What the loop journalled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalCounters {
    /// Records written.
    pub records: u64,
    /// Records that found the ring full and are not in the journal. New orders are refused long before.
    pub dropped: u64,
}

impl JournalCounters {
    /// Names and values, as printed to operators.
    #[must_use]
    pub const fn rows(&self) -> [(&'static str, u64); 2] {
        [("journal_records", self.records), ("journal_dropped", self.dropped)]
    }
}

/// Which ring of which run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingHead {
    /// Number of the run.
    pub run: u64,
    /// The worker that writes.
    pub worker: u16,
    /// Records that it holds.
    pub capacity: u64,
    /// The journal's file.
    pub journal: PathBuf,
}

impl RingHead {
    fn to_bytes(&self) -> Vec<u8> {
        let path = self.journal.as_os_str().as_bytes();
        let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes(), &(RECORD as u32).to_le_bytes()].concat();
        bytes.extend([self.capacity, self.run].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend([u32::from(self.worker), path.len() as u32].iter().flat_map(|word| word.to_le_bytes()));
        let check = check(&bytes, path);
        bytes.extend(check.to_le_bytes());
        bytes.resize(PATH, 0);
        bytes.extend(path);
        bytes
    }

    /// The head that `bytes` begin with; `None` where that is none of this version, or is damaged.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let long = |at: usize| bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b));
        let word = |at: usize| bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b));
        let path = bytes.get(PATH..PATH.checked_add(word(44)? as usize)?)?;
        let sound = bytes.starts_with(MAGIC)
            && (word(16)?, word(20)?) == (VERSION, RECORD as u32)
            && path.len() <= LONGEST_PATH
            && long(24)?.is_power_of_two()
            && long(48)? == check(bytes.get(..48)?, path);
        sound.then_some(Self {
            run: long(32)?,
            worker: u16::try_from(word(40)?).ok()?,
            capacity: long(24)?,
            journal: OsStr::from_bytes(path).into(),
        })
    }
}

fn check(head: &[u8], path: &[u8]) -> u64 {
    super::file::check_bytes(checksum(0, &super::file::words_of(head.get(16..).unwrap_or_default())), path)
}

/// The mapped file.
#[derive(Debug)]
struct Map {
    at: NonNull<u8>,
    len: usize,
    mask: u64,
}

// SAFETY: the mapping lives until the last owner drops it. The counts are atomic; a place of a record is stored to by
// one side only, and read by the other only after it was published and before it is given back.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    fn new(file: &File, capacity: u64) -> io::Result<Self> {
        let len = HEAD + capacity as usize * RECORD;
        // SAFETY: a new mapping at an address of the kernel's choice, of a file that was made that long.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                file.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { at, len, mask: capacity - 1 })
    }

    /// Keeps its pages in memory; false where the limit for that (`RLIMIT_MEMLOCK`) is lower.
    fn lock(&self) -> bool {
        // SAFETY: the range is our mapping.
        unsafe { libc::mlock(self.at.as_ptr().cast(), self.len) == 0 }
    }

    fn count(&self, at: usize) -> &AtomicU64 {
        // SAFETY: inside the first page of the mapping, aligned to 8, and only ever used as an atomic.
        unsafe { self.at.add(at).cast::<AtomicU64>().as_ref() }
    }

    /// Place of record `index` (from 0).
    #[inline]
    fn place(&self, index: u64) -> NonNull<[u64; RECORD / 8]> {
        let at = HEAD + (index & self.mask) as usize * RECORD;
        // SAFETY: the mask keeps it inside the mapping, and both addends are multiples of 128.
        unsafe { self.at.add(at).cast() }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: our mapping; nobody has a reference into it any more.
        unsafe {
            libc::munmap(self.at.as_ptr().cast(), self.len);
        }
    }
}

/// Makes the ring for `head`, over no other file, and both ends. The file is locked (flock) for as long as the taker lives:
/// whoever finds it unlocked knows that the run is over.
///
/// # Errors
/// What the system says: there is such a file, no room, no rights. A path that is too long, a capacity that is no power of two.
pub fn create(path: &Path, head: &RingHead) -> io::Result<(JournalWriter, JournalTaker)> {
    if head.journal.as_os_str().len() > LONGEST_PATH || !head.capacity.is_power_of_two() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    file.try_lock().map_err(io::Error::from)?;
    let bytes = HEAD as u64 + head.capacity * RECORD as u64;
    // A file with holes would end the process (SIGBUS) where the file system is full.
    // SAFETY: a plain call on a descriptor that is open.
    let full = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, bytes as libc::off_t) };
    if full != 0 {
        let _ = std::fs::remove_file(path);
        return Err(io::Error::from_raw_os_error(full));
    }
    file.write_all_at(&head.to_bytes(), 0)?;
    let map = Arc::new(Map::new(&file, head.capacity)?);
    let locked = map.lock();
    // Stored to once, so that no page is met for the first time by the loop.
    for index in 0..head.capacity {
        // SAFETY: a place inside the mapping that nobody else knows yet.
        unsafe { map.place(index).write([0; RECORD / 8]) };
    }
    let writer = JournalWriter {
        map: Arc::clone(&map),
        run: head.run,
        worker: head.worker,
        written: 0,
        taken: 0,
        capacity: head.capacity,
        now: 0,
        counters: JournalCounters::default(),
        unsaid: 0,
    };
    Ok((writer, JournalTaker { map, file, path: path.to_owned(), taken: 0, locked }))
}

/// The loop's end.
#[derive(Debug)]
pub struct JournalWriter {
    map: Arc<Map>,
    run: u64,
    worker: u16,
    written: u64,
    /// As last looked at.
    taken: u64,
    capacity: u64,
    now: u64,
    counters: JournalCounters,
    /// Records dropped since the last one that was not.
    unsaid: u64,
}

impl JournalWriter {
    /// Sets the time of records that have none of their own, ns.
    #[inline]
    pub const fn at(&mut self, now_ns: u64) {
        self.now = now_ns;
    }

    /// The time that was set last, ns.
    #[inline]
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// May new orders leave? Only while the thread can write, and half of the ring is free for what follows of them.
    #[inline]
    #[must_use]
    pub fn is_open(&mut self) -> bool {
        // SYNC POINT: relaxed; the flag carries no data with it.
        let shut = self.map.count(SHUT).load(Ordering::Relaxed) != 0;
        !shut && self.has_room(self.capacity / 2)
    }

    #[inline]
    fn has_room(&mut self, records: u64) -> bool {
        if self.written - self.taken + records <= self.capacity {
            return true;
        }
        // SYNC POINT: acquire; pairs with the taker's release: what was there has been read.
        self.taken = self.map.count(TAKEN).load(Ordering::Acquire).min(self.written);
        self.written - self.taken + records <= self.capacity
    }

    /// Writes one record, with its sequence and worker, and a word before it where some were dropped. Where the ring is
    /// full it is dropped, and counted.
    #[inline]
    pub fn put(&mut self, record: &Record) {
        if self.unsaid != 0 && self.has_room(2) {
            let number = std::mem::take(&mut self.unsaid);
            self.store(&Record { kind: super::Kind::Lost, number, time: record.time, ..Record::default() });
        }
        if self.unsaid == 0 && self.has_room(1) {
            self.store(record);
        } else {
            self.unsaid += 1;
            self.counters.dropped += 1;
        }
    }

    #[inline]
    fn store(&mut self, record: &Record) {
        let record = Record { sequence: self.written + 1, worker: self.worker, ..*record };
        let place = self.map.place(self.written);
        // SAFETY: a place inside the mapping; there was room, so the taker has given it back or never had it.
        unsafe { place.write(record.words(self.run)) };
        self.written += 1;
        self.counters.records += 1;
        // SYNC POINT: release; pairs with the taker's acquire: the record is whole when the count has come to it.
        self.map.count(WRITTEN).store(self.written, Ordering::Release);
    }

    /// Makes a record as [`JournalWriter::put`] would, and drops it; asks for the places of the next two.
    pub fn rehearse(&self, record: &Record) {
        for index in [self.written, self.written + 1] {
            prefetch::lines(self.map.place(index).as_ptr());
        }
        black_box(record.words(self.run));
    }

    /// What was journalled.
    #[must_use]
    pub const fn counters(&self) -> &JournalCounters {
        &self.counters
    }
}

/// The thread's end.
#[derive(Debug)]
pub struct JournalTaker {
    map: Arc<Map>,
    /// Holds the lock.
    file: File,
    path: PathBuf,
    taken: u64,
    /// Its pages stay in memory.
    pub locked: bool,
}

impl JournalTaker {
    /// Appends the bytes of at most `most` records to `out`, as they stand in the file; returns how many. They are not
    /// given back before [`JournalTaker::commit`], and taken again without it.
    pub fn take(&self, most: u64, out: &mut Vec<u8>) -> u64 {
        // SYNC POINT: acquire; pairs with the writer's release.
        let written = self.map.count(WRITTEN).load(Ordering::Acquire);
        let count = written.saturating_sub(self.taken).min(most).min(self.map.mask + 1);
        for index in self.taken..self.taken + count {
            // SAFETY: published, and not given back.
            let words = unsafe { self.map.place(index).read() };
            out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        count
    }

    /// `count` more records are in the journal's file.
    pub fn commit(&mut self, count: u64) {
        self.taken += count;
        // SYNC POINT: release; pairs with the writer's acquire: the places may be written to again.
        self.map.count(TAKEN).store(self.taken, Ordering::Release);
    }

    /// Says whether the thread cannot write: new orders are refused meanwhile.
    pub fn shut(&self, shut: bool) {
        // SYNC POINT: relaxed; the flag carries no data with it.
        self.map.count(SHUT).store(u64::from(shut), Ordering::Relaxed);
    }

    /// Where the ring's file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file: all of it is in the journal.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)?;
        self.file.unlock()
    }
}

/// A ring that a run left, or is still writing to.
#[derive(Debug)]
pub struct LeftRing {
    /// Whose it is.
    pub head: RingHead,
    file: File,
}

impl LeftRing {
    /// Opens the file, to be read. `None`: it is no ring of this version.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let mut head = [0; WRITTEN];
        match file.read_exact_at(&mut head, 0) {
            Ok(()) => Ok(RingHead::from_bytes(&head).map(|head| Self { head, file })),
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(why) => Err(why),
        }
    }

    /// True where no process has it any more. The lock is kept until `self` is dropped.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.file.try_lock().is_ok()
    }

    /// What may not be in the journal's file yet, in order: the records that are whole and follow what was noted as
    /// written there. May overlap with the file. At most `capacity` of them.
    ///
    /// # Errors
    /// What the system says.
    pub fn records(&self) -> io::Result<Vec<Record>> {
        let mut count = [0; 8];
        self.file.read_exact_at(&mut count, TAKEN as u64)?;
        let taken = u64::from_le_bytes(count);
        let mut records = Vec::new();
        let mut bytes = [0; RECORD];
        for index in (taken..).take(usize::try_from(self.head.capacity).unwrap_or(usize::MAX)) {
            let place = HEAD as u64 + (index & (self.head.capacity - 1)) * RECORD as u64;
            // A ring that was cut short holds what it holds.
            if self.file.read_exact_at(&mut bytes, place).is_err() {
                break;
            }
            match Record::from_bytes(&bytes, self.head.run) {
                Ok(record) if record.sequence == index.wrapping_add(1) => records.push(record),
                _ => break,
            }
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests;
