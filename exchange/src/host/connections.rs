//! TCP connections, and what the servers do as time goes on.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{ConnId, Exchange, Output, Service, replies};
use crate::lines::Line;
use crate::soup;

impl Exchange {
    /// A client connected. While the link is down, the next [`Exchange::tick`] closes it.
    pub fn on_connect(&mut self, now: u64, service: Service, conn: ConnId) {
        if now < self.down_until {
            self.counters.refused += 1;
            self.refused.push(conn);
            return;
        }
        self.conns.insert(conn, service);
        match service {
            Service::Glimpse => self.recovery.glimpse.on_connect(now, conn),
            Service::Orders => self.gateway.on_connect(now, conn),
        }
    }

    /// Bytes came on a connection; none are kept but those of a packet under way. Unknown connections are ignored.
    pub fn on_bytes(&mut self, now: u64, conn: ConnId, bytes: &[u8], out: &mut impl FnMut(Output<'_>)) {
        let Some(service) = self.conns.get(&conn) else { return };
        match service {
            Service::Glimpse => {
                let Self { market, feed, recovery, conns, .. } = self;
                recovery.on_bytes(now, conn, bytes, market, feed, &mut |output| pass(conns, output, out));
            }
            Service::Orders => {
                let at = self.advance(now);
                let Self { market, gateway, feed, conns, .. } = self;
                let out = RefCell::new(out);
                gateway.on_bytes(
                    now,
                    conn,
                    bytes,
                    market,
                    &mut |message| feed.say(at, message, &mut |output| out.borrow_mut()(output)),
                    &mut |output| pass(conns, output, &mut |output| out.borrow_mut()(output)),
                );
                // An order may have traded with one of a client of the other framing.
                self.answer(now, out.into_inner());
            }
        }
    }

    /// A connection was closed by the client or the network.
    pub fn on_disconnect(&mut self, now: u64, conn: ConnId) {
        self.refused.retain(|refused| *refused != conn);
        match self.conns.remove(&conn) {
            Some(Service::Glimpse) => self.recovery.glimpse.on_disconnect(now, conn),
            Some(Service::Orders) => self.gateway.on_disconnect(now, conn),
            None => {}
        }
    }

    /// `at` is the time of what the feed says of it.
    pub(super) fn tick_servers(&mut self, now: u64, at: u64, out: &mut impl FnMut(Output<'_>)) {
        for conn in self.refused.drain(..) {
            out(Output::Close { conn });
        }
        let Self { market, gateway, recovery, feed, counters, conns, .. } = self;
        recovery.answer(now, feed, now < self.down_until, counters, out);
        recovery.glimpse.tick(now, &mut |output| pass(conns, output, out));
        let out = RefCell::new(out);
        gateway.tick(
            now,
            market,
            &mut |message| feed.say(at, message, &mut |output| out.borrow_mut()(output)),
            &mut |output| pass(conns, output, &mut |output| out.borrow_mut()(output)),
        );
        let out = out.into_inner();
        if self.beat > 0 && self.next_beat <= now {
            self.next_beat = now.saturating_add(self.beat);
            let mut reply = replies(self.down_until, now, &mut self.counters, out);
            self.gateway.heartbeat(&mut reply);
        }
        self.answer(now, out);
    }

    /// The link goes down.
    pub(super) fn flap(&mut self, at: u64, length: u64, out: &mut impl FnMut(Output<'_>)) {
        self.counters.flaps += 1;
        self.down_until = self.down_until.max(at.saturating_add(length));
        for line in [Line::A, Line::B] {
            self.feed.publisher.kill(line, self.down_until);
        }
        // A stream cannot lose bytes and stand: connections break.
        for (conn, service) in std::mem::take(&mut self.conns) {
            match service {
                Service::Glimpse => self.recovery.glimpse.on_disconnect(at, conn),
                Service::Orders => self.gateway.on_disconnect(at, conn),
            }
            self.counters.broken += 1;
            out(Output::Close { conn });
        }
    }
}

/// Hands out what a TCP service wants done, and forgets the connections that it closes.
pub(super) fn pass(
    conns: &mut BTreeMap<ConnId, Service>,
    output: soup::Output<'_>,
    out: &mut impl FnMut(Output<'_>),
) {
    match output {
        soup::Output::Bytes { conn, bytes } => out(Output::Tcp { conn, bytes }),
        soup::Output::Close { conn } => {
            conns.remove(&conn);
            out(Output::Close { conn });
        }
    }
}
