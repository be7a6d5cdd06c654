//! What can be asked for.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// Decode and book, a stream like a day of 2019; with the reference loop.
    Syn20m,
    /// The same, a stream like the beginning of a day of 2026.
    Syn40m,
    /// Decoding alone, with syn20m.
    Decode,
    /// Other people's books and decoders, with syn20m, syn40m and decode.
    Peers,
    /// One message a packet.
    Latency,
    /// A whole day, and memory.
    Day,
    /// 100 thousand to 7 million live orders.
    Growth,
}

/// wirebook's books beside other people's, on the same streams in the same run. Progress goes to the standard error
/// output, results to the standard output.
#[derive(Clone, Debug, Parser)]
#[command(name = "book-bench", version = None)]
pub struct Args {
    /// What is measured; everything without it
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROW,…")]
    pub rows: Vec<Row>,
    /// Rounds in which the contestants take turns
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// A tenth of each stream: to try it out, not to conclude anything from
    #[arg(long)]
    pub quick: bool,
    /// The CPU to run on; the last one allowed without it
    #[arg(long)]
    pub cpu: Option<usize>,
    /// A file of length-prefixed ITCH 5.0 instead of the streams syn20m and syn40m
    #[arg(long, value_name = "FILE")]
    pub stream: Option<PathBuf>,
    /// Messages of the day
    #[arg(long, value_name = "N")]
    pub day_messages: Option<u64>,
    /// Heap that is taken and written first, GiB
    #[arg(long, value_name = "GIB", default_value_t = 6)]
    pub heap: usize,
    /// Writes the results as Markdown, too: between the marks of a document, where it has some, else instead of the file
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Writes the plots, as SVG, into this directory
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// Only writes the stream SHAPE (syn20m, syn40m, day, live1000000) to this file, each message behind its length
    #[arg(long, value_name = "FILE", requires = "shape")]
    pub write: Option<PathBuf>,
    /// The stream that --write writes
    #[arg(long, value_name = "SHAPE")]
    pub shape: Option<String>,
    /// The process that keeps the books of the day
    #[arg(long, hide = true)]
    pub keep_books: bool,
}

impl Args {
    /// Is `row` asked for?
    #[must_use]
    pub fn wants(&self, row: Row) -> bool {
        self.rows.is_empty() || self.rows.contains(&row)
    }

    /// So many messages of a stream that has `messages`.
    #[must_use]
    pub const fn portion(&self, messages: u64) -> u64 {
        if self.quick { messages / 10 } else { messages }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn without_rows_everything_is_asked_for() {
        let all = Args::parse_from(["book-bench"]);
        assert!(Row::value_variants().iter().all(|row| all.wants(*row)));
        let some = Args::parse_from(["book-bench", "--rows", "syn20m,latency", "--quick"]);
        assert!(some.wants(Row::Latency) && !some.wants(Row::Day));
        assert_eq!(some.portion(200), 20);
    }
}
