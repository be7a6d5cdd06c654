//! The frame of the day: opening and close, and what instruments are told by.

use super::auction::FEW;
use super::instrument::Debut;
use super::{Market, Phase, locate};
use crate::itch;
use crate::units::Side;

/// Deletes between the end of system hours and the end of messages, if so many orders are left. They are legal
/// there, and a reader that stops at `E` misses them.
pub(super) const LATE_DELETES: u64 = 8;
/// Messages for each instrument's line of the directory.
const SPIN: u64 = 4;

/// How far the close is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Closing {
    /// The outlook for the closing crosses; the next instrument.
    Outlook(u32),
    /// The closing crosses; the next instrument.
    Crosses(u32),
    /// Orders come and go.
    AfterHours,
    /// The last deletes; so many yet.
    Late(u64),
}

impl Market {
    /// Messages until continuous trading begins, at most.
    #[must_use]
    pub fn opening_length(&self) -> u64 {
        let symbols = u64::from(self.config.symbols);
        self.opening_steps() + symbols * u64::from(FEW)
    }

    /// Messages of a day that closes as soon as it has opened, at most. No day of exactly so many or more is too short.
    #[must_use]
    pub fn shortest_day(&self) -> u64 {
        self.opening_length() + self.closing_length()
    }

    fn opening_steps(&self) -> u64 {
        let symbols = u64::from(self.config.symbols);
        1 + SPIN * symbols + 2 + symbols * u64::from(self.config.opening_orders) + 2 * symbols + 1
    }

    /// Messages of the close besides late deletes, at most: an outlook and a cross of each instrument, `M`, `E`, `C`.
    pub(super) fn closing_length(&self) -> u64 {
        u64::from(self.config.symbols) * (2 + u64::from(FEW)) + 3
    }

    /// Does step number `step` of the opening.
    pub(super) fn open_one(&mut self, step: u64, out: &mut impl FnMut(&[u8])) {
        let symbols = u64::from(self.config.symbols);
        let spin = 1 + SPIN * symbols;
        let orders = spin + 2;
        let crosses = orders + symbols * u64::from(self.config.opening_orders);
        self.phase = Phase::Opening(step + 1);
        if step == 0 {
            self.system_event(b'O', out);
        } else if step < spin {
            self.directory_line(((step - 1) / SPIN) as u32, (step - 1) % SPIN, out);
        } else if step == spin {
            let stamp = self.stamp(0);
            // Three declines from an index level of 5,000 points, in the eight decimals of this message.
            let levels = [4_650, 4_350, 4_000].map(|points: u64| points * 100_000_000);
            self.say(itch::decline_levels(stamp, levels), out);
        } else if step == spin + 1 {
            self.system_event(b'S', out);
        } else if step < crosses {
            // Rounds over all instruments, bids and offers in turn.
            let turn = step - orders;
            let side = if (turn / symbols).is_multiple_of(2) { Side::Buy } else { Side::Sell };
            let instrument = (turn % symbols) as u32;
            if self.instruments[instrument as usize].quotes() {
                self.add_order(instrument, side, out);
            }
        } else if step + 1 < self.opening_steps() {
            let instrument = ((step - crosses) % symbols) as u32;
            if !self.instruments[instrument as usize].trades() {
                // Its cross comes when it is let in.
            } else if step < crosses + symbols {
                self.gather(instrument, 6);
                self.say_imbalance(instrument, b'O', out);
            } else {
                self.cross(instrument, b'O', FEW, out);
            }
        } else {
            self.system_event(b'Q', out);
            self.phase = Phase::Open;
            self.plan_day();
        }
    }

    fn directory_line(&mut self, instrument: u32, part: u64, out: &mut impl FnMut(&[u8])) {
        match part {
            0 => {
                let stamp = self.stamp(locate(instrument));
                let instrument = &mut self.instruments[instrument as usize];
                instrument.named = true;
                let listing = instrument.listing();
                self.say(itch::directory(stamp, &listing), out);
            }
            1 => match self.instruments[instrument as usize].debut {
                Debut::Known => self.set_state(instrument, b'T', *b"    ", out),
                Debut::Offering | Debut::Listing => self.set_state(instrument, b'H', *b"IPO1", out),
                Debut::Late => {}
            },
            2 => self.set_reg_sho(instrument, b'0', out),
            _ => self.say_maker(instrument, *b"WUTF", b'A', out),
        }
    }

    /// Puts an instrument into a trading state and says so.
    pub(super) fn set_state(
        &mut self,
        instrument: u32,
        state: u8,
        reason: [u8; 4],
        out: &mut impl FnMut(&[u8]),
    ) {
        let stamp = self.stamp(locate(instrument));
        let instrument = &mut self.instruments[instrument as usize];
        (instrument.state, instrument.reason) = (Some(state), reason);
        let symbol = instrument.symbol;
        self.say(itch::trading_action(stamp, symbol, state, reason), out);
    }

