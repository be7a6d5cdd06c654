//! The frame of the day: opening, halts, close.

use super::{Market, Phase, locate};
use crate::itch;
use crate::units::{CENT, Side};

/// Messages of the close besides late deletes: `M`, `E`, `C`.
pub(super) const CLOSING_LENGTH: u64 = 3;
/// Deletes between the end of system hours and the end of messages, if so many orders are left. They are legal
/// there, and a reader that stops at `E` misses them.
pub(super) const LATE_DELETES: u64 = 8;
/// Messages for each instrument's line of the directory.
const SPIN: u64 = 4;

/// A halt in progress. One at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Halt {
    instrument: u32,
    kind: HaltKind,
    stage: u8,
    /// Count of messages at which the next stage is due.
    due: u64,
}

/// Why an instrument stops trading.
#[derive(Clone, Copy, Debug)]
enum HaltKind {
    /// News: `H`, later quotation only, a cross, trading.
    News,
    /// Volatility: an auction collar, a pause, then as after news.
    Volatility,
    /// This market's own trouble: `h`, and `h` again when it is lifted.
    Operational,
}

impl Market {
    /// Messages until continuous trading begins.
    #[must_use]
    pub fn opening_length(&self) -> u64 {
        let symbols = u64::from(self.config.symbols);
        1 + SPIN * symbols + 2 + symbols * u64::from(self.config.opening_orders) + 2 * symbols + 1
    }

    /// Says message number `said` of the opening.
    pub(super) fn open_one(&mut self, said: u64, out: &mut impl FnMut(&[u8])) {
        let symbols = u64::from(self.config.symbols);
        let spin = 1 + SPIN * symbols;
        let orders = spin + 2;
        let crosses = orders + symbols * u64::from(self.config.opening_orders);
        let end = crosses + 2 * symbols;
        self.phase = Phase::Opening(said + 1);
        if said == 0 {
            self.system_event(b'O', out);
        } else if said < spin {
            self.directory_line(((said - 1) / SPIN) as u32, (said - 1) % SPIN, out);
        } else if said == spin {
            let stamp = self.stamp(0);
            // Three declines from an index level of 5,000 points, in the eight decimals of this message.
            let levels = [4_650, 4_350, 4_000].map(|points: u64| points * 100_000_000);
            self.say(itch::decline_levels(stamp, levels), out);
        } else if said == spin + 1 {
            self.system_event(b'S', out);
        } else if said < crosses {
            // Rounds over all instruments, bids and offers in turn.
            let turn = said - orders;
            let side = if (turn / symbols).is_multiple_of(2) { Side::Buy } else { Side::Sell };
            self.add_order((turn % symbols) as u32, side, out);
        } else if said < crosses + symbols {
            self.say_imbalance((said - crosses) as u32, b'O', out);
        } else if said < end {
            self.say_cross((said - crosses - symbols) as u32, b'O', out);
        } else {
            self.system_event(b'Q', out);
            self.phase = Phase::Open;
        }
    }

    fn directory_line(&mut self, instrument: u32, part: u64, out: &mut impl FnMut(&[u8])) {
        let symbol = self.instruments[instrument as usize].symbol;
        match part {
            0 => {
                let stamp = self.stamp(locate(instrument));
                let instrument = &mut self.instruments[instrument as usize];
                instrument.named = true;
                let listing = instrument.listing();
                self.say(itch::directory(stamp, &listing), out);
            }
            1 => self.set_state(instrument, b'T', *b"    ", out),
            2 => self.set_reg_sho(instrument, b'0', out),
            _ => {
                let stamp = self.stamp(locate(instrument));
                self.say(itch::participant_position(stamp, *b"WUTF", symbol, true), out);
            }
        }
    }

    /// Puts an instrument into a trading state and says so.
    fn set_state(&mut self, instrument: u32, state: u8, reason: [u8; 4], out: &mut impl FnMut(&[u8])) {
        let stamp = self.stamp(locate(instrument));
        let instrument = &mut self.instruments[instrument as usize];
        (instrument.state, instrument.reason) = (Some(state), reason);
        let symbol = instrument.symbol;
        self.say(itch::trading_action(stamp, symbol, state, reason), out);
    }

    /// Begins or lifts this market's own halt of an instrument and says so.
    fn set_operational_halt(&mut self, instrument: u32, halted: bool, out: &mut impl FnMut(&[u8])) {
        let stamp = self.stamp(locate(instrument));
        let instrument = &mut self.instruments[instrument as usize];
        instrument.operational_halt = halted;
        let symbol = instrument.symbol;
        self.say(itch::operational_halt(stamp, symbol, b'Q', if halted { b'H' } else { b'T' }), out);
    }

    fn set_reg_sho(&mut self, instrument: u32, action: u8, out: &mut impl FnMut(&[u8])) {
        let stamp = self.stamp(locate(instrument));
        let instrument = &mut self.instruments[instrument as usize];
        instrument.reg_sho = Some(action);
        let symbol = instrument.symbol;
        self.say(itch::reg_sho(stamp, symbol, action), out);
    }

