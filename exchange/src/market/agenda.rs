//! What happens to instruments in the course of the day: halts, new listings, the market-wide breaker.
//!
//! Each of them is a script of messages with pauses between them, counted in messages of the feed. Several instruments
//! play theirs at the same time. While the breaker holds everything, the scripts wait.

use super::auction::MANY;
use super::instrument::Debut;
use super::{Market, locate};
use crate::itch::{self, Offering};
use crate::units::CENT;

/// The most messages that one step of the agenda says.
pub(super) const STEP_ROOM: u64 = MANY as u64 + 3;
/// The most halts that begin at once.
const AT_ONCE: u32 = 3;
/// The most scripts that are played at a time; no halt begins beyond that.
const SCRIPTS: usize = 16;

/// One line of a script.
#[derive(Clone, Copy, Debug)]
enum Line {
    /// `H`: a trading state and its reason.
    State(u8, [u8; 4]),
    /// `h`: this market's own halt begins or is lifted.
    Own(bool),
    /// `J`, with the number of extensions so far.
    Collar(u32),
    /// `I`.
    Imbalance,
    /// `C`s and `Q`.
    Cross,
    /// `K`: the release for quotation is expected, or put off.
    Release(bool),
    /// `O`: may the listing open yet?
    Offering(bool),
}

/// Lines, and after each of them how many quarters of a halt's length pass.
type Script = &'static [(Line, u32)];

const NEWS: Script = &[
    (Line::State(b'H', *b"T1  "), 2),
    (Line::State(b'H', *b"T2  "), 2),
    (Line::State(b'Q', *b"T3  "), 1),
    (Line::Imbalance, 1),
    (Line::Imbalance, 0),
    (Line::Cross, 0),
    (Line::State(b'T', *b"T3  "), 0),
];

const VOLATILITY: Script = &[
    (Line::State(b'P', *b"LUDP"), 3),
    (Line::State(b'Q', *b"T7  "), 0),
    (Line::Collar(0), 1),
    (Line::Imbalance, 1),
    (Line::Collar(1), 0),
    (Line::Imbalance, 0),
    (Line::Cross, 0),
    (Line::State(b'T', *b"T7  "), 0),
];

const OWN: Script = &[(Line::Own(true), 4), (Line::Own(false), 0)];

const RELEASE: Script = &[
    (Line::Release(true), 2),
    (Line::State(b'Q', *b"IPOQ"), 2),
    (Line::Imbalance, 1),
    (Line::Imbalance, 0),
    (Line::Cross, 0),
    (Line::State(b'T', *b"R1  "), 0),
];

const PUT_OFF: Script = &[
    (Line::Release(true), 2),
    (Line::Release(false), 4),
    (Line::Release(true), 2),
    (Line::State(b'Q', *b"IPOQ"), 2),
    (Line::Imbalance, 1),
    (Line::State(b'Q', *b"IPOE"), 1),
    (Line::Imbalance, 0),
    (Line::Cross, 0),
    (Line::State(b'T', *b"R1  "), 0),
];

const LISTING: Script = &[
    (Line::State(b'Q', *b"IPOQ"), 1),
    (Line::Offering(false), 1),
    (Line::Imbalance, 1),
    (Line::Offering(true), 0),
    (Line::Imbalance, 0),
    (Line::Cross, 0),
    (Line::State(b'T', *b"R1  "), 0),
];

const LATE: Script = &[(Line::State(b'T', *b"    "), 0)];

/// A script that is being played.
#[derive(Clone, Copy, Debug)]
struct Play {
    instrument: u32,
    script: Script,
    /// The next line.
    line: usize,
    /// Count of messages at which it is due.
    due: u64,
}

/// How far the market-wide breaker is.
#[derive(Clone, Copy, Debug)]
enum Breaker {
    /// Trips at this count of messages; never at `u64::MAX`.
    Armed(u64),
    /// Halts one instrument after the other; the next one.
    Halting(u32),
    /// Everything stands until this count of messages.
    Halted(u64),
    /// Lets one after the other quote; the next one.
    Quoting(u32),
    /// Orders gather until this count of messages.
    Quoted(u64),
    /// Crosses and trading again, one after the other; the next one.
    Resuming(u32),
}

/// What is going on, and what will.
#[derive(Clone, Debug)]
pub(super) struct Agenda {
    plays: Vec<Play>,
    next_halt: u64,
    breaker: Breaker,
    /// Nothing is due before this count of messages.
    wake: u64,
}

impl Agenda {
    pub(super) const fn new() -> Self {
        Self { plays: Vec::new(), next_halt: u64::MAX, breaker: Breaker::Armed(u64::MAX), wake: 0 }
    }

    /// Has the breaker tripped, and not yet reached everybody? Nothing trades then.
    pub(super) const fn holds_all(&self) -> bool {
        matches!(self.breaker, Breaker::Halting(_))
    }

