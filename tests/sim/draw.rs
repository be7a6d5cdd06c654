//! What a seed stands for: a market, a handler with its limits, a network, and what goes wrong.

use exchange::host::{self, Roll};
use exchange::market::{self, Mix};
use exchange::rng::Rng;
use exchange::{glimpse, lines, publisher, rerequest, soup};
use wirebook::config::StrategyKind;
use wirebook::feed::StreamConfig;
use wirebook::feed::recovery::{RecoveryConfig, RequestsConfig, SnapshotConfig, Stated};

use crate::faults::{Fault, Kind};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const S: u64 = 1_000 * MS;

/// Messages a second when nothing drives the market.
pub(crate) const QUIET_RATE: u32 = 100;

/// Everything about one run.
#[derive(Clone, Debug)]
pub(crate) struct Draw {
    pub(crate) seed: u64,
    pub(crate) exchange: host::Config,
    /// The rate in the storm is so many times [`QUIET_RATE`].
    pub(crate) factor: u32,
    /// How long the storm lasts, ns.
    pub(crate) storm: u64,
    /// The handler hears nothing before this time.
    pub(crate) join: u64,
    pub(crate) stream: StreamConfig,
    pub(crate) recovery: RecoveryConfig,
    pub(crate) log_bytes: usize,
    pub(crate) max_orders: u32,
    /// The books' limit is meant to be reached: books may stay stale.
    pub(crate) small_books: bool,
    /// Frames in the receive ring.
    pub(crate) ring: usize,
    /// Time between two rounds of housekeeping of the loop, and of the client, ns.
    pub(crate) tick: u64,
    pub(crate) round: u64,
    /// One way through the network, ns.
    pub(crate) delay: u64,
    /// Which strategy trades.
    pub(crate) strategy: StrategyKind,
    pub(crate) join_style: bool,
    pub(crate) cooldown: u64,
    pub(crate) faults: Vec<Fault>,
}

/// Draws from choices, so that limits and their neighbours come up often.
struct Dice(Rng);

