//! What one event costs the books: ns per [`Event`], one after the other, no look-ahead, at several numbers of live
//! orders, with the memory reserved. `cargo bench --no-default-features --bench book`
//!
//! The stream is made up: 8,900 instruments of very different activity, half adds, references in rising order, most
//! orders short-lived, prices thick near the touch. Making it is not timed. Each block of events is applied at once;
//! printed are the fastest and the median block, since a shared machine can only add time.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use wirebook::book::{BookCounters, Books, LimitError, Limits};
use wirebook::market::{BookState, Event, EventKind, Price, Side, Symbol};

const INSTRUMENTS: usize = 8_900;
const BLOCK: usize = 1 << 16;
const BLOCKS: usize = 60;

/// Orders that leave are mostly among this many newest ones.
const YOUNG: usize = 20_000;

struct Flow {
    state: u64,
    live: Vec<(u16, u64)>,
    target: usize,
    next_ref: u64,
}

impl Flow {
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (((self.state >> 32) * limit as u64) >> 32) as usize
    }

    /// Small numbers more often than large ones.
    fn skewed(&mut self, limit: usize) -> usize {
        let upper = self.below(limit) + 1;
        self.below(upper)
    }

    fn next(&mut self) -> Event {
        self.next_ref += 1 + self.below(3) as u64;
        let new_order_ref = self.next_ref;
        let shares = 100 * (1 + self.skewed(9) as u32);
        let growing = self.live.len() < self.target;
        let choice = self.below(100);
        if self.live.is_empty() || choice < if growing { 70 } else { 43 } {
            let locate = 1 + self.skewed(INSTRUMENTS);
            let side = if self.below(2) == 0 { Side::Buy } else { Side::Sell };
            let away = 100 * self.skewed(75) as u32;
            // A price of its own for each instrument.
            let middle = 100_000 + locate as u32 * 300;
            let price = Price(if side == Side::Buy { middle - 100 - away } else { middle + away });
            let locate = locate as u16;
            self.live.push((locate, new_order_ref));
            return Event {
                locate,
                timestamp: 0,
                kind: EventKind::Add { order_ref: new_order_ref, side, shares, price },
            };
        }
        let young = if self.below(10) < 8 { YOUNG.min(self.live.len()) } else { self.live.len() };
        let chosen = self.live.len() - 1 - self.below(young);
        let (locate, order_ref) = self.live[chosen];
        let kind = match self.below(100) {
            0..72 => {
                self.live.swap_remove(chosen);
                EventKind::Delete { order_ref }
            }
            72..90 => {
                self.live[chosen].1 = new_order_ref;
                let away = 100 * self.skewed(75) as u32;
                // Its side is not remembered here; half of them cross the middle, as books before an opening do.
                let price = Price(100_000 + u32::from(locate) * 300 + away);
                EventKind::Replace { order_ref, new_order_ref, shares, price }
            }
            // Fewer shares than any order has left for long; the few that end sooner are unknown afterwards.
            90..97 => EventKind::Execute { order_ref, shares: 10, price: None, printable: true },
            _ => EventKind::Cancel { order_ref, shares: 10 },
        };
        Event { locate, timestamp: 0, kind }
    }
}

fn run(live: usize) -> Result<(), LimitError> {
    let limits = Limits::default();
    let started = Instant::now();
    let mut books = Books::new(limits)?;
    let reserving = started.elapsed();
    for locate in 1..=INSTRUMENTS as u16 {
        let symbol = Symbol::new(&format!("S{locate}")).unwrap_or(Symbol([b' '; 8]));
        books.apply(&Event { locate, timestamp: 0, kind: EventKind::Directory { symbol, round_lot: 100 } });
    }
    books.set_all_states(BookState::Live);
    let mut flow = Flow { state: 0x9E37_79B9_7F4A_7C15, live: Vec::new(), target: live, next_ref: 0 };
    while flow.live.len() < live {
        books.apply(&flow.next());
    }
    let mut block = Vec::with_capacity(BLOCK);
    let mut times: Vec<Duration> = Vec::with_capacity(BLOCKS);
    let mut tops = 0;
    for _ in 0..BLOCKS {
        block.clear();
        block.extend((0..BLOCK).map(|_| flow.next()));
        let started = Instant::now();
        for event in &block {
            tops += usize::from(books.apply(event).top_changed);
        }
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let each = |time: Duration| time.as_nanos() as f64 / BLOCK as f64;
    let BookCounters { anomalies, .. } = books.counters();
    let usage = books.usage();
    println!(
        "{:>9} orders {:>9} levels | {:6.1} ns fastest {:6.1} ns median | top changed {:4.1} % | {anomalies} anomalies | {} MB in {:.0} ms",
        usage.orders,
        usage.levels,
        each(times[0]),
        each(times[BLOCKS / 2]),
        tops as f64 * 100.0 / (BLOCK * BLOCKS) as f64,
        limits.memory_bytes() / 1_000_000,
        reserving.as_secs_f64() * 1e3,
    );
    Ok(())
}

fn main() -> Result<(), LimitError> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown CPU");
    println!("{}, {BLOCKS} blocks of {BLOCK} events", cpu.trim_start_matches([' ', '\t', ':']));
    [100_000, 1_400_000, 7_000_000].into_iter().try_for_each(run)
}
