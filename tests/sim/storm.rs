//! What is checked on the way, and the run from its first message to its end.

use exchange::ouch::Inbound;
use wirebook::market::{BookState, TradingState};
use wirebook::strategy::Intent;

use crate::draw::{Draw, MS, S};
use crate::faults::{Kind, Trouble};
use crate::handler::Decision;
use crate::truth::Truth;
use crate::world::World;

/// Longest that the calm may take until everything is live, ns: the pauses of repairs grow to 30 s.
const PATIENCE: u64 = 200 * S;

/// What was looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checks {
    /// Orders compared with the books that are true.
    pub(crate) orders: u64,
    /// Times that all live books were compared.
    pub(crate) books: u64,
    /// Times that the features of an instrument were compared with its book.
    pub(crate) features: u64,
    /// Repairs seen so far.
    repairs: u64,
    /// Since when some book is not live; and how long that took, each time, ns.
    down: Option<u64>,
    pub(crate) recoveries: Vec<u64>,
}

/// How a run went.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) messages: u64,
    pub(crate) checks: Checks,
    pub(crate) all_live: bool,
    pub(crate) rows: Vec<(&'static str, u64)>,
    /// Everything that came out, in one number.
    pub(crate) digest: u64,
}

/// Runs a seed.
pub(crate) fn run(draw: Draw, story: bool) -> Result<Outcome, String> {
    let calm = draw.calm();
    let lost_tail = draw.has(Kind::LostTail);
    let mut world = World::new(draw, story);
    world.run(calm, |_| false)?;
    world.pace = MS;
    world.tell(|| "calm".to_owned());
    world.recover("the calm")?;
    world.check_open_orders()?;
    world.tell(|| "the day is closed".to_owned());
    if lost_tail {
        world.net.trouble = Trouble { dead: [true; 2], ..Trouble::default() };
    }
    let now = world.now;
    world.venue(|exchange, mut out| exchange.close(now, &mut out));
    world.run(now + 50 * MS, |_| false)?;
    world.net.trouble = Trouble::default();
    let ended = world.run(now + 30 * S, |world| world.handler.pipeline.stream().has_ended())?;
    if !ended {
        return Err("the end of the session was not heard".to_owned());
    }
    world.recover("the end")?;
    world.run(world.now + 300 * MS, |_| false)?;
    world.finish()
}

impl World {
    /// Lets time go on until everything is live, if that can be expected.
    fn recover(&mut self, when: &str) -> Result<(), String> {
        let began = self.now;
        self.run(began + 100 * MS, |_| false)?;
        if self.run(began + 5 * S, Self::all_live)? {
            return Ok(());
        }
        let expected = self.expects_live();
        if !expected {
            return Ok(());
        }
        self.pace = 2 * MS;
        if self.run(began + PATIENCE, Self::all_live)? || !self.expects_live() {
            return Ok(());
        }
        Err(format!("not everything is live after {when}: {}", self.states()))
    }

    /// Must everything become live when nothing goes wrong any more?
    fn expects_live(&self) -> bool {
        if self.draw.small_books {
            return false;
        }
        let stream = self.handler.pipeline.stream();
        if self.draw.recovery.snapshot.is_some() {
            return true;
        }
        // Nobody mends anything, and nothing was missed.
        let counters = stream.counters();
        counters.sessions == 1 && counters.messages + 1 == stream.expected()
    }

    fn all_live(&mut self) -> bool {
        let newest = self.logs.last().map(|log| log.session);
        let Some(truth) = &self.truth else { return false };
        Some(truth.session) == newest
            && truth.books.instruments() > 0
            && truth.books.said().all(|(locate, _)| self.handler.state(locate) == BookState::Live)
            && self.handler.pipeline.stream().hole().is_none()
    }

    fn states(&self) -> String {
        let Some(truth) = &self.truth else { return "nothing was heard".to_owned() };
        let states: Vec<_> =
            truth.books.said().map(|(locate, _)| (locate, self.handler.state(locate))).collect();
        let stream = self.handler.pipeline.stream();
        let need = self.handler.end.need.read();
        let log = self.logs.last().unwrap();
        format!(
            "session {:?} of {:?}, expected {} of {}, hole {:?}, {states:?}\n{need:?}\n{:?}",
            truth.session.escape_ascii().to_string(),
            log.session.escape_ascii().to_string(),
            stream.expected(),
            log.next(),
            stream.hole(),
            self.handler.client.status()
        )
    }

