//! What there is to see of a venue.

use std::collections::BTreeMap;

use super::{Exchange, FaultCounters};
use crate::archive::Archive;
use crate::gateway::Gateway;
use crate::lines::Line;
use crate::market::Market;
use crate::publisher::Publisher;
use crate::units::Symbol;
use crate::{glimpse, rerequest};

impl Exchange {
    /// The market.
    #[must_use]
    pub fn market(&self) -> &Market {
        &self.market
    }

    /// The order gateway.
    #[must_use]
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The publisher, for its session and sequence and the lines' counters.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.feed.publisher
    }

    /// What was said in this session, as far back as it is kept.
    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.feed.archive
    }

    /// A request server, 0 or 1.
    #[must_use]
    pub fn requests(&self, server: usize) -> Option<&rerequest::Server> {
        self.recovery.requests.get(server)
    }

    /// The snapshot server.
    #[must_use]
    pub fn glimpse(&self) -> &glimpse::Server {
        &self.recovery.glimpse
    }

    /// What went wrong on command.
    #[must_use]
    pub fn faults(&self) -> &FaultCounters {
        &self.counters
    }

    /// What all outside clients together own, by symbol; instruments without a position left out.
    #[must_use]
    pub fn positions(&self) -> Vec<(Symbol, i64)> {
        let mut positions = BTreeMap::new();
        for (symbol, position) in self.gateway.clients().flat_map(|(_, account)| account.positions()) {
            *positions.entry(symbol).or_insert(0) += position.shares();
        }
        positions.into_iter().filter(|(_, shares)| *shares != 0).collect()
    }

    /// Counters of all parts, each name with its part in front: `market_messages`, `line_a_lost`, …
    #[must_use]
    pub fn rows(&self) -> Vec<(String, u64)> {
        let mut all = Vec::new();
        let mut add = |part: &str, rows: &[(&'static str, u64)]| {
            all.extend(rows.iter().map(|(name, value)| (format!("{part}_{name}"), *value)));
        };
        add("market", &self.market.counters().rows());
        add("gateway", &self.gateway.counters().rows());
        add("ouch", &self.gateway.soup_counters().rows());
        let lines = self.feed.publisher.lines();
        add("feed", &[("packets", lines.pushed()), ("packets_lost_on_both", lines.lost_on_all())]);
        for (part, line) in [("line_a", Line::A), ("line_b", Line::B)] {
            if let Some(counters) = lines.counters(line) {
                add(part, &counters.rows());
            }
        }
        for (part, server) in ["requests_a", "requests_b"].into_iter().zip(&self.recovery.requests) {
            add(part, &server.counters().rows());
        }
        add("glimpse", &self.recovery.glimpse.counters().rows());
        add("glimpse", &self.recovery.glimpse.soup_counters().rows());
        add("fault", &self.counters.rows());
        all
    }
}
