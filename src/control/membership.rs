//! Membership of multicast groups by IGMP, the host's part, for one port: versions 1 (RFC 1112), 2 (RFC 2236) and 3
//! (RFC 3376). Sans-IO: packets and the time (ns that never go back) come in, whole frames come out.
//!
//! Each VLAN is an interface of its own, with its own querier, version and timers; frames leave tagged as their line is.
//! Groups are joined and left together. A group with configured sources is asked for in INCLUDE mode (version 3), others
//! in EXCLUDE mode with no source excluded.
//!
//! What the RFCs leave open is settled so:
//! - Reports of other members suppress none of ours (RFC 3376, 7.2.2 allows either): a switch that snoops needs a report
//!   from every port.
//! - Queries need no router-alert option, since cheap queriers send none. Their destination is looked at.
//! - Between two answers of the same timer pass at least [`SPACING`] ns: a flood of queries makes no flood of reports.

use std::net::Ipv4Addr;

use super::random::Random;
use crate::wire::ethernet::Mac;
use crate::wire::frame::{IgmpPacket, emit_igmp};
use crate::wire::igmp::{
    ALL_ROUTERS, ALL_SYSTEMS, ALL_V3_ROUTERS, Message, Query, Record, RecordKind, emit_leave, emit_v1_report,
    emit_v2_report, emit_v3_report,
};

mod counters;
mod segment;

pub use counters::MembershipCounters;
use segment::{Change, Segment};

/// Least time between two answers of the same timer, ns.
pub const SPACING: u64 = 100_000_000;

/// Repeats of a leave come within so many ns each: whoever leaves does not stay for long.
const LEAVE_REPEAT: u64 = 100_000_000;
/// RFC 3376, 8.11.
const V3_UNSOLICITED: u64 = 1_000_000_000;
/// RFC 2236, 8.10.
const V2_UNSOLICITED: u64 = 10_000_000_000;
/// RFC 3376, 8.2.
const QUERY_INTERVAL: u64 = 125_000_000_000;
/// One tenth of a second, the unit of response times.
const TENTH: u64 = 100_000_000;

/// Shortest Ethernet frame, without FCS.
const SHORTEST_FRAME: usize = 60;
/// Room for any message that is sent: one record for each group of a VLAN.
const LONGEST_MESSAGE: usize = 1_400;

/// Which version is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speak {
    /// Version 3, and an older querier's version while one is heard (RFC 3376, 7.2.1).
    Auto,
    /// Version 3 to everybody: nobody can talk us down to a version without sources.
    V3,
    /// Version 2, and version 1 while a querier of version 1 is heard (RFC 2236, 4).
    V2,
}

/// A group that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The group.
    pub group: Ipv4Addr,
    /// The VLAN it comes in; `None` = untagged.
    pub vlan: Option<u16>,
    /// The only sender that is wanted; `None` = any.
    pub source: Option<Ipv4Addr>,
}

/// Who joins what.
#[derive(Clone, Debug)]
pub struct MembershipConfig {
    /// Our hardware address.
    pub mac: Mac,
    /// Our address; 0.0.0.0 where the port has none (RFC 3376, 4.2.13).
    pub ip: Ipv4Addr,
    /// Which version is spoken.
    pub speak: Speak,
    /// How often a report of a change is sent.
    pub robustness: u8,
    /// The groups.
    pub wanted: Vec<Wanted>,
    /// Of the random delays.
    pub seed: u64,
}

