//! A whole day, and what it takes of memory.
//!
//! The books are in a process of their own, whose memory can be told. The stream comes from this one, in blocks of a
//! million messages over a pipe; the one makes a block while the other waits, and the other way round, so that neither
//! disturbs the other. Only taking a block is timed.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use wirebook::book::Limits;

use crate::contest::Contestant;
use crate::memory::{HUGE_PAGES, TUNABLES, resident};
use crate::ours::Ours;
use crate::packets::{BURST, Packed, blocks};
use crate::stream::{Shape, Stream};

/// The argument that makes this program the process with the books.
pub const KEEPER: &str = "--keep-books";

/// Messages of a block.
const BLOCK: usize = 1_000_000;

/// What somebody sets who knows the day: 13 thousand symbols, 7 million orders, and a little to spare. The default limits hold
/// more of each.
const LIMITS: Limits = Limits { locates: 1 << 14, orders: 7_300_000, levels: 1_900_000 };

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Day {
    /// Messages.
    pub messages: u64,
    /// Over all of them, ns a message.
    pub ns: f64,
    /// Of the slowest million, ns a message.
    pub slowest: f64,
    /// Live orders at the end, and at most.
    pub live: u64,
    /// See `live`.
    pub peak: u64,
    /// Most price levels at once.
    pub levels: u64,
    /// Anomalies and unread messages; to be 0.
    pub faults: u64,
    /// Bytes that the limits say the books take.
    pub reserved: u64,
    /// Bytes by which the process was larger with the books than without them, at the end of the day.
    pub resident: u64,
    /// Of all that it had, bytes on 2 MiB pages.
    pub huge: u64,
    /// Live orders of the stream at the end.
    pub expected: u64,
}

impl Day {
    /// Bytes for each order at the most that there were.
    #[must_use]
    pub fn bytes_per_order(&self) -> f64 {
        self.reserved.max(self.resident) as f64 / self.peak.max(1) as f64
    }

    /// What must be said.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        if self.faults > 0 {
            return Some(format!("{} anomalies or unread messages", self.faults));
        }
        let [live, expected] = [self.live, self.expected];
        (live != expected).then(|| format!("{live} live orders, the stream has {expected}"))
    }
}

struct Keeper {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Keeper {
    fn start(cpu: usize) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args([KEEPER, "--cpu", &cpu.to_string()]).env(TUNABLES, HUGE_PAGES);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("no pipes"));
        };
        Ok(Self { child, to, from: BufReader::new(from) })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!(
                "the process with the books ended: {}",
                self.child.wait()?
            )));
        }
        Ok(line)
    }
}

/// Lets a process with books on `cpu` take the stream.
///
/// # Errors
/// That process could not be started, or ended early.
pub fn measure(shape: &Shape, cpu: usize, mut progress: impl FnMut(&str)) -> io::Result<Day> {
    let mut keeper = Keeper::start(cpu)?;
    let mut stream = Stream::new(shape);
    let mut bytes = Vec::new();
    let mut day = Day::default();
    let mut total = 0.0;
    loop {
        bytes.clear();
        let messages = stream.fill(&mut bytes, BLOCK);
        keeper.to.write_all(&u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes())?;
        keeper.to.write_all(&bytes)?;
        if messages == 0 {
            break;
        }
        let taken: f64 = keeper.line()?.trim().parse().map_err(io::Error::other)?;
        total += taken;
        day.messages += messages as u64;
        day.slowest = day.slowest.max(taken / messages as f64);
        if day.messages.is_multiple_of(10 * BLOCK as u64) {
            let mean = total / day.messages as f64;
            progress(&format!("{} million messages of the day: {mean:.1} ns each", day.messages / 1_000_000));
        }
    }
    let line = keeper.line()?;
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [live, peak, levels, faults, reserved, resident, huge] = numbers[..] else {
        return Err(io::Error::other(format!("the process with the books said {line:?}")));
    };
    drop(keeper.to);
    keeper.child.wait()?;
    let expected = u64::from(stream.facts().live);
    let ns = total / day.messages.max(1) as f64;
    Ok(Day { ns, live, peak, levels, faults, reserved, resident, huge, expected, ..day })
}

/// The process with the books: takes blocks from the standard input, says after each how many ns it took, at the end what
/// the books are.
///
/// # Errors
/// Input or output, or no memory.
pub fn keep() -> io::Result<()> {
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    let limits = LIMITS;
    let (mut bytes, mut packed) = (Vec::new(), Packed::with_room_for(BLOCK as u64 * 2));
    let mut books: Option<(Ours, u64)> = None;
    loop {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length == 0 {
            break;
        }
        bytes.resize(length, 0);
        from.read_exact(&mut bytes)?;
        packed.clear();
        blocks(&bytes).for_each(|block| packed.push(block));
        packed.close();
        let packets = packed.packets(u64::MAX).0;
        let ours = match &mut books {
            Some((ours, _)) => ours,
            // Not before the memory for a block is there, so that it is not taken for the books'.
            None => {
                let before = resident()?.bytes;
                &mut books.insert((Ours::new(limits).map_err(io::Error::other)?, before)).0
            }
        };
        let began = Instant::now();
        packets.chunks(BURST).for_each(|burst| ours.burst(burst));
        writeln!(to, "{}", began.elapsed().as_nanos())?;
        to.flush()?;
    }
    let Some((ours, before)) = books else { return Err(io::Error::other("a day without messages")) };
    let (usage, now) = (ours.books().usage(), resident()?);
    let figures = [
        u64::from(usage.orders),
        u64::from(usage.orders_peak),
        u64::from(usage.levels_peak),
        ours.faults(),
        limits.memory_bytes() as u64,
        now.bytes.saturating_sub(before),
        now.huge,
    ];
    writeln!(to, "{}", figures.map(|figure| figure.to_string()).join(" "))
}
