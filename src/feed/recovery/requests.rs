//! Holes: what to ask for, of whom, when, and which answers to believe.

use std::collections::VecDeque;

use super::super::handover::{Giver, HOLES, Hole, Item, Need};
use super::notice::{Abandoned, Log, Notice};
use super::servers::{Bucket, Servers};
use super::{Action, RequestsConfig};
use crate::wire::moldudp64::{Kind, Packet, Request};

/// Answered ranges that are remembered until the loop's need shows them. One that is forgotten is asked for twice.
const ANSWERED: usize = 64;

/// Holes that are remembered: those that the loop names, and those that it does not any more while answers may be on their
/// way.
const TRACKED: usize = 2 * HOLES;

/// Time between two calls to abandon the same, ns, where there is no time-out to go by.
const SAY_AGAIN: u64 = 10_000_000;

/// A hole of the loop's, as it was when it was first seen, and whatever it grew by since.
#[derive(Clone, Copy, Debug)]
struct Tracked {
    hole: Hole,
    /// Messages of it that the loop still misses.
    missing: u64,
    /// When it was first asked for.
    asked: Option<u64>,
    /// When the loop did not name it any more. It may come back: it was a later hole, and is not overdue by itself yet.
    gone: Option<u64>,
    /// Messages that each server brought.
    by_server: [u64; 2],
    /// How often answers seemed to fill it and did not.
    in_vain: u32,
    /// It is not asked for any further.
    abandoned: bool,
}

/// A range that was asked for, or is about to be.
#[derive(Clone, Copy, Debug)]
struct Piece {
    hole: Hole,
    server: usize,
    /// Which servers may answer: those that were asked, lately or before.
    asked_of: [bool; 2],
    /// When the answer is overdue; `None`: to be asked for as soon as the rate allows.
    until: Option<u64>,
    /// How often it was not answered.
    tries: u32,
    /// This is not the first request for it.
    again: bool,
    /// It was answered, but the loop had no room.
    no_room: bool,
}

/// A range that was answered and handed over.
#[derive(Clone, Copy, Debug)]
struct Answered {
    hole: Hole,
    at: u64,
}

/// The request side of the client.
#[derive(Debug)]
pub(super) struct Requests {
    /// `None`: there are no servers.
    config: Option<RequestsConfig>,
    /// A hole may be too large to be asked for: a snapshot is less work.
    has_snapshot: bool,
    epoch: u64,
    session: [u8; 10],
    holes: Vec<Tracked>,
    pieces: Vec<Piece>,
    answered: VecDeque<Answered>,
    servers: Servers,
    bucket: Bucket,
    /// The last word to the loop that something cannot be had, and when it was said.
    gave_up: Option<(u64, u64)>,
}

impl Requests {
    pub(super) fn new(config: Option<RequestsConfig>, has_snapshot: bool) -> Self {
        let config = config.map(RequestsConfig::clamped);
        let (servers, per_second, outstanding) = config
            .as_ref()
            .map_or((1, 1, 1), |config| (config.servers, config.per_second, config.outstanding));
        Self {
            has_snapshot,
            epoch: 0,
            session: [0; 10],
            holes: Vec::with_capacity(TRACKED),
            pieces: Vec::with_capacity(outstanding),
            answered: VecDeque::with_capacity(ANSWERED),
            servers: Servers::new(servers),
            bucket: Bucket::new(per_second, outstanding),
            gave_up: None,
            config,
        }
    }

