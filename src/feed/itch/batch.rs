//! All blocks of a packet at once, into flat records: [`OrderMessage`]s for the seven types about displayed orders
//! (`A` `F` `E` `C` `X` `D` `U`), every field of them; for anything else a record of kind [`OrderMessage::NONE`], and
//! the caller reads that block by [`super::decode`].
//!
//! A record of another kind says exactly what `decode` would have said of its block. A block that `decode` refuses
//! (wrong length, no side, empty) is never one, so that errors are told and counted in one place.
//!
//! Which of the types it is costs no branch, because no predictor could tell: the type byte and the length choose a row
//! of a table, and the row says where each byte of the record comes from (`batch/table.rs`). Three paths read the same rows:
//!
//! | [`Path`] | processors with | how |
//! |---|---|---|
//! | [`Path::Avx512Vbmi`] | AVX-512 F, BW, VBMI (Ice Lake, Zen 4, and later) | one load, one permutation, one store |
//! | [`Path::Avx2`] | AVX2 (Haswell, Zen, and later) | two halves, each put together from shuffles of three loads |
//! | [`Path::Scalar`] | any | fields from fixed places, blanked by masks; safe code |
//!
//! No path reads outside of the bytes that the packet's check has seen.

mod scalar;
mod table;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::fmt;

use crate::market::OrderMessage;
use crate::wire::moldudp64::{Blocks, split_block};
use table::{Tables, padded};

/// A way to decode, by what the processor must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// Nothing but what every target has.
    Scalar,
    /// AVX2.
    Avx2,
    /// AVX-512 F, BW and VBMI.
    Avx512Vbmi,
}

impl Path {
    /// Every path, the widest last.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512Vbmi];
}

/// A path that this processor has.
#[derive(Clone, Copy, Debug)]
enum Kernel {
    Scalar(scalar::Any),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Present),
    #[cfg(target_arch = "x86_64")]
    Avx512Vbmi(avx512::Present),
}

impl Kernel {
    fn of(path: Path) -> Option<Self> {
        match path {
            Path::Scalar => Some(Self::Scalar(scalar::Any::new())),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => avx2::Present::detect().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Path::Avx512Vbmi => avx512::Present::detect().map(Self::Avx512Vbmi),
            #[cfg(not(target_arch = "x86_64"))]
            Path::Avx2 | Path::Avx512Vbmi => None,
        }
    }
}

/// What is filled: one line a block, of which the first so many are valid.
struct Lines {
    records: [OrderMessage; Batch::MOST],
    /// Bytes from the first block's length field to this one's.
    offsets: [u32; Batch::MOST],
}

/// The memory that blocks are decoded into, 4.3 kB, kept from packet to packet and never cleared.
pub struct Batch {
    kernel: Kernel,
    lines: Lines,
}

impl Batch {
    /// Most blocks that one [`Self::fill`] takes. A full packet has about 38; one of more takes several.
    pub const MOST: usize = 64;

    /// With the widest path that this processor has.
    #[must_use]
    pub fn new() -> Self {
        let widest = Path::ALL.into_iter().rev().find_map(Kernel::of);
        Self::with_kernel(widest.unwrap_or(Kernel::Scalar(scalar::Any::new())))
    }

    /// With the path named: for tests and benchmarks. `None` where the processor does not have it.
    #[must_use]
    pub fn with_path(path: Path) -> Option<Self> {
        Kernel::of(path).map(Self::with_kernel)
    }

    const fn with_kernel(kernel: Kernel) -> Self {
        let lines = Lines { records: [OrderMessage::EMPTY; Self::MOST], offsets: [0; Self::MOST] };
        Self { kernel, lines }
    }

    /// The path in use.
    #[must_use]
    pub const fn path(&self) -> Path {
        match self.kernel {
            Kernel::Scalar(_) => Path::Scalar,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2(_) => Path::Avx2,
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vbmi(_) => Path::Avx512Vbmi,
        }
    }

    /// Takes up to [`Self::MOST`] blocks off the front of `blocks` and decodes them. Empty only where `blocks` is.
    #[inline]
    pub fn fill<'a>(&mut self, blocks: &mut Blocks<'a>) -> Filled<'_, 'a> {
        let bytes = blocks.bytes();
        let len = match self.kernel {
            Kernel::Scalar(any) => any.fill(&mut self.lines, blocks),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2(present) => present.fill(&mut self.lines, blocks),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vbmi(present) => present.fill(&mut self.lines, blocks),
        };
        let Lines { records, offsets } = &self.lines;
        Filled {
            records: records.get(..len).unwrap_or_default(),
            offsets: offsets.get(..len).unwrap_or_default(),
            bytes,
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// Blocks that were decoded, and their records.
#[derive(Clone, Copy, Debug)]
pub struct Filled<'b, 'a> {
    records: &'b [OrderMessage],
    offsets: &'b [u32],
    bytes: &'a [u8],
}

impl<'b, 'a> Filled<'b, 'a> {
    /// Number of blocks, and of records.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.records.len()
    }

    /// No blocks were left.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// One record a block, in their order.
    #[inline]
    #[must_use]
    pub const fn records(&self) -> &'b [OrderMessage] {
        self.records
    }

    /// The bytes of block `i`, for [`super::decode`] where its record is of kind [`OrderMessage::NONE`]. Empty where
    /// `i` is not below [`Self::len`].
    #[inline]
    #[must_use]
    pub fn block(&self, i: usize) -> &'a [u8] {
        let block =
            self.offsets.get(i).and_then(|offset| self.bytes.get(*offset as usize..)).and_then(split_block);
        block.map_or(&[], |(block, _)| block)
    }
}

/// Walks the blocks and has `write` make the record of each.
///
/// `write` gets the block's row of the tables, the block, and a window of its first `N` bytes: those behind the block
/// follow where it is shorter, or zeros. A block whose row is not the first one is a valid order message of that type.
#[inline(always)]
fn fill_with<'a, R, const N: usize>(
    tables: &Tables<R>,
    lines: &mut Lines,
    blocks: &mut Blocks<'a>,
    write: impl Fn(&R, &'a [u8], &[u8; N], &mut OrderMessage),
) -> usize {
    let Lines { records, offsets } = lines;
    blocks.take_front(Batch::MOST as u16, |i, offset, block, behind| {
        if let Some(record) = records.get_mut(i)
            && let Some(place) = offsets.get_mut(i)
        {
            // A packet of the most and longest blocks is shorter than 4 GiB.
            *place = offset as u32;
            let pad;
            let window = match behind.first_chunk() {
                Some(window) => window,
                None => {
                    pad = padded(behind);
                    &pad
                }
            };
            write(tables.row(block.len(), window), block, window, record);
        }
    })
}

#[cfg(test)]
mod tests;
