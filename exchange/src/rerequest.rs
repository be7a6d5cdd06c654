//! A request server: what was lost on the lines can be had here, one datagram at a time (MoldUDP64 1.00).
//!
//! A request is 20 bytes: session, first sequence (u64), count (u16). The answer is a normal downstream packet, sent to
//! where the request came from: as many whole messages as were asked for, as fit one datagram, and as the server's own
//! limit allows; the client asks again for the rest. A request that cannot be served is counted by kind and not
//! answered, as a real server does it: silence is the only "no" that the protocol has.
//!
//! Times are ns that never go back. Everything is bounded: requests under way, and askers whose rate is watched. Answers leave in
//! the order of their requests. With a [`Fault`] it misbehaves as told; what is random about that comes from the seed.

mod counters;
mod fault;
#[cfg(test)]
mod tests;

pub use counters::RequestCounters;
pub use fault::Fault;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;

use crate::archive::Archive;
use crate::mold::{DEFAULT_LIMIT, HEADER};
use crate::rng::Rng;

/// Bytes of a request.
const REQUEST: usize = 20;
/// How far a client may run ahead of its rate, ns.
const BURST: u64 = 100_000_000;

/// What a request server is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most messages in an answer, at least 1.
    pub max_messages: u16,
    /// The longest payload of an answer, bytes.
    pub limit: usize,
    /// Requests a second that are answered, all askers together; 0 for no limit. A tenth of a second's worth may come
    /// at once.
    pub per_second: u32,
    /// The same for each asker (address and port).
    pub per_asker: u32,
    /// Ns from a request to its answer.
    pub delay_ns: u64,
    /// Ns between two answers at least.
    pub pace_ns: u64,
    /// The most requests under way; more are dropped.
    pub queue: usize,
    /// The most askers that are served at the same time.
    pub askers: usize,
    /// Ns after the end of the session for which requests are still answered.
    pub after_end_ns: u64,
    /// Seed of what is random about faults.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_messages: u16::MAX,
            limit: DEFAULT_LIMIT,
            per_second: 0,
            per_asker: 0,
            delay_ns: 200_000,
            pace_ns: 0,
            queue: 1_024,
            askers: 256,
            after_end_ns: 30_000_000_000,
            seed: 1,
        }
    }
}

/// A request that will be answered.
#[derive(Clone, Copy, Debug)]
struct Pending {
    due: u64,
    to: SocketAddrV4,
    first: u64,
    count: u16,
    fault: Option<Fault>,
}

/// Answers requests from an [`Archive`]. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Server {
    config: Config,
    pending: VecDeque<Pending>,
    /// When the last answer that was queued will leave.
    last_due: u64,
    /// All together, then each asker.
    rate: Rate,
    askers: BTreeMap<SocketAddrV4, Rate>,
    ended: Option<u64>,
    fault: Option<Fault>,
    rng: Rng,
    packet: Vec<u8>,
    counters: RequestCounters,
}

/// A rate watched without a table of times: when the next request would come if they came evenly.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    next: u64,
}

impl Rate {
    fn takes(self, now: u64, per_second: u32) -> bool {
        per_second == 0 || self.next <= now.saturating_add(BURST)
    }

    fn take(&mut self, now: u64, per_second: u32) {
        if per_second > 0 {
            self.next = self.next.max(now).saturating_add(1_000_000_000 / u64::from(per_second));
        }
    }
}

