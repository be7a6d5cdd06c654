//! A window that slides over an input: at least the next `n` bytes in one piece, in a buffer of fixed size.

use std::io::{self, Read};

use super::MAX_RECORD;

/// Large enough for the longest record with its headers, and for reads that are worth a system call.
const CAPACITY: usize = 4 * MAX_RECORD;

/// The next bytes of an input.
pub(super) struct Window<R> {
    input: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Of `buffer[start]` in the input.
    offset: u64,
}

impl<R: Read> Window<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: vec![0; CAPACITY].into_boxed_slice(), start: 0, end: 0, offset: 0 }
    }

    /// The bytes that are here, the next one first.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Position of the next byte in the input.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads until `n` bytes are here or the input ends; returns how many are here. `n` beyond the capacity counts
    /// as the capacity.
    pub(super) fn ensure(&mut self, n: usize) -> io::Result<usize> {
        let n = n.min(CAPACITY);
        if self.end - self.start >= n {
            return Ok(self.end - self.start);
        }
        if self.start + n > CAPACITY {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end - self.start < n {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.end - self.start)
    }

    /// Moves on by `n` bytes of those that are here.
    pub(super) fn consume(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.offset += n as u64;
    }

    /// Moves on by `n` bytes, reading past what is not here yet; false if the input ends before.
    pub(super) fn skip(&mut self, mut n: u64) -> io::Result<bool> {
        while n > 0 {
            let have = self.ensure(1)?;
            if have == 0 {
                return Ok(false);
            }
            let step = usize::try_from(n).unwrap_or(usize::MAX).min(have);
            self.consume(step);
            n -= step as u64;
        }
        Ok(true)
    }
}

/// Reads integers in the byte order of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    Little,
    Big,
}

impl Order {
    /// The 16 bits at `at`; 0 beyond the end, which callers have ruled out.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let raw = chunk(bytes, at);
        match self {
            Self::Little => u16::from_le_bytes(raw),
            Self::Big => u16::from_be_bytes(raw),
        }
    }

    /// The 32 bits at `at`; 0 beyond the end, which callers have ruled out.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let raw = chunk(bytes, at);
        match self {
            Self::Little => u32::from_le_bytes(raw),
            Self::Big => u32::from_be_bytes(raw),
        }
    }

    /// The 64 bits at `at`; 0 beyond the end, which callers have ruled out.
    pub(super) fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let raw = chunk(bytes, at);
        match self {
            Self::Little => u64::from_le_bytes(raw),
            Self::Big => u64::from_be_bytes(raw),
        }
    }
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}
