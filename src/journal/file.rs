//! The journal's file: its head, reading it whatever happened to it, and putting back what a killed run left in its rings.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::record::{Bad, Kind, RECORD, Record};
use super::ring::LeftRing;
use super::{VERSION, checksum};

const MAGIC: &[u8; 16] = b"wirebook journal";

/// Bytes of the head in front of its text.
const FIXED: usize = 64;

/// Longest text of a head, in bytes.
pub const LONGEST_TEXT: usize = 1 << 20;

/// `bytes` as words, filled up with zeros.
pub(super) fn words_of(bytes: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 8];
        word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
        u64::from_le_bytes(word)
    };
    bytes.chunks(8).map(word).collect()
}

/// The checksum of bytes of any number.
pub(super) fn check_bytes(seed: u64, bytes: &[u8]) -> u64 {
    checksum(seed.wrapping_add(bytes.len() as u64), &words_of(bytes))
}

/// Who wrote a journal, where, and under which limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Number of the run.
    pub run: u64,
    /// When it began, ns since 1970.
    pub began_unix_ns: u64,
    /// The same moment by the loop's clock, ns.
    pub began_ns: u64,
    /// Workers that write.
    pub workers: u32,
    /// Lines `key = value`, at most [`LONGEST_TEXT`] bytes: what is beyond is cut off.
    pub text: String,
}

/// Why something is no journal.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It does not begin like one.
    #[error("is no journal of wirebook")]
    NoJournal,
    /// Another version wrote it.
    #[error(
        "is of version {0}, and this wirebook reads version {VERSION}: read it with the wirebook that wrote it"
    )]
    Version(u32),
    /// It begins like one and is damaged before its first record.
    #[error("its head is damaged or cut off: no record of it can be read")]
    Damaged,
}

impl Head {
    /// As it stands in a file: a multiple of [`RECORD`] bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let text = self.text.as_bytes();
        let text = text.get(..LONGEST_TEXT).unwrap_or(text);
        let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes(), &(RECORD as u32).to_le_bytes()].concat();
        bytes.extend([self.run, self.began_unix_ns, self.began_ns].iter().flat_map(|w| w.to_le_bytes()));
        bytes.extend([self.workers, text.len() as u32].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(check_head(self.run, &bytes, text).to_le_bytes());
        bytes.extend(text);
        bytes.resize(bytes.len().next_multiple_of(RECORD), 0);
        bytes
    }

    /// Reads the head that `from` begins with, to the first record.
    ///
    /// # Errors
    /// [`HeadError`]
    pub fn read(from: &mut impl Read) -> Result<Self, HeadError> {
        let mut fixed = [0; FIXED];
        let got = fill(from, &mut fixed)?;
        let whole = got == FIXED;
        let word =
            |at: usize| fixed.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
        let long =
            |at: usize| fixed.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b));
        if !fixed.starts_with(MAGIC) {
            return Err(HeadError::NoJournal);
        }
        if !whole {
            return Err(HeadError::Damaged);
        }
        if word(16) != VERSION {
            return Err(HeadError::Version(word(16)));
        }
        let length = word(52) as usize;
        if word(20) != RECORD as u32 || length > LONGEST_TEXT {
            return Err(HeadError::Damaged);
        }
        let mut text = vec![0; (FIXED + length).next_multiple_of(RECORD) - FIXED];
        if fill(from, &mut text)? != text.len() {
            return Err(HeadError::Damaged);
        }
        text.truncate(length);
        let run = long(24);
        let sound = long(56) == check_head(run, fixed.get(..56).unwrap_or_default(), &text);
        if !sound {
            return Err(HeadError::Damaged);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Self { run, began_unix_ns: long(32), began_ns: long(40), workers: word(48), text })
    }

    /// A record's time in ns since 1970.
    #[must_use]
    pub const fn unix_ns(&self, time: u64) -> u64 {
        match time.checked_sub(self.began_ns) {
            Some(after) => self.began_unix_ns.saturating_add(after),
            None => self.began_unix_ns.saturating_sub(self.began_ns - time),
        }
    }

    /// The values of all lines with this key.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.text
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .filter(move |(k, _)| *k == key)
            .map(|(_, v)| v)
    }

    /// Where the rings of the run were.
    pub fn rings(&self) -> impl Iterator<Item = PathBuf> {
        self.values("ring").map(PathBuf::from)
    }
}

fn check_head(run: u64, fixed: &[u8], text: &[u8]) -> u64 {
    check_bytes(checksum(run, &words_of(fixed.get(8..).unwrap_or_default())), text)
}

