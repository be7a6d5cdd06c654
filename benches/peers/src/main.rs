//! `make bench-book`: see `docs/benchmarks/book.md`.

use std::error::Error;
use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use book_bench::args::{Args, Row};
use book_bench::contest::Outcome;
use book_bench::day::{self, Day};
use book_bench::goals;
use book_bench::growth::{self, Point};
use book_bench::latency::{self, Latency};
use book_bench::machine::Disturbance;
use book_bench::memory::{populate, resident, start_on_one_heap};
use book_bench::packets::Packed;
use book_bench::plot::{Axis, Chart, Line, Scale, short};
use book_bench::report::{Scores, Table, figure, inserted, pair, thousands};
use book_bench::source::Source;
use book_bench::stream::{Facts, Shape};
use book_bench::throughput::{self, Field};
use book_bench::{machine, memory};
use clap::Parser;

/// Said where less than 95 % is on huge pages.
const FRAGMENTED: &str = "\nNot all of it is on 2 MiB pages: the memory is in pieces, or transparent huge pages are off. As root, \
                          `echo 3 >/proc/sys/vm/drop_caches; echo 1 >/proc/sys/vm/compact_memory` may help.\n";

type Outcomes<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        // Books that are wrong are no result.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("book-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Outcomes<bool> {
    if let (Some(path), Some(shape)) = (&args.write, &args.shape) {
        let source = Source::named(shape).ok_or_else(|| format!("no stream is called {shape}"))?;
        let messages = source.write(path, u64::MAX)?;
        println!("{} messages written to {}", thousands(messages), path.display());
        return Ok(true);
    }
    if !args.keep_books {
        start_on_one_heap()?;
    }
    let allowed = machine::allowed_cpus()?;
    let cpu = args.cpu.or_else(|| allowed.last().copied()).ok_or("no CPU to run on")?;
    machine::pin(cpu).map_err(|error| format!("CPU {cpu}: {error}"))?;
    if args.keep_books {
        day::keep()?;
        return Ok(true);
    }
    let mut bench = Bench { args, cpu, sections: Vec::new(), scores: Scores::default(), sound: true };
    bench.all()?;
    Ok(bench.sound)
}

/// One run: what is measured is printed when it is there, and kept for the file.
struct Bench<'a> {
    args: &'a Args,
    cpu: usize,
    sections: Vec<String>,
    scores: Scores,
    /// No book was wrong.
    sound: bool,
}