/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// A frame to transmit.
    Frame(&'a [u8]),
    /// For the log: the version spoken in a VLAN changed.
    Version {
        /// The VLAN.
        vlan: Option<u16>,
        /// The version from now on.
        version: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Out,
    Joined,
    Leaving,
}

/// See the module.
#[derive(Debug)]
pub struct Membership {
    speak: Speak,
    robustness: u8,
    phase: Phase,
    segments: Vec<Segment>,
    random: Random,
    desk: Desk,
}

/// Writes what is sent.
#[derive(Debug)]
struct Desk {
    mac: Mac,
    ip: Ipv4Addr,
    frame: Vec<u8>,
    counters: MembershipCounters,
}

impl Membership {
    /// Not joined yet. 224.0.0.1, which every host is a member of, is never reported (RFC 3376, 5).
    #[must_use]
    pub fn new(config: &MembershipConfig) -> Self {
        let version = if config.speak == Speak::V2 { 2 } else { 3 };
        let mut segments: Vec<Segment> = Vec::new();
        for wanted in config.wanted.iter().filter(|wanted| wanted.group != ALL_SYSTEMS) {
            let at = segments.iter().position(|segment| segment.vlan == wanted.vlan).unwrap_or_else(|| {
                segments.push(Segment::new(wanted.vlan, version));
                segments.len() - 1
            });
            if let Some(segment) = segments.get_mut(at) {
                segment.want(wanted.group, wanted.source);
            }
        }
        Self {
            speak: config.speak,
            robustness: config.robustness.max(1),
            phase: Phase::Out,
            segments,
            random: Random::new(config.seed),
            desk: Desk {
                mac: config.mac,
                ip: config.ip,
                frame: Vec::new(),
                counters: MembershipCounters::default(),
            },
        }
    }

    /// Joins all groups: a report at once, repeats later (RFC 3376, 5.1; RFC 2236, 3).
    pub fn join(&mut self, now: u64, out: &mut dyn FnMut(Output<'_>)) {
        self.phase = Phase::Joined;
        for segment in &mut self.segments {
            segment.change = Some(Change { left: self.robustness, due: now });
        }
        self.tick(now, out);
    }

    /// Leaves all groups. [`Membership::tick`] sends the repeats until [`Membership::has_left`].
    pub fn leave(&mut self, now: u64, out: &mut dyn FnMut(Output<'_>)) {
        if self.phase != Phase::Joined {
            return;
        }
        self.phase = Phase::Leaving;
        for segment in &mut self.segments {
            segment.cancel();
            // Version 1 knows no leave; that of version 2 is said once (RFC 2236, 3).
            let left = match segment.version {
                1 => 0,
                2 => 1,
                _ => self.robustness,
            };
            segment.change = (left > 0).then_some(Change { left, due: now });
        }
        self.tick(now, out);
    }

    /// True where nothing more is to be said: never joined, or left with all repeats.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.phase != Phase::Joined && self.segments.iter().all(|segment| segment.change.is_none())
    }

    /// Takes a packet up. Answers are sent by [`Membership::tick`].
    pub fn on_packet(&mut self, now: u64, packet: &IgmpPacket<'_>, out: &mut dyn FnMut(Output<'_>)) {
        let counters = &mut self.desk.counters;
        let Some(at) = self.segments.iter().position(|segment| segment.vlan == packet.vlan) else {
            counters.other_vlan += 1;
            return;
        };
        match packet.message {
            Err(_) => counters.unreadable += 1,
            Ok(Message::Query(query)) => self.on_query(now, at, packet.dst, &query, out),
            Ok(Message::V1Report(_) | Message::V2Report(_) | Message::V3Report(_) | Message::Leave(_)) => {
                counters.of_others += 1;
            }
            Ok(Message::Unknown(_)) => counters.unknown += 1,
        }
    }

    /// A frame that is no IGMP packet came to be taken for one: counted.
    pub fn on_unreadable(&mut self) {
        self.desk.counters.unreadable += 1;
    }

    fn on_query(
        &mut self,
        now: u64,
        at: usize,
        dst: Ipv4Addr,
        query: &Query<'_>,
        out: &mut dyn FnMut(Output<'_>),
    ) {
        let Self { segments, desk, random, speak, robustness, phase } = self;
        let Some(segment) = segments.get_mut(at) else { return };
        let general = query.group.is_unspecified();
        let to_us = dst == ALL_SYSTEMS || (dst == desk.ip && !dst.is_unspecified());
        if !(to_us || (!general && dst == query.group)) {
            desk.counters.misdirected += 1;
            return;
        }
        if general {
            desk.counters.general_queries += 1;
            // RFC 3376, 7.2.1 and 8.12.
            let until = now + u64::from(*robustness) * QUERY_INTERVAL + response_time(query);
            match (query.version, *speak) {
                (1, Speak::Auto | Speak::V2) => segment.v1_until = until,
                (2, Speak::Auto) => segment.v2_until = until,
                _ => {}
            }
            refresh(segment, now, *speak, &mut desk.counters, out);
        } else if segment.groups.iter().any(|group| group.group == query.group) {
            desk.counters.group_queries += 1;
        } else {
            desk.counters.of_others += 1;
            return;
        }
        if *phase == Phase::Joined {
            // RFC 3376, 5.2, and RFC 2236, 3: at a random moment, in (0, the response time].
            let longest = response_time(query);
            let delay = random.up_to(longest);
            let held = if segment.version == 3 {
                segment.on_v3_query(now + delay, query)
            } else {
                segment.on_v2_query(now, longest, query.group, random)
            };
            desk.counters.answers_held += held;
        }
    }

    /// Sends what is due.
    pub fn tick(&mut self, now: u64, out: &mut dyn FnMut(Output<'_>)) {
        let Self { segments, desk, random, speak, phase, .. } = self;
        let joined = *phase == Phase::Joined;
        for segment in segments {
            refresh(segment, now, *speak, &mut desk.counters, out);
            if segment.change.is_some_and(|change| change.due <= now) {
                desk.change(segment, joined, out);
                let interval = match (joined, segment.version) {
                    (false, _) => LEAVE_REPEAT,
                    (true, 3) => V3_UNSOLICITED,
                    (true, _) => V2_UNSOLICITED,
                };
                segment.changed(now + random.up_to(interval));
            }
            if segment.general.due.is_some_and(|due| due <= now) {
                segment.general.answered(now);
                desk.current_state(segment, out);
            }
            for at in 0..segment.groups.len() {
                if let Some(about) = segment.take_due(at, now) {
                    desk.answer(segment, at, &about, out);
                }
            }
        }
    }

    /// When [`Membership::tick`] has something to do next; `None`: not before the next packet.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.segments.iter().filter_map(Segment::next_due).min()
    }

    /// The oldest version that is spoken in a VLAN of ours; 0 where no group is wanted.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.segments.iter().map(|segment| segment.version).min().unwrap_or(0)
    }

    /// What was heard and said.
    #[must_use]
    pub fn counters(&self) -> &MembershipCounters {
        &self.desk.counters
    }
}

/// The version in force in `segment` as of now. A change cancels all that is pending (RFC 3376, 7.2.1).
fn refresh(
    segment: &mut Segment,
    now: u64,
    speak: Speak,
    counters: &mut MembershipCounters,
    out: &mut dyn FnMut(Output<'_>),
) {
    let version = match speak {
        Speak::V3 => 3,
        Speak::Auto | Speak::V2 if now < segment.v1_until => 1,
        Speak::V2 => 2,
        Speak::Auto if now < segment.v2_until => 2,
        Speak::Auto => 3,
    };
    if version != segment.version {
        segment.version = version;
        segment.cancel();
        counters.version_changes += 1;
        out(Output::Version { vlan: segment.vlan, version });
    }
}

fn response_time(query: &Query<'_>) -> u64 {
    u64::from(query.max_response_tenths) * TENTH
}

impl Desk {
    /// Says that all groups of `segment` were joined or left.
    fn change(&mut self, segment: &Segment, joined: bool, out: &mut dyn FnMut(Output<'_>)) {
        if segment.version == 3 {
            let records = segment.groups.iter().map(|group| Record {
                kind: match (joined, group.sources.is_empty()) {
                    (true, true) => RecordKind::ChangeToExclude,
                    (true, false) => RecordKind::AllowNewSources,
                    (false, true) => RecordKind::ChangeToInclude,
                    (false, false) => RecordKind::BlockOldSources,
                },
                group: group.group,
                sources: &group.sources,
            });
            self.v3_report(segment.vlan, &records.collect::<Vec<_>>(), out);
            self.counters.leaves_sent += u64::from(!joined);
            return;
        }
        for group in &segment.groups {
            if joined {
                self.old_report(segment, group.group, out);
            } else {
                self.message(segment.vlan, ALL_ROUTERS, out, |room| emit_leave(room, group.group).ok());
                self.counters.leaves_sent += 1;
            }
        }
    }

    /// Answers a general query in version 3.
    fn current_state(&mut self, segment: &Segment, out: &mut dyn FnMut(Output<'_>)) {
        let records: Vec<_> = segment.groups.iter().map(segment::Group::state).collect();
        self.v3_report(segment.vlan, &records, out);
    }

    /// Answers a query about one group, and in version 3 perhaps about some of its sources.
    fn answer(&mut self, segment: &Segment, at: usize, about: &[Ipv4Addr], out: &mut dyn FnMut(Output<'_>)) {
        let Some(group) = segment.groups.get(at) else { return };
        if segment.version != 3 {
            return self.old_report(segment, group.group, out);
        }
        if about.is_empty() {
            return self.v3_report(segment.vlan, &[group.state()], out);
        }
        // RFC 3376, 5.2: of the sources asked about, those that are wanted; none: no answer.
        let wanted: Vec<_> = about.iter().copied().filter(|source| group.wants(*source)).collect();
        if !wanted.is_empty() {
            let record = Record { kind: RecordKind::ModeIsInclude, group: group.group, sources: &wanted };
            self.v3_report(segment.vlan, &[record], out);
        }
    }

    fn old_report(&mut self, segment: &Segment, group: Ipv4Addr, out: &mut dyn FnMut(Output<'_>)) {
        let emit = if segment.version == 1 { emit_v1_report } else { emit_v2_report };
        self.message(segment.vlan, group, out, |room| emit(room, group).ok());
        self.counters.reports_sent += 1;
    }

    fn v3_report(&mut self, vlan: Option<u16>, records: &[Record<'_>], out: &mut dyn FnMut(Output<'_>)) {
        self.message(vlan, ALL_V3_ROUTERS, out, |room| emit_v3_report(room, records).ok());
        self.counters.reports_sent += 1;
    }

    fn message(
        &mut self,
        vlan: Option<u16>,
        dst: Ipv4Addr,
        out: &mut dyn FnMut(Output<'_>),
        emit: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) {
        let mut message = [0; LONGEST_MESSAGE];
        let Some(message) = emit(&mut message).and_then(|len| message.get(..len)) else { return };
        self.frame.clear();
        self.frame.resize(LONGEST_MESSAGE + SHORTEST_FRAME, 0);
        if let Ok(len) = emit_igmp(&mut self.frame, self.mac, vlan, (self.ip, dst), message) {
            // Not every driver fills up what is too short for Ethernet.
            out(Output::Frame(self.frame.get(..len.max(SHORTEST_FRAME)).unwrap_or_default()));
        }
    }
}

#[cfg(test)]
mod tests;
