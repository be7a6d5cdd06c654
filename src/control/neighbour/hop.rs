//! The next hop: asked for, known, asked again, forgotten.
//!
//! A hardware address is believed where it answers a request to all, and only while nobody who was believed before still
//! answers. Whatever else is said about the next hop (announcements, requests of its own, answers that nobody asked for)
//! only makes us ask: first the one that is known, then, if that is silent for a second, all. So a router that is
//! replaced is followed within about two seconds, and one that is there cannot be talked away.

use std::net::Ipv4Addr;

use super::{DEFEND_INTERVAL, Notice, Output, Own, SECOND};
use crate::wire::ethernet::Mac;

/// What is known is asked again after this time, ns.
pub(super) const REFRESH: u64 = 30 * SECOND;
/// Requests to the one that is known, before all are asked. RFC 1122, 2.3.2.1 (2), names two.
pub(super) const POLLS: u32 = 2;
/// Unanswered requests after which what was known is forgotten.
pub(super) const PATIENCE: u32 = 6;
/// Longest pause between two requests for what is not known, in s: 1, 1, 2, 4, 8, 8, …
const LONGEST_PAUSE_SHIFT: u32 = 3;

/// Who is asked for, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The next hop's address.
    pub ip: Ipv4Addr,
    /// The VLAN it is in; `None` = untagged.
    pub vlan: Option<u16>,
    /// Our address on that VLAN.
    pub from: Own,
}

/// Who is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    All,
    Only(Mac),
}

#[derive(Debug)]
pub(super) struct Hop {
    pub(super) peer: Peer,
    mac: Option<Mac>,
    /// Requests since the last answer.
    tries: u32,
    /// When to ask next; `None` before the start.
    next: Option<u64>,
    /// When was asked last.
    asked: u64,
    /// No notice of a contest before this moment.
    quiet_until: u64,
}

impl Hop {
    pub(super) const fn new(peer: Peer) -> Self {
        Self { peer, mac: None, tries: 0, next: None, asked: 0, quiet_until: 0 }
    }

    pub(super) const fn start(&mut self, now: u64) {
        self.next = Some(now);
    }

    pub(super) const fn mac(&self) -> Option<Mac> {
        self.mac
    }

    pub(super) const fn next_due(&self) -> Option<u64> {
        self.next
    }

    /// Whom to ask now, if anybody.
    pub(super) fn tick(&mut self, now: u64, out: &mut dyn FnMut(Output<'_>)) -> Option<Ask> {
        self.next.filter(|next| *next <= now)?;
        if self.mac.is_some() && self.tries >= PATIENCE {
            self.mac = None;
            self.tries = 0;
            out(Output::NextHop(None));
            out(Output::Notice(Notice::Lost));
        }
        let ask = match self.mac {
            Some(mac) if self.tries < POLLS => Ask::Only(mac),
            _ => Ask::All,
        };
        if self.mac.is_none() && (self.tries == 1 || (self.tries > 0 && self.tries.is_multiple_of(8))) {
            out(Output::Notice(Notice::Silent(self.tries)));
        }
        let pause = match self.mac {
            Some(_) => SECOND,
            None => SECOND << self.tries.saturating_sub(1).min(LONGEST_PAUSE_SHIFT),
        };
        self.tries = self.tries.saturating_add(1);
        self.asked = now;
        self.next = Some(now + pause);
        Some(ask)
    }

    /// `mac` says that it is the next hop; `answer`: to us. True where that is believed.
    pub(super) fn hear(&mut self, now: u64, mac: Mac, answer: bool, out: &mut dyn FnMut(Output<'_>)) -> bool {
        let asked_all = self.tries > if self.mac.is_some() { POLLS } else { 0 };
        match self.mac {
            Some(known) if known == mac => {}
            Some(known) if answer && asked_all => {
                out(Output::NextHop(Some(mac)));
                out(Output::Notice(Notice::Changed { from: known, to: mac }));
            }
            None if answer && asked_all => {
                out(Output::NextHop(Some(mac)));
                out(Output::Notice(Notice::Resolved(mac)));
            }
            known => {
                self.doubt(now, known, mac, out);
                return false;
            }
        }
        self.mac = Some(mac);
        self.tries = 0;
        self.next = Some(now + REFRESH);
        true
    }

    /// Asks as soon as is allowed (RFC 1122, 2.3.2.1: once a second): whoever spoke may be right.
    fn doubt(&mut self, now: u64, known: Option<Mac>, mac: Mac, out: &mut dyn FnMut(Output<'_>)) {
        let soon = now.max(self.asked.saturating_add(SECOND));
        self.next = self.next.map(|next| next.min(soon));
        if known.is_some() {
            // One request to the one that is known is enough of a doubt.
            self.tries = self.tries.max(POLLS - 1);
            if now >= self.quiet_until {
                self.quiet_until = now + DEFEND_INTERVAL;
                out(Output::Notice(Notice::Contested(mac)));
            }
        }
    }
}
