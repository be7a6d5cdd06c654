//! What a venue is made from, and what is wrong with that.

use std::fmt;

use super::{Bursts, Fault, REQUEST_SERVERS};
use crate::{gateway, glimpse, market, publisher, rerequest};

/// How a session ends when the next one begins ([`Fault::SessionRoll`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Roll {
    /// The end of the session is told on the lines.
    #[default]
    Said,
    /// The next session begins without a word.
    Skipped,
}

/// What a venue is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Messages a second outside bursts; the market's own rate, by which it stamps, is set to it.
    pub rate: u32,
    /// Bursts at regular times.
    pub bursts: Option<Bursts>,
    /// The market.
    pub market: market::Config,
    /// The feed: the first session, packets, lines.
    pub publisher: publisher::Config,
    /// The most bytes kept of what was said, for the request servers; the oldest messages go first.
    pub archive_bytes: usize,
    /// The request servers: one beside line A, one beside line B.
    pub requests: [rerequest::Config; REQUEST_SERVERS],
    /// The snapshot server. Its session is the publisher's, whatever stands here.
    pub glimpse: glimpse::Config,
    /// The order gateway.
    pub gateway: gateway::Config,
    /// Ns between heartbeats to clients of the order gateway's test framing; 0 for none.
    pub reply_heartbeat_ns: u64,
    /// How sessions end that are not the last.
    pub roll: Roll,
    /// Ns between the end of such a session and the first message of the next.
    pub roll_pause_ns: u64,
    /// What goes wrong, and when (ns); in any order.
    pub plan: Vec<(u64, Fault)>,
}

impl Default for Config {
    /// 200,000 messages a second, nothing goes wrong.
    fn default() -> Self {
        let market = market::Config::default();
        Self {
            rate: market.rate,
            bursts: None,
            market,
            publisher: publisher::Config::default(),
            archive_bytes: 1 << 29,
            requests: [1, 2].map(|seed| rerequest::Config { seed, ..rerequest::Config::default() }),
            glimpse: glimpse::Config::default(),
            gateway: gateway::Config::default(),
            reply_heartbeat_ns: 1_000_000_000,
            roll: Roll::default(),
            roll_pause_ns: 0,
            plan: Vec::new(),
        }
    }
}

impl Config {
    /// Does it make a venue? What the market says to its part is not asked here.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let good = |bursts: Bursts| {
            bursts.every_ns >= 1_000_000 && bursts.length_ns < bursts.every_ns && bursts.factor >= 1
        };
        if self.bursts.is_none_or(good) { Ok(()) } else { Err(ConfigError::Bursts) }
    }
}

/// Why there can be no such venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The market contradicts itself, or the rate is out of its range.
    Market(market::ConfigError),
    /// Bursts that come more often than every ms, last as long as they are apart, or have a factor of 0.
    Bursts,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Market(why) => why.fmt(f),
            Self::Bursts => f.write_str(
                "bursts must be at least 1 ms apart, shorter than they are apart, and have a factor of at least 1",
            ),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Market(why) => Some(why),
            Self::Bursts => None,
        }
    }
}

impl From<market::ConfigError> for ConfigError {
    fn from(why: market::ConfigError) -> Self {
        Self::Market(why)
    }
}
