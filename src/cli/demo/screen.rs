//! What the demo shows: a panel that redraws itself on a terminal, plain lines elsewhere, and a summary. Both tell when
//! a gap opens and when it closes.
#![allow(clippy::print_stdout, reason = "showing things to people is what this file is for")]

use std::collections::VecDeque;
use std::io::Write as _;
use std::time::Duration;

use super::story::{self, Story};
use super::{Finished, Verdict};
use crate::cli::tables;
use crate::control::Moment;
use crate::host::machine;
use crate::pipeline::board::Row;
use crate::venue::Legacy;

/// Clears the terminal below the cursor after going home.
const HOME: &str = "\x1b[H\x1b[J";

/// Time between two looks: a gap may be closed within milliseconds.
const LOOK: Duration = Duration::from_millis(40);

/// Lines of the story that the panel keeps.
const NEWS: usize = 4;

pub(super) struct Screen {
    terminal: bool,
    length: Duration,
    rate: u32,
    story: Story,
    /// What was told last, the newest at the end.
    news: VecDeque<String>,
    /// When it was shown last.
    shown: Duration,
}

impl Screen {
    pub(super) fn new(terminal: bool, length: Duration, rate: u32) -> Self {
        Self {
            terminal,
            length,
            rate,
            story: Story::default(),
            news: VecDeque::with_capacity(NEWS + 1),
            shown: Duration::ZERO,
        }
    }

    /// Time between two calls of [`Screen::show`].
    pub(super) const fn interval() -> Duration {
        LOOK
    }

    /// Time between two pictures where nothing happens.
    const fn pause(&self) -> Duration {
        if self.terminal { Duration::from_millis(250) } else { Duration::from_secs(3) }
    }

    pub(super) fn begin(&self) {
        println!(
            "wirebook demo: exchange and handler over DPDK virtual ports (net_memif), {} s at {} messages/s",
            self.length.as_secs(),
            tables::grouped(u64::from(self.rate))
        );
        if !self.terminal {
            println!("no NIC, no hugepages; ends by itself\n");
        }
    }

    pub(super) fn show(&mut self, moment: &Moment) {
        let news = moment.health.as_ref().map(|health| self.story.news(health)).unwrap_or_default();
        if news.is_empty() && moment.elapsed < self.shown + self.pause() {
            return;
        }
        if self.terminal {
            self.news.extend(news);
            self.news.drain(..self.news.len().saturating_sub(NEWS));
            self.shown = moment.elapsed;
            print!("{HOME}{}", self.panel(moment));
        } else {
            for line in &news {
                println!("{line}");
            }
            if news.is_empty() {
                self.shown = moment.elapsed;
                println!("{}", progress(moment));
            }
        }
        // A closed terminal shows nothing.
        let _ = std::io::stdout().flush();
    }

    fn panel(&self, moment: &Moment) -> String {
        let mut text = format!(
            "wirebook demo   {:4.1} of {} s   {}\n",
            moment.elapsed.as_secs_f64(),
            self.length.as_secs(),
            progress(moment)
        );
        if let Some(health) = &moment.health {
            text.push_str(&format!("\nbooks   {}\n", story::state(health)));
            for line in &self.news {
                text.push_str(&format!("  {line}\n"));
            }
        }
        if let Some(book) = moment.books.first() {
            text.push_str(&format!("\n{} book\n{}", book.symbol, tables::depth(book)));
        }
        text.push_str("\nbest bid and offer\n");
        text.push_str(&tables::tops(&moment.books));
        text.push_str("\norders\n");
        text.push_str(&tables::orders(moment));
        text.push_str("\nlatency, ns\n");
        text.push_str(&tables::time(moment));
        text.push_str("\nlost or refused\n");
        text.push_str(&tables::losses(&moment.rows));
        text
    }

    pub(super) fn end(
        &mut self,
        last: &Moment,
        finished: &Finished,
        legacy: &Legacy,
        verdict: &Verdict,
        interrupted: bool,
    ) {
        let rows: Vec<Row> = finished.tally.rows().collect();
        let moment = Moment { rows, ..last.clone() };
        if self.terminal {
            print!("{HOME}");
        }
        self.news.clear();
        print!("{}", self.panel(&moment));
        if let Some(health) = &moment.health {
            println!("\ngaps on both lines");
            print!("{}", story::events(health));
        }
        println!("\nfeed");
        print!("{}", feed(&moment, legacy));
        println!(
            "  latency is from the beginning of the poll that brought the frame to the return of tx_burst; TSC reads are not\n  \
             counted, on {}",
            machine::describe()
        );
        println!("\nverdict");
        if interrupted {
            println!("  interrupted: the two sides were not at rest, so nothing is compared");
            return;
        }
        match finished.stale() {
            0 => {}
            stale => println!("  {stale} books are STALE: they may be wrong, and say so"),
        }
        match &verdict.difference {
            None => println!(
                "  books: {} orders in {} books equal the exchange's, order by order",
                tables::grouped(verdict.orders as u64),
                finished.books_known()
            ),
            Some((ours, theirs)) => println!(
                "  books DIFFER after {} orders: ours `{ours}`, the exchange's `{theirs}`",
                verdict.orders
            ),
        }
        println!(
            "  positions: {} instruments, {}",
            finished.positions.len(),
            if verdict.positions_agree {
                "equal to the exchange's account"
            } else {
                "NOT those of the exchange's account"
            }
        );
    }
}

fn progress(moment: &Moment) -> String {
    let of = |name| tables::grouped(moment.count(name));
    format!(
        "{:5.1} s  messages {}  orders {}  accepted {}  fills {}  cancelled {}  gaps {}",
        moment.elapsed.as_secs_f64(),
        of("desk_messages"),
        of("desk_orders_sent"),
        of("orders_accepted"),
        of("orders_executed"),
        of("orders_canceled"),
        of("stream_gaps"),
    )
}

/// Loss and repair: what the lines lost on purpose, and what became of it.
fn feed(moment: &Moment, legacy: &Legacy) -> String {
    let theirs = |name: &str| {
        let value = legacy.rows.iter().find(|(row, _)| row == name).map_or(0, |(_, value)| *value);
        tables::grouped(value)
    };
    let ours = |name| tables::grouped(moment.count(name));
    format!(
        "  lost on purpose: packets of line A {}, of line B {}; messages of both {}\n  \
         duplicates dropped: A {}, B {}; packets held for the other line: {}\n",
        theirs("line_a_lost"),
        theirs("line_b_lost"),
        theirs("fault_doomed"),
        ours("line_a_duplicates"),
        ours("line_b_duplicates"),
        ours("stream_held"),
    )
}