    fn next(&self) -> u64 {
        let scripts = self.plays.iter().map(|play| play.due).min().unwrap_or(u64::MAX);
        match self.breaker {
            Breaker::Armed(at) => at.min(self.next_halt).min(scripts),
            Breaker::Halted(until) | Breaker::Quoted(until) => until,
            Breaker::Halting(_) | Breaker::Quoting(_) | Breaker::Resuming(_) => 0,
        }
    }
}

impl Market {
    /// Writes down what the day will bring, when continuous trading begins.
    pub(super) fn plan_day(&mut self) {
        let (now, config) = (self.counters.messages, &self.config);
        let (every, breaker, length) =
            (u64::from(config.halt_every), u64::from(config.breaker_after), u64::from(config.halt_length));
        let mut due = now + u64::from(config.release_after);
        self.agenda.next_halt = if every == 0 { u64::MAX } else { every.max(now) };
        let armed = if every == 0 || breaker == 0 { u64::MAX } else { now + breaker };
        self.agenda.breaker = Breaker::Armed(armed);
        for instrument in 0..self.instruments.len() as u32 {
            let script = match self.instruments[instrument as usize].debut {
                Debut::Known => continue,
                Debut::Offering if self.rng.chance(1, 4) => PUT_OFF,
                Debut::Offering => RELEASE,
                Debut::Listing => LISTING,
                Debut::Late => LATE,
            };
            self.begin(instrument, script, due);
            due += length;
        }
        self.agenda.wake = self.agenda.next();
    }

    fn begin(&mut self, instrument: u32, script: Script, due: u64) {
        self.instruments[instrument as usize].busy = true;
        self.agenda.plays.push(Play { instrument, script, line: 0, due });
    }

    /// Does one thing that is due: at most [`STEP_ROOM`] messages. False when nothing was said.
    #[inline]
    pub(super) fn on_agenda(&mut self, out: &mut impl FnMut(&[u8])) -> bool {
        let now = self.counters.messages;
        if now < self.agenda.wake {
            return false;
        }
        let done = self.breaker_step(now, out) || self.script_step(now, out);
        self.agenda.wake = self.agenda.next();
        done
    }

    /// Plays a line of a script, beginning halts if they are due.
    fn script_step(&mut self, now: u64, out: &mut impl FnMut(&[u8])) -> bool {
        if !matches!(self.agenda.breaker, Breaker::Armed(_)) {
            return false;
        }
        if self.agenda.next_halt <= now {
            self.agenda.next_halt = now + u64::from(self.config.halt_every);
            self.begin_halts(now);
        }
        let Some(at) = self.agenda.plays.iter().position(|play| play.due <= now) else { return false };
        let Play { instrument, script, line, .. } = self.agenda.plays[at];
        let Some((said, pause)) = script.get(line) else { return false };
        self.say_line(instrument, *said, out);
        if line + 1 == script.len() {
            self.agenda.plays.swap_remove(at);
            self.instruments[instrument as usize].busy = false;
        } else {
            let play = &mut self.agenda.plays[at];
            play.line += 1;
            play.due = now + u64::from(*pause) * u64::from(self.config.halt_length) / 4;
        }
        true
    }

    /// One halt begins, or a few at once.
    fn begin_halts(&mut self, now: u64) {
        for _ in 0..1 + self.rng.below(AT_ONCE) {
            let instrument = self.activity.draw(&mut self.rng) as u32;
            let chosen = &self.instruments[instrument as usize];
            if chosen.busy || !chosen.trades() || self.agenda.plays.len() >= SCRIPTS {
                continue;
            }
            let script = match self.counters.halts % 3 {
                0 => NEWS,
                1 => VOLATILITY,
                _ => OWN,
            };
            self.counters.halts += 1;
            self.begin(instrument, script, now);
        }
    }