    pub(super) fn on_need(
        &mut self,
        now: u64,
        need: &Need,
        giver: &mut Giver,
        act: &mut impl FnMut(Action<'_>),
        log: &mut Log,
    ) {
        if (need.epoch, need.session) != (self.epoch, self.session) {
            (self.epoch, self.session) = (need.epoch, need.session);
            self.pieces.clear();
            self.answered.clear();
            self.gave_up = None;
            for tracked in self.holes.drain(..) {
                closed(&tracked, now, log);
            }
        }
        self.track(now, need, log);
        self.expire(now, need, log);
        self.ask(now, need, act, log);
        self.give_up(now, need, giver);
    }

    /// Compares the holes of the loop with those known: which are gone, which are new, which are too much.
    fn track(&mut self, now: u64, need: &Need, log: &mut Log) {
        for tracked in &mut self.holes {
            tracked.missing = 0;
        }
        for hole in need.open() {
            if let Some(tracked) = self.holes.iter_mut().find(|tracked| overlap(tracked.hole, hole)) {
                tracked.missing += hole.len();
                tracked.hole.first = tracked.hole.first.min(hole.first);
                tracked.hole.end = tracked.hole.end.max(hole.end);
            }
        }
        let Self { holes, pieces, .. } = self;
        pieces.retain(|piece| {
            piece.until.is_some_and(|until| now < until) || need.open().any(|hole| overlap(hole, piece.hole))
        });
        holes.retain_mut(|tracked| {
            if tracked.missing > 0 {
                tracked.gone = None;
                return true;
            }
            tracked.gone.get_or_insert(now);
            let awaited = pieces.iter().any(|piece| overlap(piece.hole, tracked.hole));
            if !awaited {
                closed(tracked, now, log);
            }
            awaited
        });
        for hole in need.open() {
            if holes.iter().any(|tracked| overlap(tracked.hole, hole)) {
                continue;
            }
            if holes.len() >= TRACKED
                && let Some(at) = holes.iter().position(|tracked| tracked.missing == 0)
            {
                closed(&holes.remove(at), now, log);
            }
            if holes.len() < TRACKED {
                holes.push(Tracked {
                    hole,
                    missing: hole.len(),
                    asked: None,
                    gone: None,
                    by_server: [0; 2],
                    in_vain: 0,
                    abandoned: false,
                });
            }
        }
        for at in 0..self.holes.len() {
            let missing = self.holes.get(at).map_or(0, |tracked| tracked.missing);
            match &self.config {
                None => self.abandon(at, Abandoned::NoServer, log),
                Some(config) if self.has_snapshot && missing > config.max_hole => {
                    self.abandon(at, Abandoned::TooLarge, log);
                }
                Some(_) => {}
            }
        }
    }

    /// Stops asking for a hole.
    fn abandon(&mut self, at: usize, why: Abandoned, log: &mut Log) {
        let Some(tracked) = self.holes.get_mut(at).filter(|tracked| !tracked.abandoned) else { return };
        tracked.abandoned = true;
        let hole = tracked.hole;
        self.pieces.retain(|piece| !overlap(piece.hole, hole));
        log.counters.holes_abandoned += 1;
        log.tell(Notice::Abandoned { hole, why });
    }

    /// Deals with answers that did not come in time, and with those that came and changed nothing.
    fn expire(&mut self, now: u64, need: &Need, log: &mut Log) {
        let Some(RequestsConfig { timeout, retries, .. }) = self.config else { return };
        for piece in &mut self.pieces {
            if piece.until.is_none_or(|until| now < until) {
                continue;
            }
            piece.until = None;
            piece.again = true;
            if std::mem::take(&mut piece.no_room) {
                continue;
            }
            log.counters.timeouts += 1;
            self.servers.missed(piece.server);
            piece.server = self.servers.after(piece.server);
            piece.tries += 1;
        }
        while let Some(at) = self.pieces.iter().position(|piece| piece.tries > retries) {
            let piece = self.pieces.swap_remove(at);
            if let Some(at) = self.holes.iter().position(|tracked| overlap(tracked.hole, piece.hole)) {
                self.abandon(at, Abandoned::Unanswered, log);
            }
        }
        let mut in_vain = Hole::default();
        while let Some(answered) = self.answered.front()
            && now.saturating_sub(answered.at) >= timeout
        {
            if need.open().any(|hole| overlap(hole, answered.hole)) {
                in_vain = answered.hole;
            }
            self.answered.pop_front();
        }
        if let Some(at) = self.holes.iter().position(|tracked| overlap(tracked.hole, in_vain))
            && let Some(tracked) = self.holes.get_mut(at)
        {
            tracked.in_vain += 1;
            if tracked.in_vain > retries {
                self.abandon(at, Abandoned::Unanswered, log);
            }
        }
    }

    /// Sends what is to be asked for, as far as the limits allow: what was not answered, then what was never asked for.
    fn ask(&mut self, now: u64, need: &Need, act: &mut impl FnMut(Action<'_>), log: &mut Log) {
        let Some(RequestsConfig { max_messages, outstanding, .. }) = self.config else { return };
        for at in 0..self.pieces.len() {
            self.send(at, now, act, log);
        }
        for hole in need.open() {
            if self.holes.iter().any(|tracked| tracked.abandoned && overlap(tracked.hole, hole)) {
                continue;
            }
            let mut from = hole.first;
            while from < hole.end && self.pieces.len() < outstanding && self.bucket.admits(now) {
                if let Some(end) = self.covered(from) {
                    from = end;
                    continue;
                }
                let end = from.saturating_add(max_messages.into()).min(hole.end).min(self.next_covered(from));
                self.pieces.push(Piece {
                    hole: Hole { first: from, end },
                    server: self.servers.next(),
                    asked_of: [false; 2],
                    until: None,
                    tries: 0,
                    again: false,
                    no_room: false,
                });
                self.send(self.pieces.len() - 1, now, act, log);
                from = end;
            }
        }
    }

    /// All that is asked for or was answered.
    fn known(&self) -> impl Iterator<Item = Hole> + '_ {
        let pieces = self.pieces.iter().map(|piece| piece.hole);
        pieces.chain(self.answered.iter().map(|answered| answered.hole))
    }

    /// Where what is known around `sequence` ends; `None` if it is not known.
    fn covered(&self, sequence: u64) -> Option<u64> {
        self.known().find(|known| known.first <= sequence && sequence < known.end).map(|known| known.end)
    }

    /// Where the next known range after `sequence` begins.
    fn next_covered(&self, sequence: u64) -> u64 {
        self.known().map(|known| known.first).filter(|first| *first > sequence).min().unwrap_or(u64::MAX)
    }

    /// Sends a piece that waits to be, if the rate allows.
    fn send(&mut self, at: usize, now: u64, act: &mut impl FnMut(Action<'_>), log: &mut Log) {
        let timeout = self.config.as_ref().map_or(0, |config| config.timeout);
        let Some(piece) = self.pieces.get_mut(at).filter(|piece| piece.until.is_none()) else { return };
        if !self.bucket.take(now) {
            return;
        }
        piece.until = Some(now.saturating_add(timeout));
        if let Some(asked) = piece.asked_of.get_mut(piece.server) {
            *asked = true;
        }
        log.counters.requests += 1;
        log.counters.requests_again += u64::from(piece.again);
        // A piece is never longer than a request can ask for.
        let count = u16::try_from(piece.hole.len()).unwrap_or(u16::MAX);
        let request = Request { session: self.session, sequence: piece.hole.first, count };
        let mut payload = [0; 20];
        if request.emit(&mut payload).is_ok() {
            act(Action::Request { server: piece.server, payload });
        }
        let hole = piece.hole;
        for tracked in &mut self.holes {
            if tracked.asked.is_none() && overlap(tracked.hole, hole) {
                tracked.asked = Some(now);
                log.counters.holes_asked += 1;
                log.tell(Notice::Asked { hole: tracked.hole });
            }
        }
    }

    /// Tells the loop that its first hole cannot be had, now and then until it is gone.
    fn give_up(&mut self, now: u64, need: &Need, giver: &mut Giver) {
        let Some(first) = need.open().next() else { return };
        let abandoned = self.holes.iter().find(|tracked| tracked.abandoned && overlap(tracked.hole, first));
        let Some(end) = abandoned.map(|tracked| tracked.hole.end) else { return };
        let pause = self.config.as_ref().map_or(SAY_AGAIN, |config| config.timeout);
        if self.gave_up.is_some_and(|(before, at)| before == end && now.saturating_sub(at) < pause) {
            return;
        }
        if giver.give(&Item::Abandon { epoch: self.epoch, end }) {
            self.gave_up = Some((end, now));
        }
    }

    pub(super) fn on_answer(
        &mut self,
        now: u64,
        server: usize,
        payload: &[u8],
        giver: &mut Giver,
        log: &mut Log,
    ) {
        let packet = match Packet::new_checked(payload) {
            Ok(packet) if packet.sequence() > 0 => packet,
            _ => {
                log.counters.answers_malformed += 1;
                return;
            }
        };
        if packet.session() != self.session {
            log.counters.answers_wrong_session += 1;
            return;
        }
        if packet.kind() != Kind::Data {
            log.counters.answers_not_data += 1;
            return;
        }
        let first = packet.sequence();
        let came = Hole { first, end: first + u64::from(packet.count()) };
        let fits =
            |piece: &Piece| piece.asked_of.get(server).copied().unwrap_or(false) && overlap(piece.hole, came);
        if !self.pieces.iter().any(fits) {
            log.counters.answers_unasked += 1;
            return;
        }
        if !giver.give(&Item::Packet { epoch: self.epoch, payload }) {
            log.counters.answers_no_room += 1;
            for piece in self.pieces.iter_mut().filter(|piece| fits(piece)) {
                piece.no_room = true;
            }
            return;
        }
        log.counters.answers += 1;
        log.counters.answer_messages += u64::from(packet.count());
        self.servers.answered(server);
        for at in 0..self.pieces.len() {
            let Some(piece) = self.pieces.get_mut(at).filter(|piece| fits(piece)) else { continue };
            let part = Hole { first: came.first.max(piece.hole.first), end: came.end.min(piece.hole.end) };
            if part.first > piece.hole.first {
                // What comes before it may be on its way; what comes after will be asked for anew.
                piece.hole.end = part.first;
            } else {
                // As much as fitted a packet: the rest has to be asked for.
                piece.hole.first = part.end;
                piece.until = None;
                piece.again = true;
                piece.server = server;
            }
            self.note_answer(part, server, now);
        }
        self.pieces.retain(|piece| !piece.hole.is_empty());
    }

    fn note_answer(&mut self, part: Hole, server: usize, now: u64) {
        for tracked in self.holes.iter_mut().filter(|tracked| overlap(tracked.hole, part)) {
            if let Some(messages) = tracked.by_server.get_mut(server) {
                *messages += part.len();
            }
        }
        if let Some(last) = self.answered.back_mut()
            && last.hole.end == part.first
            && last.at == now
        {
            last.hole.end = part.end;
            return;
        }
        if self.answered.len() >= ANSWERED {
            self.answered.pop_front();
        }
        self.answered.push_back(Answered { hole: part, at: now });
    }

    /// Holes that are open, and messages missing in them.
    pub(super) fn open(&self) -> (usize, u64) {
        let missing = self.holes.iter().map(|tracked| tracked.missing);
        (missing.clone().filter(|missing| *missing > 0).count(), missing.sum())
    }

    pub(super) fn outstanding(&self) -> usize {
        self.pieces.iter().filter(|piece| piece.until.is_some()).count()
    }
}

impl RequestsConfig {
    /// With every value inside its range.
    fn clamped(self) -> Self {
        Self {
            servers: self.servers.clamp(1, 2),
            max_messages: self.max_messages.clamp(1, 65_534),
            timeout: self.timeout.max(1),
            per_second: self.per_second.max(1),
            outstanding: self.outstanding.clamp(1, 64),
            ..self
        }
    }
}

const fn overlap(one: Hole, other: Hole) -> bool {
    one.first < other.end && other.first < one.end && !one.is_empty() && !other.is_empty()
}

/// A hole is no more.
fn closed(tracked: &Tracked, now: u64, log: &mut Log) {
    let Tracked { hole, asked: Some(asked), gone, by_server, abandoned: false, .. } = *tracked else {
        return;
    };
    let took = gone.unwrap_or(now).saturating_sub(asked);
    let answered = by_server.iter().sum();
    if answered >= hole.len() {
        log.counters.holes_filled += 1;
        log.tell(Notice::Filled { hole, took, by_server });
    } else {
        log.counters.holes_closed += 1;
        log.tell(Notice::Closed { hole, answered, took });
    }
}