/// Fills `place` as far as there is something; returns how far.
fn fill(from: &mut impl Read, place: &mut [u8]) -> io::Result<usize> {
    let mut at = 0;
    while let Some(rest) = place.get_mut(at..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(count) => at += count,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(at)
}

/// What was found on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Records, each counted once.
    pub records: u64,
    /// The same again: a run was killed between writing and noting that it was written.
    pub repeated: u64,
    /// Places that hold no record of this run: damaged.
    pub damaged: u64,
    /// Whole records that this version does not understand.
    pub unknown: u64,
    /// Places filled with zeros: a torn end that was filled up.
    pub empty: u64,
    /// Sequences that no record has, of all workers.
    pub missing: u64,
    /// Records that the loop could not write, by its own word.
    pub lost: u64,
    /// Bytes behind the last whole record.
    pub torn_bytes: u64,
    /// Of the records, those that were still in a ring.
    pub from_rings: u64,
    /// Workers that ended by themselves.
    pub ended: u32,
}

/// Reads a journal record by record.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    head: Head,
    place: [u8; RECORD],
    /// Bytes of the place that are there.
    filled: usize,
    /// The latest sequence of each worker.
    latest: BTreeMap<u16, u64>,
    findings: Findings,
}

impl<R: Read> Reader<R> {
    /// Reads the head.
    ///
    /// # Errors
    /// [`HeadError`]
    pub fn new(mut from: R) -> Result<Self, HeadError> {
        let head = Head::read(&mut from)?;
        let (latest, findings) = (BTreeMap::new(), Findings::default());
        Ok(Self { from, head, place: [0; RECORD], filled: 0, latest, findings })
    }

    /// Who wrote it.
    #[must_use]
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// What was found so far.
    #[must_use]
    pub const fn findings(&self) -> &Findings {
        &self.findings
    }

    /// The next record, past whatever is none; `None` at the end as it is now, which may move on.
    ///
    /// # Errors
    /// What the system says.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            let rest = self.place.get_mut(self.filled..).unwrap_or_default();
            self.filled += fill(&mut self.from, rest)?;
            if self.filled < RECORD {
                self.findings.torn_bytes = self.filled as u64;
                return Ok(None);
            }
            self.filled = 0;
            self.findings.torn_bytes = 0;
            match Record::from_bytes(&self.place, self.head.run) {
                Ok(record) if self.accept(&record) => return Ok(Some(record)),
                Ok(_) => {}
                Err(Bad::Empty) => self.findings.empty += 1,
                Err(Bad::Checksum) => self.findings.damaged += 1,
                Err(Bad::Unknown) => self.findings.unknown += 1,
            }
        }
    }

    /// The records of a ring that are not in the file. To be called at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn ring(&mut self, ring: &LeftRing) -> io::Result<Vec<Record>> {
        if ring.head.run != self.head.run {
            return Ok(Vec::new());
        }
        let mut records = ring.records()?;
        records.retain(|record| self.accept(record));
        self.findings.from_rings += records.len() as u64;
        Ok(records)
    }

    /// Counts a record; false where it was there before.
    fn accept(&mut self, record: &Record) -> bool {
        let latest = self.latest.entry(record.worker).or_default();
        if record.sequence <= *latest {
            self.findings.repeated += 1;
            return false;
        }
        self.findings.missing = self.findings.missing.saturating_add(record.sequence - *latest - 1);
        *latest = record.sequence;
        self.findings.records += 1;
        match record.kind {
            Kind::Lost => self.findings.lost = self.findings.lost.saturating_add(record.number),
            Kind::End => self.findings.ended += 1,
            _ => {}
        }
        true
    }
}

/// What came back from a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Records appended to the file.
    pub records: u64,
    /// Bytes of a record that was cut off at its end, now filled up.
    pub torn_bytes: u64,
}

/// Appends what a run that is over left in `ring` to its journal, on the disk when this returns. Nothing that stands in the
/// file is changed. Harmless when done twice: what stands in the file again counts once.
///
/// # Errors
/// The file is not there, is not of this run, or cannot be written; what the system says.
pub fn recover(ring: &LeftRing) -> io::Result<Recovered> {
    let mut file = OpenOptions::new().read(true).append(true).open(&ring.head.journal)?;
    let of_run = Head::read(&mut io::BufReader::new(&file)).is_ok_and(|head| head.run == ring.head.run);
    if !of_run {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not the journal of that run"));
    }
    let records = ring.records()?;
    let torn = file.seek(SeekFrom::End(0))? % RECORD as u64;
    let mut bytes = if torn == 0 { Vec::new() } else { vec![0; RECORD - torn as usize] };
    bytes.extend(records.iter().flat_map(|record| record.to_bytes(ring.head.run)));
    if !bytes.is_empty() {
        append(&mut file, &bytes)?;
        file.sync_all()?;
    }
    Ok(Recovered { records: records.len() as u64, torn_bytes: torn })
}

/// Appends all of `bytes`, or nothing.
///
/// # Errors
/// What the system says.
pub fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let before = file.metadata()?.len();
    file.write_all(bytes).inspect_err(|_| {
        // A part may be there. Where it cannot be cut off, readers say where the whole ones are.
        let _ = file.set_len(before);
    })
}

#[cfg(test)]
mod tests;