    /// After housekeeping: repairs that are done, and whether everything is live.
    pub(crate) fn note_states(&mut self) -> Result<(), String> {
        let repairs = self.handler.pipeline.tally().repair.done;
        if repairs != self.checks.repairs {
            self.checks.repairs = repairs;
            self.check_books()?;
        }
        let live = self.all_live();
        match self.checks.down {
            None if !live && self.truth.is_some() => {
                self.checks.down = Some(self.now);
                self.tell(|| format!("not all live: {}", self.states()));
            }
            Some(since) if live => {
                self.checks.down = None;
                self.checks.recoveries.push(self.now - since);
                self.tell(|| "all live".to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    /// After the loop did something: what it decided is compared with what is true.
    pub(crate) fn after_poll(&mut self, thorough: bool) -> Result<(), String> {
        let stream = self.handler.pipeline.stream();
        let Some(session) = stream.session() else { return Ok(()) };
        let expected = stream.expected();
        let mut seen = self.handler.seen.borrow_mut();
        self.checks.features = seen.compared;
        if let Some(astray) = seen.astray.take() {
            return Err(astray);
        }
        let mut decisions = std::mem::take(&mut seen.decisions);
        drop(seen);
        let Some(log) = self.logs.iter().find(|log| log.session == session) else {
            // Nothing was heard before, or the session had ended: a stray one is taken, until the right one is heard.
            self.truth = None;
            let orders =
                decisions.first().map(|decision| format!("{decision:?} in a session that there is not"));
            return orders.map_or(Ok(()), Err);
        };
        if self.truth.as_ref().is_none_or(|truth| truth.session != session) {
            self.truth = Some(Truth::new(session));
        }
        let truth = self.truth.as_mut().unwrap();
        if expected < truth.next {
            return Err(format!("the stream went back from {} to {expected}", truth.next));
        }
        for Decision { intent, .. } in decisions.iter().filter(|decision| decision.view.is_none()) {
            self.checks.orders += 1;
            if truth.trading(intent.locate()) != TradingState::Trading
                || self.handler.state(intent.locate()) != BookState::Live
            {
                return Err(format!("{intent:?} left on a reply, and its book may not be used"));
            }
        }
        let all = decisions.clone();
        let mut open = decisions.iter().filter(|decision| decision.view.is_some()).count();
        while truth.next < expected {
            let Some(message) = log.get(truth.next) else {
                return Err(format!("sequence {expected} is expected; {} comes next", log.next()));
            };
            let (locate, time) = truth.apply(message)?;
            if open == 0 {
                continue;
            }
            for decision in &mut decisions {
                let Some(view) = decision.view else { continue };
                if (view.locate, view.timestamp) == (locate, time) && truth.is_shown_by(&view) {
                    if !view.tradable() {
                        return Err(format!("{decision:?}: a book that may not be used"));
                    }
                    decision.view = None;
                    self.checks.orders += 1;
                    open -= 1;
                }
            }
        }
        if let Some(wrong) = decisions.iter().find(|decision| decision.view.is_some()) {
            return Err(format!("{wrong:?}: the book was never so"));
        }
        for decision in all {
            self.decided.push_back((decision, symbol(truth, decision.intent.locate())));
        }
        if thorough {
            self.check_books()?;
        }
        Ok(())
    }

    /// Compares every live book with what is true.
    fn check_books(&mut self) -> Result<usize, String> {
        let Some(truth) = &self.truth else { return Ok(0) };
        self.checks.books += 1;
        truth.agrees(self.handler.pipeline.books(), |locate| self.handler.state(locate))
    }

    /// An order on the wire is the one that was decided on.
    pub(crate) fn check_order(&mut self, payload: &[u8]) -> Result<(), String> {
        let [high, low, kind, message @ ..] = payload else { return Err("a short order".to_owned()) };
        if usize::from(u16::from_be_bytes([*high, *low])) != message.len() + 1 {
            return Err("an order of a wrong length".to_owned());
        }
        if *kind == b'R' {
            return Ok(());
        }
        let Some(order) = Inbound::parse(message) else {
            return Err(format!("an order that is none: {}", message.escape_ascii()));
        };
        let same = match order {
            Inbound::Enter(enter) => self.decided.pop_front().is_some_and(|(decision, symbol)| {
                matches!(decision.intent, Intent::Enter { shares, price, .. }
                    if (shares, u64::from(price.0)) == (enter.quantity, enter.price) && symbol == enter.symbol.0)
            }),
            Inbound::Replace(replace) => self.decided.pop_front().is_some_and(|(decision, _)| {
                matches!(decision.intent, Intent::Replace { order, shares, price, .. }
                    // On the wire a replacement counts what has traded already.
                    if (order, u64::from(price.0)) == (replace.orig_user_ref, replace.price)
                        && shares <= replace.quantity)
            }),
            _ => true,
        };
        if same { Ok(()) } else { Err(format!("an order that nobody decided on: {order:?}")) }
    }

    /// No order rests on a book that is not live.
    fn check_open_orders(&mut self) -> Result<(), String> {
        if self.replies_are_incomplete() {
            return Ok(());
        }
        for (order, open) in self.handler.pipeline.blotter().orders() {
            let state = self.handler.state(open.locate);
            if state != BookState::Live {
                return Err(format!("order {order} is open and its book is {state:?}: {open:?}"));
            }
        }
        Ok(())
    }

    /// Did the handler miss what the venue said about its orders, or the venue the orders?
    fn replies_are_incomplete(&self) -> bool {
        self.net.counters.replies_lost > 0 || self.draw.has(Kind::LinkFlap)
    }

    fn finish(mut self) -> Result<Outcome, String> {
        self.check_books()?;
        let all_live = self.all_live();
        if self.expects_live() && !all_live {
            return Err(format!("not everything is live at the end: {}", self.states()));
        }
        let stream = self.handler.pipeline.stream();
        let log = self.logs.last().unwrap();
        if stream.expected() != log.next() {
            return Err(format!("ended at {}; the day at {}", stream.expected(), log.next()));
        }
        if !self.decided.is_empty() {
            return Err(format!("{} orders were decided on and never left", self.decided.len()));
        }
        self.handler.pipeline.books().audit().map_err(|fault| format!("the books are broken: {fault:?}"))?;
        let tally = self.handler.pipeline.tally();
        let lines: u64 = tally.lines.iter().map(|line| line.packets).sum();
        let unwanted: u64 = tally.unwanted.rows().iter().map(|(_, count)| count).sum();
        let accounted = tally.rejects.total() + unwanted + lines + tally.session.packets;
        if tally.looped.frames != accounted {
            return Err(format!("{} frames came, {accounted} are accounted for", tally.looped.frames));
        }
        let rows: Vec<_> = tally.rows().chain(self.handler.client.counters().rows()).collect();
        let messages = self.logs.iter().map(|log| log.next() - 1).sum();
        let incomparable = stream.counters().sessions > 1 || self.replies_are_incomplete();
        let theirs = self.exchange.positions();
        let World { handler, checks, now, .. } = self;
        let finished = handler.pipeline.finish();
        let mut ours: Vec<_> =
            finished.positions.iter().map(|(symbol, shares)| (symbol.0, *shares)).collect();
        ours.sort_unstable();
        let theirs: Vec<_> = theirs.into_iter().map(|(symbol, shares)| (symbol.0, shares)).collect();
        if !incomparable && ours != theirs {
            return Err(format!("positions: ours {ours:?}, the venue's {theirs:?}"));
        }
        let mut digest = Digest::default();
        digest.add(now);
        rows.iter().for_each(|(_, value)| digest.add(*value));
        for order in finished.books.resting() {
            digest.add(order.order_ref);
            digest.add(u64::from(order.shares) << 32 | u64::from(order.price.0));
        }
        ours.iter().for_each(|(_, shares)| digest.add(*shares as u64));
        Ok(Outcome { messages, checks, all_live, rows, digest: digest.0 })
    }
}

fn symbol(truth: &Truth, locate: u16) -> [u8; 8] {
    truth.books.said_of(locate).and_then(|said| said.symbol).map_or([0; 8], |symbol| symbol.0)
}

/// FNV-1a.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }
}

impl Digest {
    fn add(&mut self, value: u64) {
        for byte in value.to_be_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
}