    /// Ends the day: `M`, `E`, at most `late` deletes, `C`.
    pub fn close(&mut self, late: u64, out: &mut impl FnMut(&[u8])) {
        if self.phase == Phase::Closed {
            return;
        }
        self.system_event(b'M', out);
        self.system_event(b'E', out);
        let mut left = late;
        for instrument in 0..self.instruments.len() as u32 {
            // Clients' own orders are left alone: nobody could tell them.
            while left > 0
                && let Some(slot) = self.last_simulated(instrument)
            {
                self.delete_order(slot, out);
                left -= 1;
            }
        }
        self.system_event(b'C', out);
        self.phase = Phase::Closed;
    }

    fn system_event(&mut self, code: u8, out: &mut impl FnMut(&[u8])) {
        let stamp = self.stamp(0);
        self.last_event = Some(code);
        self.say(itch::system_event(stamp, code), out);
    }

    /// The price that a cross would have: half way between the best prices, else the participants' own idea.
    fn fair_price(&self, instrument: u32) -> u32 {
        let instrument = &self.instruments[instrument as usize];
        let (bid, ask) = (instrument.book.best_price(Side::Buy), instrument.book.best_price(Side::Sell));
        match (bid, ask) {
            (Some(bid), Some(ask)) => (bid + (ask - bid) / 2) / CENT * CENT,
            _ => instrument.reference,
        }
    }

    pub(super) fn say_imbalance(&mut self, instrument: u32, cross: u8, out: &mut impl FnMut(&[u8])) {
        let price = self.fair_price(instrument);
        let symbol = self.instruments[instrument as usize].symbol;
        let (paired, imbalance) = (self.rng.below(100) * 100, self.rng.below(50) * 100);
        let direction = match (imbalance, self.rng.below(2)) {
            (0, _) => b'N',
            (_, 0) => b'B',
            _ => b'S',
        };
        let stamp = self.stamp(locate(instrument));
        let (paired, imbalance) = (u64::from(paired), u64::from(imbalance));
        self.say(itch::imbalance(stamp, symbol, paired, imbalance, direction, price, cross), out);
    }

    /// A cross of orders that were never displayed: the book does not change. Now and then of no shares at all.
    fn say_cross(&mut self, instrument: u32, kind: u8, out: &mut impl FnMut(&[u8])) {
        let price = self.fair_price(instrument);
        let symbol = self.instruments[instrument as usize].symbol;
        let shares = u64::from(self.rng.below(20)) * 100;
        let match_number = self.new_match();
        let stamp = self.stamp(locate(instrument));
        self.say(itch::cross(stamp, shares, symbol, price, match_number, kind), out);
    }

    /// Begins or continues a halt if one is due. Says one message and returns true if so.
    pub(super) fn halt_step(&mut self, out: &mut impl FnMut(&[u8])) -> bool {
        let now = self.counters.messages;
        if self.config.halt_every == 0 {
            return false;
        }
        let halt = match self.halt {
            Some(halt) if halt.due <= now => halt,
            None if self.next_halt <= now => {
                let kind = match self.counters.halts % 3 {
                    0 => HaltKind::News,
                    1 => HaltKind::Volatility,
                    _ => HaltKind::Operational,
                };
                let instrument = self.activity.draw(&mut self.rng) as u32;
                self.counters.halts += 1;
                Halt { instrument, kind, stage: 0, due: now }
            }
            _ => return false,
        };
        let wait = self.say_stage(halt, out);
        self.halt = wait.map(|wait| Halt { stage: halt.stage + 1, due: now + u64::from(wait), ..halt });
        if self.halt.is_none() {
            self.next_halt = now + u64::from(self.config.halt_every);
        }
        true
    }

    /// Says one stage of a halt. Messages to wait for the next one, or `None` when trading resumes with this one.
    fn say_stage(&mut self, halt: Halt, out: &mut impl FnMut(&[u8])) -> Option<u32> {
        let Halt { instrument, kind, stage, .. } = halt;
        let symbol = self.instruments[instrument as usize].symbol;
        let length = self.config.halt_length;
        if let HaltKind::Operational = kind {
            self.set_operational_halt(instrument, stage == 0, out);
            return (stage == 0).then_some(length);
        }
        let (stop, reason, resume) = match kind {
            HaltKind::News => (b'H', *b"T1  ", *b"T3  "),
            _ => (b'P', *b"LUDP", *b"T7  "),
        };
        match (kind, stage) {
            (HaltKind::Volatility, 0) => {
                let price = self.fair_price(instrument);
                // A collar of five per cent to either side.
                let width = price / 20 / CENT * CENT;
                let stamp = self.stamp(locate(instrument));
                self.say(itch::auction_collar(stamp, symbol, price, price + width, price - width), out);
                Some(0)
            }
            (HaltKind::News, 0) | (HaltKind::Volatility, 1) => {
                self.set_state(instrument, stop, reason, out);
                Some(length)
            }
            (HaltKind::News, 1) | (HaltKind::Volatility, 2) => {
                self.set_state(instrument, b'Q', resume, out);
                Some(length / 4)
            }
            (HaltKind::News, 2) | (HaltKind::Volatility, 3) => {
                self.say_imbalance(instrument, b'H', out);
                Some(0)
            }
            (HaltKind::News, 3) | (HaltKind::Volatility, 4) => {
                self.say_cross(instrument, b'H', out);
                Some(0)
            }
            _ => {
                self.set_state(instrument, b'T', resume, out);
                None
            }
        }
    }
}
