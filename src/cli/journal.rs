//! `wirebook journal FILE`: what was wanted, decided, sent and answered, in words.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;

use super::complain;
use super::exit::Exit;
use crate::journal::file::{Findings, HeadError, Reader};
use crate::journal::ring::LeftRing;
use crate::journal::words::Utc;
use crate::journal::{Kind, Record};

mod json;
mod summary;

use summary::Summary;

/// Time between two looks at a file that is followed.
const LOOK: Duration = Duration::from_millis(50);

/// `journal`
#[derive(Args, Debug)]
pub(super) struct JournalArgs {
    /// The journal. What a killed run left in its rings, if they are still there, is read as well.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// One JSON object a line: first the head, then the records, then what was found on the way.
    #[arg(long)]
    json: bool,
    /// Only how often what happened, and what became of each instrument.
    #[arg(long, conflicts_with_all = ["order", "follow"])]
    summary: bool,
    /// Only what concerns this order (its `user_ref_num`), and what it replaced or was replaced by.
    #[arg(long, value_name = "REF")]
    order: Option<u32>,
    /// Go on as the journal grows, until its run ends.
    #[arg(long)]
    follow: bool,
}

pub(super) fn main(args: &JournalArgs) -> Exit {
    let name = args.file.display();
    let file = match File::open(&args.file) {
        Ok(file) => file,
        Err(why) => return complain(Exit::Input, &format!("{name}: cannot be read: {why}")),
    };
    let reader = match Reader::new(BufReader::with_capacity(1 << 20, file)) {
        Ok(reader) => reader,
        Err(why @ HeadError::Read(_)) => return complain(Exit::Input, &format!("{name}: {why}")),
        Err(why) => return complain(Exit::Input, &format!("{name} {why}")),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut shown =
        Shown { args, out: &mut out, summary: Summary::default(), orders: args.order.into_iter().collect() };
    match tell(reader, &mut shown) {
        Ok(found) => verdict(&args.file, &found),
        // A closed pipe is the reader's choice.
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(why) => complain(Exit::Input, &format!("{name}: cannot be read to its end: {why}")),
    }
}

/// Whether all was there.
fn verdict(path: &Path, found: &Findings) -> Exit {
    let name = path.display();
    if found.damaged + found.unknown > 0 {
        let Findings { damaged, unknown, .. } = found;
        return complain(
            Exit::Input,
            &format!(
                "{name}: {damaged} records are damaged, {unknown} of a kind that this version does not know; all others were read"
            ),
        );
    }
    if found.missing + found.lost > 0 {
        let Findings { missing, lost, .. } = found;
        return complain(
            Exit::Flagged,
            &format!(
                "{name}: {missing} records are missing, {lost} found the ring full: the journal is not complete"
            ),
        );
    }
    Exit::Done
}

/// Where and how it is told.
struct Shown<'a, W> {
    args: &'a JournalArgs,
    out: &'a mut W,
    summary: Summary,
    /// The numbers of the order that is asked for, and of what it replaced or was replaced by.
    orders: Vec<u32>,
}

fn tell<R: io::Read, W: Write>(mut reader: Reader<R>, shown: &mut Shown<'_, W>) -> io::Result<Findings> {
    let head = reader.head().clone();
    if shown.args.json {
        json::head(shown.out, &head)?;
    } else {
        writeln!(shown.out, "began {} UTC, {} workers", Utc(head.began_unix_ns), head.workers)?;
        for line in head.text.lines().filter(|line| !line.chars().any(char::is_control)) {
            writeln!(shown.out, "  {line}")?;
        }
    }
    loop {
        while let Some(record) = reader.next_record()? {
            shown.one(&reader, &record)?;
        }
        let left: Vec<LeftRing> =
            head.rings().filter_map(|ring| LeftRing::open(&ring).ok().flatten()).collect();
        let over = reader.findings().ended >= head.workers || left.iter().all(LeftRing::is_over);
        if !shown.args.follow || over {
            // What came to the file meanwhile comes first.
            while let Some(record) = reader.next_record()? {
                shown.one(&reader, &record)?;
            }
            for ring in &left {
                for record in reader.ring(ring)? {
                    shown.one(&reader, &record)?;
                }
            }
            break;
        }
        shown.out.flush()?;
        thread::sleep(LOOK);
    }
    let found = *reader.findings();
    if shown.args.json {
        json::end(shown.out, &found, &shown.summary)?;
    } else {
        if shown.args.summary {
            shown.out.write_all(shown.summary.text().as_bytes())?;
        }
        writeln!(shown.out, "{}", end(&found, head.workers))?;
    }
    shown.out.flush()?;
    Ok(found)
}

/// What was found on the way, in words.
fn end(found: &Findings, workers: u32) -> String {
    let mut text = format!("{} records", found.records);
    for (count, what) in [
        (found.from_rings, "of them still in the rings"),
        (found.repeated, "written twice, counted once"),
        (found.torn_bytes, "bytes of a record that was cut off"),
        (found.empty, "places filled up after such an end"),
        (found.damaged, "DAMAGED"),
        (found.unknown, "of an unknown kind"),
        (found.missing, "MISSING"),
        (found.lost, "LOST: the ring was full"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text.push_str(if found.ended >= workers {
        "; the run ended"
    } else {
        "; the run goes on, or was killed"
    });
    text
}

impl<W: Write> Shown<'_, W> {
    fn one<R: io::Read>(&mut self, reader: &Reader<R>, record: &Record) -> io::Result<()> {
        self.summary.count(record);
        if self.args.summary || !self.concerns(record) {
            return Ok(());
        }
        if self.args.json {
            json::record(self.out, reader.head(), record)
        } else {
            writeln!(self.out, "{}", record.line(reader.head()))
        }
    }

    /// Is it about the order that is asked for? Follows replacements both ways, as far as they come later in the file.
    fn concerns(&mut self, record: &Record) -> bool {
        if self.args.order.is_none() {
            return true;
        }
        let about =
            [record.order, record.other].iter().any(|order| *order != 0 && self.orders.contains(order));
        if about && record.other != 0 && record.kind != Kind::Refused {
            self.orders.extend([record.order, record.other]);
            self.orders.sort_unstable();
            self.orders.dedup();
        }
        about
    }
}

#[cfg(test)]
mod tests;
