//! What a running loop shows: its counters and the tops of the watched books.
//!
//! The hot side stores plain numbers into two sequence-locked sets ([`crate::stats::publish`]) some twenty times a
//! second; [`BoardReader`] gives them their names and shapes back. Neither side waits for the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::LoopCounters;
use super::desk::{Desk, DeskCounters};
use super::frames::CarryCounters;
use super::repair::RepairCounters;
use super::route::RouteCounters;
use super::tap::TapCounters;
use crate::blotter::BlotterCounters;
use crate::book::{BookCounters, Books};
use crate::feed::{self, Lag, Line, LineCounters, StreamCounters};
use crate::journal::JournalCounters;
use crate::market::{BookState, Level, Price, Side, Symbol, TradingState};
use crate::nic::TxQueue;
use crate::order::venue::ConnectionCounters;
use crate::order::{Session, SessionCounters};
use crate::risk::RiskCounters;
use crate::stats::clock::Clock;
use crate::stats::publish::{self, Publisher, Reader};
use crate::strategy::{Strategy, StrategyCounters};
use crate::tsc::TimeSource;
use crate::wire::frame::RejectCounters;

/// Levels of a side that the board shows.
pub const DEPTH: usize = 5;

/// How long a reader waits for a loop that stopped half way through storing: many time slices.
const PATIENCE: Duration = Duration::from_secs(1);

/// Numbers of one watched book: locate, symbol, states, position, and three a level.
const BOOK_WORDS: usize = 5 + 2 * DEPTH * 3;

/// A counter as shown: its name, which begins with the part that counts, and its value.
pub type Row = (&'static str, u64);

/// How far one line lies behind the other, for the packets that the other brought first; ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineLag {
    /// Packets measured.
    pub count: u64,
    /// Mean.
    pub mean_ns: u64,
    /// Half of them came no later than this: the upper end of a power of two of ticks.
    pub p50_ns: u64,
    /// Longest.
    pub max_ns: u64,
}

impl LineLag {
    /// `lag`, measured in ticks of `clock`.
    #[must_use]
    pub fn of(lag: &Lag, clock: &Clock) -> Self {
        Self {
            count: lag.count,
            mean_ns: clock.ns(lag.mean().unwrap_or(0)),
            p50_ns: clock.ns(lag.p50().unwrap_or(0)),
            max_ns: clock.ns(lag.max),
        }
    }

    /// Names and values, as printed to operators.
    #[must_use]
    pub const fn rows(&self, line: Line) -> [Row; 4] {
        let [count, mean, p50, max] = match line {
            Line::A => ["line_a_lag_count", "line_a_lag_mean_ns", "line_a_lag_p50_ns", "line_a_lag_max_ns"],
            Line::B => ["line_b_lag_count", "line_b_lag_mean_ns", "line_b_lag_p50_ns", "line_b_lag_max_ns"],
        };
        [(count, self.count), (mean, self.mean_ns), (p50, self.p50_ns), (max, self.max_ns)]
    }
}

/// All counters of one worker at one moment.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The loop itself.
    pub looped: LoopCounters,
    /// Frames that were no datagram for us.
    pub rejects: RejectCounters,
    /// Datagrams that belonged nowhere.
    pub unwanted: RouteCounters,
    /// ARP and IGMP frames, carried to and from the control core.
    pub carried: CarryCounters,
    /// What was captured.
    pub tap: TapCounters,
    /// Lines A and B.
    pub lines: [LineCounters; 2],
    /// Time since each line brought anything, ms; 0 before it first did.
    pub silence: [u64; 2],
    /// How far each line lies behind the other.
    pub lags: [LineLag; 2],
    /// The stream.
    pub stream: StreamCounters,
    /// Messages that no decoder accepted.
    pub decode: feed::itch::ErrorCounters,
    /// The books.
    pub books: BookCounters,
    /// The desk.
    pub desk: DeskCounters,
    /// Risk.
    pub risk: RiskCounters,
    /// Open orders and positions.
    pub blotter: BlotterCounters,
    /// The order session.
    pub session: SessionCounters,
    /// Its connection.
    pub connection: ConnectionCounters,
    /// Repairs of books.
    pub repair: RepairCounters,
    /// The strategy.
    pub strategy: StrategyCounters,
    /// The journal of orders.
    pub journal: JournalCounters,
}