impl Server {
    /// A server that nobody has asked anything.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let limit = config.limit.clamp(HEADER + 2, usize::from(u16::MAX));
        let config = Config { limit, max_messages: config.max_messages.max(1), ..config };
        Self {
            config,
            pending: VecDeque::new(),
            last_due: 0,
            rate: Rate::default(),
            askers: BTreeMap::new(),
            ended: None,
            fault: None,
            rng: Rng::stream(config.seed, 0x7265_7175),
            packet: Vec::new(),
            counters: RequestCounters::default(),
        }
    }

    /// Reads a request. Its answer comes from [`Server::tick`].
    pub fn on_request(&mut self, now: u64, from: SocketAddrV4, payload: &[u8], archive: &Archive) {
        self.counters.requests += 1;
        let counters = &mut self.counters;
        let refused = match read(payload) {
            Err(Length::Short) => &mut counters.truncated,
            Err(Length::Long) => &mut counters.oversized,
            Ok((session, ..)) if session != archive.session() => &mut counters.other_session,
            Ok((.., 0)) => &mut counters.empty,
            Ok((_, first, _)) if first >= archive.next() => &mut counters.beyond,
            Ok((_, first, _)) if first < archive.first() => &mut counters.gone,
            Ok((_, first, count)) => {
                self.take_in(now, from, first, count);
                return;
            }
        };
        *refused += 1;
    }

    /// A request that can be served: may this asker have it now?
    fn take_in(&mut self, now: u64, from: SocketAddrV4, first: u64, count: u16) {
        let Config { per_second, per_asker, .. } = self.config;
        let counters = &mut self.counters;
        if self.askers.len() >= self.config.askers && !self.askers.contains_key(&from) {
            // One that asked so long ago that its rate is at rest loses nothing by being forgotten.
            self.askers.retain(|_, rate| rate.next > now);
        }
        let refused = if self.ended.is_some_and(|at| now.saturating_sub(at) > self.config.after_end_ns) {
            &mut counters.after_end
        } else if self.fault == Some(Fault::Silent) {
            &mut counters.ignored
        } else if !self.rate.takes(now, per_second) {
            &mut counters.over_rate
        } else if self.askers.get(&from).is_some_and(|rate| !rate.takes(now, per_asker)) {
            &mut counters.over_own_rate
        } else if self.askers.len() >= self.config.askers && !self.askers.contains_key(&from) {
            &mut counters.refused_askers
        } else if self.pending.len() >= self.config.queue {
            &mut counters.queue_full
        } else {
            self.rate.take(now, per_second);
            self.askers.entry(from).or_default().take(now, per_asker);
            let slower = if let Some(Fault::Slow(ns)) = self.fault { ns } else { 0 };
            let due = now.saturating_add(self.config.delay_ns).saturating_add(slower);
            self.last_due = due.max(self.last_due.saturating_add(self.config.pace_ns));
            let count = count.min(self.config.max_messages);
            self.pending.push_back(Pending { due: self.last_due, to: from, first, count, fault: self.fault });
            return;
        };
        *refused += 1;
    }

    /// Hands out the answers that are due.
    pub fn tick(&mut self, now: u64, archive: &Archive, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        while let Some(pending) = self.pending.front().copied().filter(|pending| pending.due <= now) {
            self.pending.pop_front();
            self.answer(&pending, archive, out);
        }
    }

    fn answer(&mut self, pending: &Pending, archive: &Archive, out: &mut impl FnMut(SocketAddrV4, &[u8])) {
        let Pending { to, first, count, fault, .. } = *pending;
        let count = if fault == Some(Fault::Partial) { 1 } else { count };
        let Self { packet, counters, rng, config, .. } = self;
        let messages = fill(packet, archive, first, count, config.limit);
        if messages == 0 {
            // Dropped from the archive (or the session over) while the request waited; or longer than a packet.
            counters.gone += 1;
            return;
        }
        counters.answers += 1;
        counters.messages += u64::from(messages);
        if let Some(fault) = fault {
            counters.faulty += 1;
            if fault == Fault::Unasked {
                fault::unasked(rng, archive, config.limit, &mut |packet| out(to, packet));
            }
            fault::spoil(fault, packet, config.limit, rng);
            if fault == Fault::Twice {
                out(to, packet);
            }
        }
        out(to, packet);
    }

    /// When [`Server::tick`] has something to hand out; `u64::MAX` when nobody waits.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        self.pending.front().map_or(u64::MAX, |pending| pending.due)
    }

    /// From now on it misbehaves in this way, or not at all. Requests already taken in are answered as they would have been.
    pub fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
    }

    /// The session is over: requests are answered for a while yet.
    pub fn end_of_session(&mut self, now: u64) {
        self.ended.get_or_insert(now);
    }

    /// A new session has begun; nobody waits for answers from the old one any more.
    pub fn begin_session(&mut self) {
        self.ended = None;
        self.pending.clear();
    }

    /// Counters.
    #[must_use]
    pub fn counters(&self) -> &RequestCounters {
        &self.counters
    }
}

/// What is wrong with the length of a request.
enum Length {
    Short,
    Long,
}

/// Session, first sequence, count.
fn read(payload: &[u8]) -> Result<([u8; 10], u64, u16), Length> {
    let Some((request, rest)) = payload.split_first_chunk::<REQUEST>() else { return Err(Length::Short) };
    let [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, first @ .., c0, c1] = *request;
    let session = [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9];
    if rest.is_empty() {
        Ok((session, u64::from_be_bytes(first), u16::from_be_bytes([c0, c1])))
    } else {
        Err(Length::Long)
    }
}

/// Writes a packet of at most `count` messages and `limit` bytes. Returns the messages in it.
fn fill(packet: &mut Vec<u8>, archive: &Archive, first: u64, count: u16, limit: usize) -> u16 {
    packet.clear();
    packet.extend_from_slice(&archive.session());
    packet.extend_from_slice(&first.to_be_bytes());
    packet.extend_from_slice(&[0, 0]);
    let mut messages = 0;
    while messages < count
        && let Some(message) = archive.get(first + u64::from(messages))
        && let Ok(len) = u16::try_from(message.len())
        && packet.len() + 2 + message.len() <= limit
    {
        packet.extend_from_slice(&len.to_be_bytes());
        packet.extend_from_slice(message);
        messages += 1;
    }
    packet[18..HEADER].copy_from_slice(&messages.to_be_bytes());
    messages
}
