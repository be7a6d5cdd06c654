//! The servers that give back what the lines lost: two request servers, and snapshots.

use std::net::SocketAddrV4;

use super::Output;
use super::fault::FaultCounters;
use super::feed::Feed;
use crate::glimpse;
use crate::market::Market;
use crate::rerequest;
use crate::soup::{self, ConnId};

/// Request servers: one beside each line. Both hold the whole session.
pub const REQUEST_SERVERS: usize = 2;

/// The servers.
#[derive(Clone, Debug)]
pub(super) struct Recovery {
    pub(super) requests: [rerequest::Server; REQUEST_SERVERS],
    pub(super) glimpse: glimpse::Server,
}

impl Recovery {
    pub(super) fn new(
        requests: [rerequest::Config; REQUEST_SERVERS],
        glimpse: &glimpse::Config,
        session: [u8; 10],
    ) -> Self {
        let soup = soup::Config { session, ..glimpse.soup };
        Self {
            requests: requests.map(rerequest::Server::new),
            glimpse: glimpse::Server::new(glimpse::Config { soup, ..glimpse.clone() }),
        }
    }

    pub(super) fn on_request(
        &mut self,
        now: u64,
        server: usize,
        from: SocketAddrV4,
        payload: &[u8],
        feed: &Feed,
    ) {
        if let Some(server) = self.requests.get_mut(server) {
            server.on_request(now, from, payload, &feed.archive);
        }
    }

    /// Bytes for the snapshot server. A snapshot is taken between two steps of the market: it contains every message
    /// that has a sequence, those that wait in the packet under way too, and names the next one.
    pub(super) fn on_bytes(
        &mut self,
        now: u64,
        conn: ConnId,
        bytes: &[u8],
        market: &Market,
        feed: &Feed,
        out: &mut impl FnMut(soup::Output<'_>),
    ) {
        let mut take = |say: &mut dyn FnMut(&[u8])| {
            market.snapshot(&mut |message: &[u8]| say(message));
            feed.publisher.next_sequence()
        };
        self.glimpse.on_bytes(now, conn, bytes, &mut take, out);
    }

    /// Hands out the answers of the request servers; none while the link is `down`.
    pub(super) fn answer(
        &mut self,
        now: u64,
        feed: &Feed,
        down: bool,
        counters: &mut FaultCounters,
        out: &mut impl FnMut(Output<'_>),
    ) {
        for (server, requests) in self.requests.iter_mut().enumerate() {
            requests.tick(now, &feed.archive, &mut |to, payload| {
                if down {
                    counters.swallowed_out += 1;
                } else {
                    out(Output::Answer { server, to, payload });
                }
            });
        }
    }

    pub(super) fn next_due(&self) -> u64 {
        let requests = self.requests.iter().map(rerequest::Server::next_due);
        requests.fold(self.glimpse.next_due(), u64::min)
    }

    /// One server, or all.
    pub(super) fn set_requests_fault(&mut self, server: Option<usize>, fault: Option<rerequest::Fault>) {
        for (index, requests) in self.requests.iter_mut().enumerate() {
            if server.is_none_or(|server| server == index) {
                requests.set_fault(fault);
            }
        }
    }

    /// The session is over; requests are answered for a while yet.
    pub(super) fn close(&mut self, now: u64) {
        for requests in &mut self.requests {
            requests.end_of_session(now);
        }
    }

    /// Another session has begun.
    pub(super) fn roll(&mut self, session: [u8; 10]) {
        for requests in &mut self.requests {
            requests.begin_session();
        }
        self.glimpse.roll(session);
    }
}