impl Tally {
    /// Every counter with its name, always in the same order.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let lines = Line::ALL.into_iter().flat_map(|line| self.lines[line as usize].rows(line));
        (self.looped.rows().into_iter())
            .chain(self.rejects.rows())
            .chain(self.unwanted.rows())
            .chain(self.carried.rows())
            .chain(self.tap.rows())
            .chain(lines)
            .chain([("line_a_silent_ms", self.silence[0]), ("line_b_silent_ms", self.silence[1])])
            .chain(Line::ALL.into_iter().flat_map(|line| self.lags[line as usize].rows(line)))
            .chain(self.stream.rows())
            .chain(self.decode.rows())
            .chain(self.books.rows())
            .chain(self.desk.rows())
            .chain(self.repair.rows())
            .chain(self.risk.rows())
            .chain(self.blotter.rows())
            .chain(self.session.rows())
            .chain(self.connection.rows())
            .chain(self.strategy.rows())
            .chain(self.journal.rows())
    }

    /// The names of counters that telemetry tells by commands of their own, since one answer has room for 256: those of the
    /// session's connection and of the journal, and those of the strategy.
    #[must_use]
    pub fn apart() -> [Vec<&'static str>; 2] {
        let this = Self::default();
        let of = |rows: &mut dyn Iterator<Item = Row>| rows.map(|(name, _)| name).collect();
        [
            of(&mut this.connection.rows().chain(this.journal.rows())),
            of(&mut this.strategy.rows().into_iter()),
        ]
    }
}

/// Which books the board shows.
#[derive(Clone, Debug)]
pub enum Watch {
    /// These tickers.
    Symbols(Vec<Symbol>),
    /// The instruments with the lowest locates, this many of them.
    First(usize),
}

impl Watch {
    fn len(&self) -> usize {
        match self {
            Self::Symbols(symbols) => symbols.len(),
            Self::First(count) => *count,
        }
    }
}

/// One watched book as it was when it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookView {
    /// Its locate today.
    pub locate: u16,
    /// Its ticker.
    pub symbol: Symbol,
    /// May it be believed?
    pub state: BookState,
    /// May it be traded?
    pub trading: TradingState,
    /// Our position, in shares; negative = short.
    pub position: i64,
    /// Bids, best first, at most [`DEPTH`].
    pub bids: Vec<Level>,
    /// Asks, best first, at most [`DEPTH`].
    pub asks: Vec<Level>,
}

/// Locates that one publication looks at for the [`Census`].
const COUNTED_AT_ONCE: u32 = 512;

/// How many of the announced books stand how. Counted a few locates at a time, so it may be some publications old.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    next: u32,
    counting: [u64; 3],
    /// Of the latest time round: stale, recovering, live.
    counted: [u64; 3],
}

impl Census {
    const NAMES: [&'static str; 3] = ["books_stale", "books_recovering", "books_live"];

    /// In the order of [`Census::NAMES`]; while the stream waits for a hole, or nothing comes, no book is of use.
    const fn rows(&self, in_the_dark: bool) -> [u64; 3] {
        let [stale, recovering, live] = self.counted;
        if in_the_dark { [stale, recovering + live, 0] } else { self.counted }
    }

    fn go_on(&mut self, books: &Books) {
        let end = books.limits().locates;
        let stop = self.next.saturating_add(COUNTED_AT_ONCE).min(end);
        for locate in self.next..stop {
            if let Ok(locate) = u16::try_from(locate)
                && books.symbol(locate).is_some()
                && let Some(count) = self.counting.get_mut(books.state(locate) as usize)
            {
                *count += 1;
            }
        }
        self.next = stop;
        if stop == end {
            *self = Self { next: 0, counting: [0; 3], counted: self.counting };
        }
    }
}

/// The hot side.
pub struct Board {
    tally: Publisher,
    books: Publisher,
    watch: Watch,
    asked: Arc<AtomicU64>,
    /// The locates of the watched books, the asked one last, as of `resolved`.
    locates: Vec<Option<u16>>,
    census: Census,
    /// Directory messages heard and symbol asked for when `locates` was made: finding a symbol walks through all.
    resolved: (u64, u64),
}

/// The side that shows.
#[derive(Clone, Debug)]
pub struct BoardReader {
    tally: Reader,
    books: Reader,
    asked: Arc<AtomicU64>,
    names: Vec<&'static str>,
}

/// A board that shows the books of `watch` and one more that a reader may ask for, and its reader.
#[must_use]
pub fn board(watch: Watch) -> (Board, BoardReader) {
    let names: Vec<_> = Tally::default().rows().map(|(name, _)| name).chain(Census::NAMES).collect();
    let (tally, tally_reader) = publish::counters(names.len());
    let (books, books_reader) = publish::counters((watch.len() + 1) * BOOK_WORDS);
    let asked = Arc::new(AtomicU64::new(0));
    (
        Board {
            tally,
            books,
            locates: vec![None; watch.len() + 1],
            watch,
            asked: Arc::clone(&asked),
            census: Census::default(),
            resolved: (0, 0),
        },
        BoardReader { tally: tally_reader, books: books_reader, asked, names },
    )
}

impl Board {
    /// Stores `tally` and the watched books of `desk` as they are now.
    pub(super) fn publish<T: TxQueue, S: Strategy, O: Session, C: TimeSource>(
        &mut self,
        desk: &Desk<T, S, O, C>,
        tally: &Tally,
    ) {
        self.census.go_on(&desk.books);
        let counted = self.census.rows(desk.in_the_dark());
        self.tally.publish(tally.rows().map(|(_, value)| value).chain(counted));

        // SYNC POINT: relaxed; the symbol is the whole message.
        let asked = self.asked.load(Ordering::Relaxed);
        if self.resolved != (tally.desk.directory, asked) {
            self.resolved = (tally.desk.directory, asked);
            self.resolve(&desk.books, Symbol(asked.to_ne_bytes()));
        }
        let Self { books: publisher, locates, .. } = self;
        publisher.publish(locates.iter().flat_map(|locate| words_of(desk, *locate)));
    }

