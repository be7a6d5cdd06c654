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
    /// The round of [`General`] in which `state` was said; in any other round the general state holds.
    singled_out: u32,
    /// The market-wide halts before `trading` was said; after a further one it is void.
    halts: u32,
    state: BookState,
    trading: TradingState,
    pub(super) operational_halt: bool,
    /// The directory named it.
    pub(super) listed: bool,
}

const _: () = assert!(size_of::<Instrument>() == 64);

/// What holds for every instrument that was not singled out since it was said.
#[derive(Clone, Copy, Debug)]
pub(super) struct General {
    state: BookState,
    /// How often the state was said for all.
    round: u32,
    /// Market-wide halts so far.
    halts: u32,
}

impl General {
    /// Nothing was said: every gate closed.
    pub(super) const CLOSED: Self = Self { state: BookState::Stale, round: 1, halts: 1 };

    /// Sets the state of all instruments, whatever was said of single ones.
    pub(super) const fn set_all(&mut self, state: BookState) {
        self.state = state;
        self.round = self.round.wrapping_add(1);
    }

    /// Sets the state of those that were not singled out since it was last set for all.
    pub(super) const fn set_rest(&mut self, state: BookState) {
        self.state = state;
    }

    /// Halts all instruments.
    pub(super) const fn halt(&mut self) {
        self.halts = self.halts.wrapping_add(1);
    }
}

impl Instrument {
    /// An instrument of which nothing is known: every gate closed.
    pub(super) const UNKNOWN: Self = Self {
        ladders: [Ladder::EMPTY; 2],
        volume: 0,
        round_lot: 0,
        singled_out: 0,
        halts: 0,
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

    pub(super) const fn state(&self, general: General) -> BookState {
        if self.singled_out == general.round { self.state } else { general.state }
    }

    pub(super) const fn set_state(&mut self, general: General, state: BookState) {
        self.state = state;
        self.singled_out = general.round;
    }

    pub(super) const fn set_trading(&mut self, general: General, trading: TradingState) {
        self.trading = trading;
        self.halts = general.halts;
    }

    /// The latest market-wide halt does not concern it, whatever was in force before.
    pub(super) const fn spare(&mut self, general: General) {
        if self.halts.wrapping_add(1) == general.halts {
            self.halts = general.halts;
        }
    }

    /// All gates together: an operational halt stops trading whatever else was announced, a market-wide one until the
    /// instrument's own state is announced again.
    pub(super) const fn trading_state(&self, general: General) -> TradingState {
        if self.operational_halt || self.halts != general.halts { TradingState::Halted } else { self.trading }
    }
}
