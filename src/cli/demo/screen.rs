//! What the demo shows: a panel that redraws itself on a terminal, plain lines elsewhere, and a summary.
#![allow(clippy::print_stdout, reason = "showing things to people is what this file is for")]

use std::io::Write as _;
use std::time::Duration;

use super::{Finished, Verdict};
use crate::cli::{machine, tables};
use crate::control::Moment;
use crate::pipeline::board::Row;
use crate::venue::Legacy;

/// Clears the terminal below the cursor after going home.
const HOME: &str = "\x1b[H\x1b[J";

pub(super) struct Screen {
    terminal: bool,
    length: Duration,
    rate: u32,
}

impl Screen {
    pub(super) const fn new(terminal: bool, length: Duration, rate: u32) -> Self {
        Self { terminal, length, rate }
    }

    /// Time between two calls of [`Screen::show`].
    pub(super) const fn interval(&self) -> Duration {
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

    pub(super) fn show(&self, moment: &Moment) {
        if self.terminal {
            print!("{HOME}{}", self.panel(moment));
            // A closed terminal shows nothing.
            let _ = std::io::stdout().flush();
        } else {
            println!("{}", progress(moment));
        }
    }

    fn panel(&self, moment: &Moment) -> String {
        let mut text = format!(
            "wirebook demo   {:4.1} of {} s   {}\n",
            moment.elapsed.as_secs_f64(),
            self.length.as_secs(),
            progress(moment)
        );
        if let Some(book) = moment.books.first() {
            text.push_str(&format!("\n{} book\n{}", book.symbol, tables::depth(book)));
        }
        text.push_str("\nbest bid and offer\n");
        text.push_str(&tables::tops(&moment.books));
        text.push_str("\norders\n");
        text.push_str(&tables::orders(moment));
        text.push_str("\nlatency, ns\n");
        text.push_str(&tables::latency(&moment.stages));
        text.push_str("\nlost or refused\n");
        text.push_str(&tables::losses(&moment.rows));
        text
    }

    pub(super) fn end(
        &self,
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
        print!("{}", self.panel(&moment));
        println!("\nfeed");
        print!("{}", feed(&moment, legacy));
        println!(
            "  latency is from the return of the poll that brought the frame to the return of tx_burst, a TSC read in\n  \
             each stage, on {}",
            machine::describe()
        );
        println!("\nverdict");
        if interrupted {
            println!("  interrupted: the two sides were not at rest, so nothing is compared");
            return;
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
        "  packets lost on purpose: line A {}, line B {}; gaps left: {}\n  \
         duplicates dropped: A {}, B {}; packets held for the other line: {}\n",
        theirs("line_a_lost"),
        theirs("line_b_lost"),
        ours("stream_gaps"),
        ours("line_a_duplicates"),
        ours("line_b_duplicates"),
        ours("stream_held"),
    )
}