    fn resolve(&mut self, books: &Books, asked: Symbol) {
        let watch = &self.watch;
        let watched = (0..watch.len()).map(|at| match watch {
            Watch::Symbols(symbols) => symbols.get(at).and_then(|symbol| books.locate_of(*symbol)),
            // Locates count from 1; 0 is "no instrument".
            Watch::First(_) => u16::try_from(at + 1).ok(),
        });
        let all = watched.chain(std::iter::once_with(|| books.locate_of(asked)));
        for (slot, locate) in self.locates.iter_mut().zip(all) {
            *slot = locate;
        }
    }
}

/// One book as numbers; all 0 where there is none.
fn words_of<T: TxQueue, S: Strategy, O: Session, C: TimeSource>(
    desk: &Desk<T, S, O, C>,
    locate: Option<u16>,
) -> [u64; BOOK_WORDS] {
    let books = &desk.books;
    let mut words = [0; BOOK_WORDS];
    if let Some(locate) = locate
        && let Some(symbol) = books.symbol(locate)
    {
        let head = [
            u64::from(locate),
            u64::from_ne_bytes(symbol.0),
            desk.book_state(locate) as u64,
            books.trading_state(locate) as u64,
            desk.risk.blotter().holding(locate).position.cast_unsigned(),
        ];
        let mut cells = words.iter_mut();
        for (cell, value) in cells.by_ref().take(head.len()).zip(head) {
            *cell = value;
        }
        for side in [Side::Buy, Side::Sell] {
            let mut levels = books.depth(locate, side);
            for _ in 0..DEPTH {
                let level = levels.next();
                let values = level.map_or([0; 3], |l| [u64::from(l.price.0), l.shares, u64::from(l.orders)]);
                for value in values {
                    if let Some(cell) = cells.next() {
                        *cell = value;
                    }
                }
            }
        }
    }
    words
}

impl BoardReader {
    /// All counters of the latest publication. Waits where the loop was descheduled while it stored; empty where that
    /// takes longer than a second.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        patiently(&self.tally)
            .map_or_else(Vec::new, |values| self.names.iter().copied().zip(values).collect())
    }

    /// One counter of the latest publication; `None` where there is none of that name. Waits as [`BoardReader::rows`].
    #[must_use]
    pub fn row(&self, name: &str) -> Option<u64> {
        self.rows().into_iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The watched books of the latest publication that exist by now. Waits as [`BoardReader::rows`].
    #[must_use]
    pub fn books(&self) -> Vec<BookView> {
        patiently(&self.books)
            .map_or_else(Vec::new, |values| values.chunks_exact(BOOK_WORDS).filter_map(book_of).collect())
    }

    /// Asks for one more book, by ticker; it is among [`BoardReader::books`] after the next publication.
    pub fn ask(&self, symbol: Symbol) {
        // SYNC POINT: relaxed; the symbol is the whole message.
        self.asked.store(u64::from_ne_bytes(symbol.0), Ordering::Relaxed);
    }
}

/// All values of a set; `None` where the loop had not finished storing after [`PATIENCE`].
fn patiently(set: &Reader) -> Option<Vec<u64>> {
    let mut values = vec![0; set.len()];
    let began = Instant::now();
    while set.read(&mut values).is_err() {
        if began.elapsed() > PATIENCE {
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Some(values)
}

/// The inverse of [`words_of`].
fn book_of(words: &[u64]) -> Option<BookView> {
    let (&[locate, symbol, state, trading, position], levels) = words.split_first_chunk::<5>()?;
    if symbol == 0 {
        return None;
    }
    let side = |half: &[u64]| {
        half.chunks_exact(3)
            .filter(|level| level[2] != 0)
            .filter_map(|level| {
                Some(Level {
                    price: Price(u32::try_from(level[0]).ok()?),
                    shares: level[1],
                    orders: u32::try_from(level[2]).ok()?,
                })
            })
            .collect()
    };
    let (bids, asks) = levels.split_at(DEPTH * 3);
    Some(BookView {
        locate: u16::try_from(locate).ok()?,
        symbol: Symbol(symbol.to_ne_bytes()),
        state: match state {
            2 => BookState::Live,
            1 => BookState::Recovering,
            _ => BookState::Stale,
        },
        trading: match trading {
            3 => TradingState::Trading,
            2 => TradingState::QuotationOnly,
            1 => TradingState::Paused,
            _ => TradingState::Halted,
        },
        position: position.cast_signed(),
        bids: side(bids),
        asks: side(asks),
    })
}
