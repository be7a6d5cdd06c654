//! What happens to the bytes of a packet on a bad line, and packets that do not belong there.

use std::sync::Arc;

use super::LineConfig;
use crate::mold::HEADER;
use crate::rng::Rng;

/// Draws a line's accidents with bytes, from a stream of numbers of its own: switching them on changes no other accident.
#[derive(Clone, Debug)]
pub(super) struct Spoiler {
    rng: Rng,
    strays: u32,
}

/// What happens to one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoil {
    /// Only so many bytes are left.
    Cut(usize),
    /// This bit is flipped, counted from the first byte's highest.
    Flip(usize),
}

impl Spoiler {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self { rng: Rng::stream(seed, stream + 20), strays: 0 }
    }

    /// What happens to a packet of `len` bytes; as many draws whatever comes out. A packet to be cut is not flipped.
    pub(super) fn draw(&mut self, config: &LineConfig, len: usize) -> Option<Spoil> {
        let (cut, at) = (self.rng.chance(config.truncate_ppm, 1_000_000), self.rng.index(len));
        let (flip, bit) = (self.rng.chance(config.bit_flip_ppm, 1_000_000), self.rng.index(len * 8));
        if cut { Some(Spoil::Cut(at)) } else { flip.then_some(Spoil::Flip(bit)) }
    }

    /// A packet of a foreign session that comes in before `packet`: the same messages under another name, numbered
    /// from 1, as the packet itself, or at the end of all numbers.
    pub(super) fn stray(&mut self, config: &LineConfig, packet: &[u8]) -> Option<Arc<[u8]>> {
        let (comes, kind) = (self.rng.chance(config.stray_ppm, 1_000_000), self.rng.below(3));
        if !comes || packet.len() < HEADER {
            return None;
        }
        let mut stray = packet.to_vec();
        self.strays = (self.strays + 1) % 100_000;
        stray[..10].copy_from_slice(format!("STRAY{:05}", self.strays).as_bytes());
        match kind {
            0 => stray[10..18].copy_from_slice(&1u64.to_be_bytes()),
            1 => {}
            _ => stray[10..18].copy_from_slice(&(u64::MAX - 1).to_be_bytes()),
        }
        Some(stray.into())
    }
}

impl Spoil {
    /// What is left of the packet that it was drawn for.
    pub(super) fn of(self, packet: &[u8]) -> Arc<[u8]> {
        match self {
            Self::Cut(at) => packet.get(..at).unwrap_or(packet).into(),
            Self::Flip(bit) => {
                let mut spoilt = packet.to_vec();
                if let Some(byte) = spoilt.get_mut(bit / 8) {
                    *byte ^= 0x80 >> (bit % 8);
                }
                spoilt.into()
            }
        }
    }
}