impl Dice {
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.index(choices.len())]
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.next() % (most - least + 1)
    }

    /// Evenly over the orders of magnitude.
    fn about(&mut self, least: u64, most: u64) -> u64 {
        let mut top = most;
        while top > least * 2 && self.0.chance(1, 2) {
            top /= 2;
        }
        self.between(least, top.max(least))
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.0.chance(percent, 100)
    }
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(Rng::stream(seed, 1));
        let messages = dice.between(2_000, 15_000);
        let storm = dice.between(200 * MS, 4 * S);
        let rate = messages * S / storm;
        let factor = u32::try_from(rate.div_ceil(u64::from(QUIET_RATE))).unwrap();
        let exchange = exchange(&mut dice, seed);
        let heartbeat = exchange.publisher.heartbeat_ns;
        let has_requests = dice.chance(75);
        let has_snapshot = dice.chance(85);
        let hole_wait = dice.between(50_000, 5 * MS);
        let stream = StreamConfig {
            window_packets: dice.of(&[0, 1, 4, 16, 64, 64, 256, 256, 1_024]),
            max_payload: 1_500,
            hole_wait,
            recovery_wait: if has_requests { dice.about(2 * MS, 500 * MS) } else { 0 },
            quiet: 3 * heartbeat,
            near_start: dice.of(&[1, 64, 4_096]),
            lines_reorder: dice.chance(80),
            skew_slots: 16,
            lost_ranges: dice.of(&[1, 4, 64]),
            ..StreamConfig::usual(S)
        };
        let recovery = RecoveryConfig {
            requests: has_requests.then(|| requests(&mut dice)),
            snapshot: has_snapshot.then(|| snapshot(&mut dice, &exchange)),
        };
        let small_books = dice.chance(3);
        let max_orders = if small_books { exchange.market.live_orders / 2 } else { 16_000 };
        let join = if dice.chance(70) { 0 } else { dice.between(1, storm * 3 / 4) };
        let mut draw = Self {
            seed,
            exchange,
            factor,
            storm,
            join,
            stream,
            recovery,
            log_bytes: if has_snapshot { 1 << dice.between(12, 19) } else { 0 },
            max_orders,
            small_books,
            ring: dice.of(&[64, 512, 4_096]),
            tick: dice.between(50_000, MS),
            round: dice.between(200_000, 2 * MS),
            delay: dice.between(1_000, 500_000),
            strategy: [
                StrategyKind::Imbalance,
                StrategyKind::Maker,
                StrategyKind::Model,
                StrategyKind::Maker,
            ]
            .get(seed as usize % 5)
            .copied()
            .unwrap_or(StrategyKind::Template),
            join_style: dice.chance(60),
            cooldown: dice.about(200_000, 50 * MS),
            faults: Vec::new(),
        };
        let count = dice.of(&[0, 1, 1, 2, 2, 3, 4, 6, 8, 12, 16]);
        for _ in 0..count {
            let fault = draw.fault(&mut dice);
            draw.faults.push(fault);
            // A server that misbehaves does so when it is needed; so does who is asleep.
            let needed = (Kind::RequestsSilent..=Kind::TcpReset).contains(&fault.kind)
                || matches!(fault.kind, Kind::SlowLoop | Kind::ClientAsleep);
            if needed && dice.chance(90) {
                let kind = dice.of(&[Kind::LossBothShort, Kind::LossBothLong, Kind::LossBothRandom]);
                let at = match fault.kind {
                    Kind::SlowLoop | Kind::ClientAsleep => fault.at.saturating_sub(dice.about(MS, 50 * MS)),
                    _ => dice.between(fault.at, fault.end),
                };
                draw.faults.push(Fault { kind, at, end: at + dice.about(MS, 50 * MS), ..fault });
            }
        }
        draw.faults.sort_by_key(|fault| fault.at);
        draw
    }

    fn fault(&self, dice: &mut Dice) -> Fault {
        let kind = dice.of(&Kind::ALL);
        let at = dice.between(self.storm / 50, self.storm);
        let longest = match kind {
            Kind::SlowLoop | Kind::RingOverrun | Kind::ClientAsleep => 100 * MS,
            Kind::Burst | Kind::TransmitFull => 50 * MS,
            Kind::BothDead | Kind::LinkFlap => 300 * MS,
            _ => self.storm / 2,
        };
        let length = dice.about(longest / 64, longest);
        Fault { kind, at, end: at + length, size: dice.about(1, 100) }
    }

    /// When nothing goes wrong any more.
    pub(crate) fn calm(&self) -> u64 {
        self.faults.iter().map(|fault| fault.end).fold(self.storm, u64::max) + 1
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind)
    }

    /// What was drawn, in some lines.
    pub(crate) fn tell(&self) -> String {
        let market = &self.exchange.market;
        let mut text = format!(
            "seed {}: {} symbols, {} messages a second for {} ms, first heard at {} ms\n",
            self.seed,
            market.symbols,
            self.factor * QUIET_RATE,
            self.storm / MS,
            self.join / MS
        );
        text += &format!("  stream   {:?}\n", self.stream);
        text += &format!("  recovery {:?}\n", self.recovery);
        text += &format!(
            "  books of {} orders, tail log of {} bytes, ring of {} frames, tick {} us, round {} us, delay {} us\n",
            self.max_orders,
            self.log_bytes,
            self.ring,
            self.tick / 1_000,
            self.round / 1_000,
            self.delay / 1_000
        );
        for Fault { kind, at, end, size } in &self.faults {
            text += &format!("  {:>7} .. {:>7} us {kind:?} {size}\n", at / 1_000, end / 1_000);
        }
        text
    }
}