    /// Begins or lifts this market's own halt of an instrument and says so.
    pub(super) fn set_operational_halt(
        &mut self,
        instrument: u32,
        halted: bool,
        out: &mut impl FnMut(&[u8]),
    ) {
        let stamp = self.stamp(locate(instrument));
        let instrument = &mut self.instruments[instrument as usize];
        instrument.operational_halt = halted;
        let symbol = instrument.symbol;
        self.say(itch::operational_halt(stamp, symbol, b'Q', if halted { b'H' } else { b'T' }), out);
    }

    pub(super) fn set_reg_sho(&mut self, instrument: u32, action: u8, out: &mut impl FnMut(&[u8])) {
        let stamp = self.stamp(locate(instrument));
        let instrument = &mut self.instruments[instrument as usize];
        instrument.reg_sho = Some(action);
        let symbol = instrument.symbol;
        self.say(itch::reg_sho(stamp, symbol, action), out);
    }

    pub(super) fn say_maker(
        &mut self,
        instrument: u32,
        mpid: [u8; 4],
        state: u8,
        out: &mut impl FnMut(&[u8]),
    ) {
        let stamp = self.stamp(locate(instrument));
        let symbol = self.instruments[instrument as usize].symbol;
        self.say(itch::participant_position(stamp, mpid, symbol, state), out);
    }

    fn system_event(&mut self, code: u8, out: &mut impl FnMut(&[u8])) {
        let stamp = self.stamp(0);
        self.last_event = Some(code);
        self.say(itch::system_event(stamp, code), out);
    }

    /// Begins the close, from wherever the day stands; [`Market::step`] goes on with it. After the closing crosses
    /// orders come and go until [`Market::close`] ends the day. Outside orders are refused from now on, and what they
    /// get in the crosses waits for [`Market::take_fills`].
    pub fn begin_close(&mut self) {
        if !matches!(self.phase, Phase::Closing | Phase::Closed) {
            self.phase = Phase::Closing;
            self.closing = Closing::Outlook(0);
        }
    }

    /// Ends the day: the outlook for the closing crosses, `M`, the crosses, `E`, at most `late` deletes, `C`.
    pub fn close(&mut self, late: u64, out: &mut impl FnMut(&[u8])) {
        self.begin_close();
        while self.phase == Phase::Closing {
            match self.closing {
                Closing::AfterHours => self.end_hours(late, out),
                _ => self.close_one(out),
            }
        }
    }

    /// Does one step of the close.
    pub(super) fn close_one(&mut self, out: &mut impl FnMut(&[u8])) {
        let next_trading = |market: &Self, from: u32| {
            (from..market.instruments.len() as u32).find(|instrument| market.may_match(*instrument))
        };
        match self.closing {
            Closing::Outlook(from) => match next_trading(self, from) {
                Some(instrument) => {
                    self.closing = Closing::Outlook(instrument + 1);
                    self.gather(instrument, 6);
                    self.say_imbalance(instrument, b'C', out);
                }
                None => {
                    self.system_event(b'M', out);
                    self.closing = Closing::Crosses(0);
                }
            },
            Closing::Crosses(from) => match next_trading(self, from) {
                Some(instrument) => {
                    self.closing = Closing::Crosses(instrument + 1);
                    self.cross(instrument, b'C', FEW, out);
                }
                None => self.closing = Closing::AfterHours,
            },
            Closing::AfterHours => self.act_after_hours(out),
            Closing::Late(left) => {
                // Clients' own orders are left alone: nobody could tell them.
                let simulated =
                    (0..self.instruments.len() as u32).find_map(|index| self.last_simulated(index));
                match simulated.filter(|_| left > 0) {
                    Some(slot) => {
                        self.closing = Closing::Late(left - 1);
                        self.delete_order(slot, out);
                    }
                    None => {
                        self.system_event(b'C', out);
                        self.phase = Phase::Closed;
                    }
                }
            }
        }
    }

    /// Ends the system's hours; `late` deletes follow, then the end of messages.
    fn end_hours(&mut self, late: u64, out: &mut impl FnMut(&[u8])) {
        self.system_event(b'E', out);
        self.closing = Closing::Late(late);
    }

    /// One step of the close of a day with `left` messages to come: orders come and go after hours until just the
    /// late deletes and the last two events have room.
    pub(super) fn close_within(&mut self, left: u64, out: &mut impl FnMut(&[u8])) {
        if let Closing::AfterHours = self.closing {
            let simulated = self.simulated_up_to(LATE_DELETES);
            if left <= simulated + 2 {
                return self.end_hours(left.saturating_sub(2), out);
            }
        }
        self.close_one(out);
    }

    /// How many orders of participants rest, counted up to `most`.
    fn simulated_up_to(&self, most: u64) -> u64 {
        let lists = self.instruments.iter().flat_map(|instrument| instrument.book.list());
        lists.filter(|slot| self.orders.get(**slot).tag == 0).take(most as usize).count() as u64
    }
}