    fn say_line(&mut self, instrument: u32, line: Line, out: &mut impl FnMut(&[u8])) {
        match line {
            Line::State(state, reason) => {
                // News and pauses change what an instrument is worth, by up to two per cent.
                if matches!(state, b'H' | b'P') {
                    self.surprise(instrument);
                }
                self.set_state(instrument, state, reason, out);
            }
            Line::Own(halted) => self.set_operational_halt(instrument, halted, out),
            Line::Collar(extension) => self.say_collar(instrument, extension, out),
            Line::Imbalance => {
                self.gather(instrument, 4);
                self.say_imbalance(instrument, b'H', out);
            }
            Line::Cross => self.cross(instrument, b'H', MANY, out),
            Line::Release(expected) => {
                // No instrument of its own: this message's locate code is always 0.
                let stamp = self.stamp(0);
                let instrument = &self.instruments[instrument as usize];
                // To the next full minute after a quarter of an hour.
                let at = (stamp.time / 1_000_000_000) as u32;
                let release = expected.then_some(((at + 900) / 60 * 60, instrument.reference));
                let symbol = instrument.symbol;
                self.say(itch::ipo_release(stamp, symbol, release), out);
            }
            Line::Offering(eligible) => {
                let stamp = self.stamp(locate(instrument));
                let instrument = &self.instruments[instrument as usize];
                let reference = instrument.reference;
                let cents = |part: u32| part / CENT * CENT;
                let offering = Offering {
                    stock: instrument.symbol,
                    eligible,
                    least: cents(reference / 5 * 4),
                    most: cents(reference / 5 * 9),
                    near: if eligible { reference } else { 0 },
                    near_time: if eligible { stamp.time } else { 0 },
                    lower: cents(reference / 10 * 9),
                    upper: cents(reference / 10 * 11),
                };
                self.say(itch::direct_listing(stamp, &offering), out);
            }
        }
    }

    fn say_collar(&mut self, instrument: u32, extension: u32, out: &mut impl FnMut(&[u8])) {
        let stamp = self.stamp(locate(instrument));
        let instrument = &self.instruments[instrument as usize];
        // Five per cent to either side, and as much again with each extension.
        let width = instrument.reference / 20 * (1 + extension) / CENT * CENT;
        let (symbol, reference) = (instrument.symbol, instrument.reference);
        let collar = (reference + width, reference - width);
        self.say(itch::auction_collar(stamp, symbol, reference, collar, extension), out);
    }

    /// The value of an instrument jumps.
    fn surprise(&mut self, instrument: u32) {
        let up = self.rng.chance(1, 2);
        let per_mille = self.rng.below(20);
        let instrument = &mut self.instruments[instrument as usize];
        let jump = instrument.reference / 1_000 * per_mille;
        let moved = if up { instrument.reference + jump } else { instrument.reference - jump };
        instrument.reference = moved.clamp(instrument.bounds.0, instrument.bounds.1) / CENT * CENT;
    }

    /// The market-wide breaker: `W`, then everything that trades is halted, quotes after a while, and trades again
    /// after a cross. One instrument a step. What was halted before is left alone.
    fn breaker_step(&mut self, now: u64, out: &mut impl FnMut(&[u8])) -> bool {
        let length = u64::from(self.config.halt_length);
        let find = |market: &Self, from: u32, wanted: &dyn Fn(&super::Instrument) -> bool| {
            let left = market.instruments.iter().zip(0u32..).skip(from as usize);
            left.into_iter().find(|(instrument, _)| wanted(instrument)).map(|(_, index)| index)
        };
        match self.agenda.breaker {
            Breaker::Armed(at) if at <= now => {
                let stamp = self.stamp(0);
                self.say(itch::breaker(stamp, b'1'), out);
                self.agenda.breaker = Breaker::Halting(0);
                self.counters.breakers += 1;
                return true;
            }
            // Life goes on between the messages.
            Breaker::Halting(_) | Breaker::Quoting(_) | Breaker::Resuming(_) if self.rng.chance(1, 4) => {}
            Breaker::Halting(from) => {
                let Some(next) = find(self, from, &|one| one.state == Some(b'T')) else {
                    self.agenda.breaker = Breaker::Halted(now + length);
                    return false;
                };
                self.agenda.breaker = Breaker::Halting(next + 1);
                self.instruments[next as usize].broken_off = true;
                self.surprise(next);
                self.set_state(next, b'H', *b"MWC1", out);
                return true;
            }
            Breaker::Halted(until) if until <= now => self.agenda.breaker = Breaker::Quoting(0),
            Breaker::Quoting(from) => {
                let Some(next) = find(self, from, &|one| one.broken_off) else {
                    self.agenda.breaker = Breaker::Quoted(now + length / 2);
                    return false;
                };
                self.agenda.breaker = Breaker::Quoting(next + 1);
                self.set_state(next, b'Q', *b"MWCQ", out);
                return true;
            }
            Breaker::Quoted(until) if until <= now => self.agenda.breaker = Breaker::Resuming(0),
            Breaker::Resuming(from) => {
                let Some(next) = find(self, from, &|one| one.broken_off) else {
                    self.agenda.breaker = Breaker::Armed(u64::MAX);
                    return false;
                };
                self.agenda.breaker = Breaker::Resuming(next + 1);
                self.instruments[next as usize].broken_off = false;
                // In this market's own trouble it does not even cross.
                if !self.instruments[next as usize].operational_halt {
                    self.gather(next, 6);
                    self.say_imbalance(next, b'H', out);
                    self.cross(next, b'H', MANY, out);
                }
                self.set_state(next, b'T', *b"MWCQ", out);
                return true;
            }
            _ => {}
        }
        false
    }
}