impl Bench<'_> {
    fn all(&mut self) -> Outcomes<()> {
        let args = self.args;
        populate(args.heap << 30);
        self.machine()?;
        let disturbance = Disturbance::begin(self.cpu);
        let streams = args.wants(Row::Syn20m) || args.wants(Row::Decode) || args.wants(Row::Latency);
        if let Some(path) = &args.stream {
            self.stream("file", &Source::File(path.clone()), u64::MAX)?;
        } else {
            if streams {
                self.stream("syn20m", &Source::Shape(Shape::SYN20M), args.portion(Shape::SYN20M.messages))?;
            }
            if args.wants(Row::Syn40m) {
                self.stream("syn40m", &Source::Shape(Shape::SYN40M), args.portion(Shape::SYN40M.messages))?;
            }
        }
        if args.wants(Row::Growth) {
            let messages = if args.quick { 100_000 } else { 1_000_000 };
            let points = growth::measure(&growth::LIVE, messages, args.rounds, progress)?;
            self.growth(&points)?;
        }
        if args.wants(Row::Day) {
            let messages = args.day_messages.unwrap_or(Shape::DAY.messages);
            let day =
                day::measure(&Shape { messages: args.portion(messages), ..Shape::DAY }, self.cpu, progress)?;
            self.day(&day);
        }
        let [waited, stolen] = disturbance.percent();
        let percent = |of| format!("{of:.1} % of the time");
        let mut table = Table::new(&["disturbance", ""]);
        table.row(["another thread had the CPU".to_owned(), percent(waited)]);
        table.row(["the host had it".to_owned(), percent(stolen)]);
        self.say(table.markdown());
        if !self.scores.table().is_empty() {
            let mut table = self.scores.table().markdown();
            if args.quick {
                table.push_str("\nShortened streams (`--quick`): figures to try it out with, no results.\n");
            }
            print!("\n{table}");
            self.sections.insert(1, table);
        }
        if let Some(path) = &args.markdown {
            let results = self.sections.join("\n");
            let document = fs::read_to_string(path).ok();
            let document = document.and_then(|document| inserted(&document, &results));
            fs::write(path, document.unwrap_or(results))?;
        }
        Ok(())
    }

    fn say(&mut self, section: String) {
        print!("\n{section}");
        self.sections.push(section);
    }

    fn complain(&mut self, complaint: Option<String>) -> String {
        self.sound &= complaint.is_none();
        complaint.map_or_else(String::new, |complaint| format!("**{complaint}**"))
    }

    fn machine(&mut self) -> Outcomes<()> {
        let mut table = Table::new(&["machine", ""]);
        for (name, what) in machine::describe() {
            table.row([name.to_owned(), what]);
        }
        let memory::Resident { bytes, huge } = resident()?;
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let pages = format!("{:.2} of {:.2} GiB of this process on 2 MiB pages", gib(huge), gib(bytes));
        table.row(["Pages".to_owned(), pages]);
        let modes = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        table.row(["Transparent huge pages".to_owned(), modes.trim().to_owned()]);
        table.row(["Run on".to_owned(), format!("CPU {}, {} rounds", self.cpu, self.args.rounds)]);
        let mut section = table.markdown();
        if huge * 20 < bytes * 19 {
            section.push_str(FRAGMENTED);
        }
        self.say(section);
        Ok(())
    }

    fn stream(&mut self, name: &'static str, source: &Source, most: u64) -> Outcomes<()> {
        progress(&format!("making {name}"));
        let (stream, facts) = source.load(most)?;
        let args = self.args;
        let first = name != "syn40m";
        let books = args.wants(if first { Row::Syn20m } else { Row::Syn40m });
        let field =
            Field { books, decoders: first && args.wants(Row::Decode), peers: args.wants(Row::Peers) };
        if field.books || field.decoders {
            let outcomes = throughput::measure(&stream, field, args.rounds, progress);
            self.throughput(name, &stream, facts.as_ref(), &outcomes);
        }
        if first && args.wants(Row::Latency) {
            let warm = stream.messages() * 3 / 4;
            let latency = latency::measure(&stream, warm, args.rounds, progress)?;
            self.latency(name, &latency)?;
        }
        Ok(())
    }

    fn throughput(&mut self, name: &str, stream: &Packed, facts: Option<&Facts>, outcomes: &[Outcome]) {
        let mut title = format!("### {name}: ns a message\n\n{} messages", thousands(stream.messages()));
        if let Some(facts) = facts {
            title.push_str(&format!(
                ", {} live orders at most, {} levels, highest reference {}",
                thousands(facts.peak_live.into()),
                thousands(facts.peak_levels.into()),
                thousands(facts.highest_reference),
            ));
        }
        title.push_str(". A ratio is the median of the rounds' ratios to the reference loop.\n\n");
        let of = |name| outcomes.iter().find(|outcome| outcome.name == name).map(|outcome| &outcome.ns);
        let reference = of(throughput::REFERENCE).cloned().unwrap_or_default();
        let mut table = Table::new(&["", "keeps", "minimum / median", "ratio", "messages", "books"]);
        for outcome in outcomes {
            let ours = outcome.name.starts_with("wirebook");
            let agreement = outcome.agreement.map_or_else(String::new, |agreement| {
                if agreement.is_full() {
                    return if ours { String::new() } else { "the same".to_owned() };
                }
                let [orders, expected] = agreement.orders.map(thousands);
                let [best, all] = agreement.best;
                format!("{orders} of {expected} orders; best prices of {best} of {all}")
            });
            // Our own must be right; what others make of the stream is told.
            let complaint = if ours {
                self.complain(outcome.complaint.clone())
            } else {
                outcome.complaint.clone().unwrap_or_default()
            };
            let books =
                [agreement, complaint].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
            table.row([
                outcome.name.to_owned(),
                outcome.keeps.to_owned(),
                pair(&outcome.ns),
                figure(outcome.ns.ratios(&reference).median()),
                thousands(outcome.messages),
                books.join("; "),
            ]);
        }
        let live = outcomes
            .iter()
            .find(|outcome| outcome.name == throughput::OURS)
            .and_then(|outcome| outcome.agreement);
        let mut section = title + &table.markdown();
        if let (Some(facts), Some(agreement)) = (facts, live)
            && agreement.orders[0] != u64::from(facts.live)
        {
            let [have, _] = agreement.orders;
            section
                .push_str(&self.complain(Some(format!("{have} live orders, the stream has {}", facts.live))));
        }
        self.say(section);
        if let Some(ns) = of(throughput::OURS) {
            let (goal, ratio) = match name {
                "syn20m" => (Some(goals::SYN20M), Some(goals::RATIO)),
                "syn40m" => (Some(goals::SYN40M), None),
                _ => (None, None),
            };
            if let Some(goal) = goal {
                self.scores.row(&goal, ns.min(), pair(ns));
            }
            if let Some(goal) = ratio {
                let ratios = ns.ratios(&reference);
                self.scores.row(&goal, ratios.median(), figure(ratios.median()));
            }
        }
        if let Some(ns) = of(throughput::DECODE) {
            self.scores.row(&goals::DECODE, ns.min(), pair(ns));
        }
    }

    fn latency(&mut self, name: &str, latency: &Latency) -> Outcomes<()> {
        let mut table = Table::new(&["one message a packet", "minimum / median of the rounds, ns"]);
        for (quantile, figures) in ["p50", "p99", "p99.9"].iter().zip(&latency.quantiles) {
            table.row([(*quantile).to_owned(), pair(figures)]);
        }
        table.row(["largest".to_owned(), pair(&latency.largest)]);
        table.row(["the clock by itself, taken off".to_owned(), pair(&latency.clock)]);
        self.say(format!(
            "### {name}: message by message\n\n{} messages in each round, after {} that are not measured.\n\n{}",
            thousands(latency.messages),
            thousands(latency.warm),
            table.markdown()
        ));
        if name == "syn20m" {
            for (goal, figures) in [goals::P50, goals::P99, goals::P99_9].iter().zip(&latency.quantiles) {
                self.scores.row(goal, figures.median(), pair(figures));
            }
        }
        let marks =
            [(1.0, "0"), (2.0, "50 %"), (10.0, "90 %"), (100.0, "99 %"), (1e3, "99.9 %"), (1e4, "99.99 %")];
        let marks = marks.into_iter().chain([(1e5, "99.999 %"), (1e6, "99.9999 %")]);
        let line = |name: &str, points: &[(f64, f64)]| Line {
            name: name.to_owned(),
            points: points.to_vec(),
            dots: false,
        };
        self.plot(
            "book-latency.svg",
            &Chart {
                title: format!("One message at a time, {name}: decode and book"),
                x: Axis {
                    label: "messages that take no longer",
                    scale: Scale::Log,
                    marks: marks.map(|(at, text)| (at, text.to_owned())).collect(),
                },
                y: Axis { label: "ns", scale: Scale::Log, marks: Vec::new() },
                lines: vec![line("wirebook", &latency.curve), line("the clock alone", &latency.clock_curve)],
            },
        )
    }

    fn growth(&mut self, points: &[Point]) -> Outcomes<()> {
        let mut table = Table::new(&["live orders", "levels", "ns a message, minimum / median", ""]);
        for point in points {
            let complaint =
                (point.faults > 0).then(|| format!("{} anomalies or unread messages", point.faults));
            let complaint = self.complain(complaint);
            table.row([thousands(point.live), thousands(point.levels), pair(&point.ns), complaint]);
        }
        self.say(format!("### More and more live orders\n\n{}", table.markdown()));
        if let [first, .., last] = points {
            let ratio = last.ns.min() / first.ns.min();
            self.scores.row(&goals::GROWTH, ratio, figure(ratio));
        }
        let line = |name: &str, of: &dyn Fn(&Point) -> f64| Line {
            name: name.to_owned(),
            points: points.iter().map(|point| (point.live as f64, of(point))).collect(),
            dots: true,
        };
        self.plot(
            "book-live-orders.svg",
            &Chart {
                title: "Full packets, more and more live orders: decode and book".to_owned(),
                x: Axis {
                    label: "live orders",
                    scale: Scale::Log,
                    marks: growth::LIVE.map(f64::from).map(|at| (at, short(at))).to_vec(),
                },
                y: Axis { label: "ns a message", scale: Scale::Linear, marks: Vec::new() },
                lines: vec![
                    line("wirebook, minimum", &|point| point.ns.min()),
                    line("wirebook, median", &|point| point.ns.median()),
                ],
            },
        )
    }

    fn day(&mut self, day: &Day) {
        let mut table = Table::new(&["a day", ""]);
        let mib = |bytes: u64| format!("{} MiB", thousands(bytes >> 20));
        let complaint = day.complaint();
        let anomalies = match &complaint {
            Some(_) => self.complain(complaint),
            None => "none".to_owned(),
        };
        let rows = [
            ("messages", thousands(day.messages)),
            ("ns a message, over the whole day", figure(day.ns)),
            ("ns a message, the slowest million", figure(day.slowest)),
            ("live orders, end / most", format!("{} / {}", thousands(day.live), thousands(day.peak))),
            ("price levels, most", thousands(day.levels)),
            ("anomalies", anomalies),
            ("memory of the books, by their limits", mib(day.reserved)),
            ("memory of the process, with the books less without", mib(day.resident)),
            ("of the whole process on 2 MiB pages", mib(day.huge)),
            ("bytes for each order at the most, the larger of the two", figure(day.bytes_per_order())),
        ];
        for (name, value) in rows {
            table.row([name.to_owned(), value]);
        }
        let pages = if day.huge * 20 < day.resident * 19 { FRAGMENTED } else { "" };
        self.say(format!("### A day of 2026\n\n{}{pages}", table.markdown()));
        self.scores.row(&goals::BYTES, day.bytes_per_order(), figure(day.bytes_per_order()));
        self.scores.row(&goals::DAY, day.ns, figure(day.ns));
        let gib = day.reserved.max(day.resident) as f64 / f64::from(1 << 30);
        self.scores.row(&goals::DAY_MEMORY, gib, figure(gib));
    }

    fn plot(&self, name: &str, chart: &Chart) -> Outcomes<()> {
        if let Some(directory) = &self.args.plots {
            fs::write(Path::new(directory).join(name), chart.svg())?;
        }
        Ok(())
    }
}

/// What is being done, on one line of a terminal; nothing where nobody watches.
fn progress(what: &str) {
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        use std::io::Write;
        let _ = write!(terminal, "\r\x1b[K{what}\r");
        let _ = terminal.flush();
    }
}