fn exchange(dice: &mut Dice, seed: u64) -> host::Config {
    let symbols = if dice.chance(80) { dice.between(3, 12) } else { dice.between(16, 40) };
    let live_orders = u32::try_from(dice.about(20, 2_000)).unwrap();
    let market = market::Config {
        symbols: u16::try_from(symbols).unwrap(),
        seed,
        live_orders,
        max_orders: 15_000,
        // Some books that are larger than what the link to the loop holds at once.
        opening_orders: if dice.chance(4) {
            6_000 / u32::try_from(symbols).unwrap()
        } else {
            dice.of(&[0, 4, 4, 20, 100])
        },
        halt_every: dice.of(&[0, 500, 2_000, 5_000]),
        halt_length: dice.of(&[50, 300, 1_000]),
        breaker_after: dice.of(&[0, 1_000, 5_000]),
        release_after: dice.of(&[100, 1_000]),
        rising_refs_percent: dice.of(&[75, 90, 100]),
        mix: if dice.chance(50) { Mix::default() } else { Mix::of_2026() },
        ..market::Config::default()
    };
    let line = |delay_ns, jitter_ns| lines::LineConfig { delay_ns, jitter_ns, ..Default::default() };
    let lines = lines::Config {
        seed,
        a: line(dice.of(&[0, 5_000]), dice.of(&[0, 2_000, 100_000])),
        b: Some(line(dice.of(&[0, 3_000, 300_000]), dice.of(&[0, 2_000, 100_000]))),
        ..lines::Config::default()
    };
    let requests = [1, 2].map(|server| rerequest::Config {
        max_messages: dice.of(&[5, 50, u16::MAX]),
        per_second: dice.of(&[0, 0, 500]),
        delay_ns: dice.of(&[10_000, 200_000, 2 * MS]),
        after_end_ns: 300 * S,
        seed: seed ^ server,
        ..rerequest::Config::default()
    });
    let snapshots = soup::Config {
        bytes_per_s: dice.of(&[1_000_000, 4_000_000, 4_000_000]),
        heartbeat_ns: 100 * MS,
        ..soup::Config::default()
    };
    host::Config {
        rate: QUIET_RATE,
        market,
        publisher: publisher::Config {
            limit: dice.of(&[200, 600, 1_400]),
            coalesce_ns: dice.of(&[0, 50_000, 500_000]),
            heartbeat_ns: dice.of(&[20 * MS, 100 * MS, S]),
            lines,
            ..publisher::Config::default()
        },
        archive_bytes: dice.of(&[1 << 19, 1 << 23, 1 << 23]),
        requests,
        glimpse: glimpse::Config {
            soup: snapshots,
            stated: if dice.chance(75) { glimpse::Stated::Next } else { glimpse::Stated::Last },
            padding: if dice.chance(50) { glimpse::Padding::Space } else { glimpse::Padding::Zero },
            ends_after_ns: dice.of(&[None, Some(MS), Some(S)]),
            seed,
            ..glimpse::Config::default()
        },
        roll: if dice.chance(60) { Roll::Said } else { Roll::Skipped },
        roll_pause_ns: dice.of(&[0, MS, 200 * MS]),
        ..host::Config::default()
    }
}

fn requests(dice: &mut Dice) -> RequestsConfig {
    RequestsConfig {
        servers: dice.of(&[1, 2, 2]),
        max_messages: u16::try_from(dice.about(1, 500)).unwrap(),
        timeout: dice.between(2 * MS, 30 * MS),
        retries: dice.of(&[0, 1, 3, 6]),
        per_second: dice.of(&[50, 1_000, 10_000]),
        outstanding: dice.of(&[1, 4, 16]),
        max_hole: dice.of(&[20, 1_000, 100_000]),
    }
}

fn snapshot(dice: &mut Dice, exchange: &host::Config) -> SnapshotConfig {
    let stated = match exchange.glimpse.stated {
        glimpse::Stated::Next => Stated::Next,
        glimpse::Stated::Last => Stated::Last,
    };
    SnapshotConfig {
        username: *b"SIM   ",
        password: *b"          ",
        check_session: dice.chance(75),
        stated,
        login_timeout: dice.between(20 * MS, 200 * MS),
        silence_timeout: dice.between(250 * MS, S),
        total_timeout: dice.between(1_500 * MS, 3 * S),
        max_messages: 25_000,
        back_off: dice.between(5 * MS, 200 * MS),
        back_off_max: dice.between(200 * MS, S),
    }
}
