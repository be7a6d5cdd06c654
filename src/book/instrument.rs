//! What the books know of one instrument, in one cache line.

use crate::market::{BookState, Side, TradingState};

use super::side::Ladder;

/// One instrument: its two sides and its gates.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Instrument {
    /// Indexed by [`Side`].
    ladders: [Ladder; 2],
    /// Shares traded today; see [`Books::volume`](super::Books::volume).
    pub(super) volume: u64,
    /// Shares in a round lot; 0 before the directory named it.
    pub(super) round_lot: u32,
    pub(super) state: BookState,
    pub(super) trading: TradingState,
    pub(super) operational_halt: bool,
    /// The directory named it.
    pub(super) listed: bool,
}

const _: () = assert!(size_of::<Instrument>() == 64);

impl Instrument {
    /// An instrument of which nothing is known: every gate closed.
    pub(super) const UNKNOWN: Self = Self {
        ladders: [Ladder::EMPTY; 2],
        volume: 0,
        round_lot: 0,
        state: BookState::Stale,
        trading: TradingState::Halted,
        operational_halt: false,
        listed: false,
    };

    pub(super) const fn ladder(&self, side: Side) -> &Ladder {
        &self.ladders[side as usize]
    }

    pub(super) const fn ladder_mut(&mut self, side: Side) -> &mut Ladder {
        &mut self.ladders[side as usize]
    }

    /// Both gates together: an operational halt stops trading whatever else was announced.
    pub(super) const fn trading_state(&self) -> TradingState {
        if self.operational_halt { TradingState::Halted } else { self.trading }
    }
}
