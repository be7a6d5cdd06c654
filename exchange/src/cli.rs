//! The commands. Each checks all its options before it opens a file or a socket.

mod args;
mod serve;
mod source;

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::net::Ipv4Addr;

use args::Args;
use exchange::files::{ItchReader, ItchWriter, PcapWriter};
use exchange::frames::{Addressing, Framer};
use exchange::lines::{self, Line, LineConfig};
use exchange::publisher::{self, Publisher};
use exchange::reference::Books;
use exchange::units::Row;
use source::Source;

const USAGE: &str = "\
exchange: a simulated exchange - ITCH 5.0 feed out, OUCH 5.0 orders in

  exchange stream --messages N --out FILE.itch [market]
      writes a whole day of exactly N messages, each behind its length (u16, big-endian)
  exchange pcap   (--messages N [market] | --from FILE.itch) --out FILE.pcap [packets] [lines] [network]
      the same day, or another ITCH file, as MoldUDP64 frames of both lines
  exchange serve  (--messages N | --for SECONDS | --control) --interface-ip IP [market] [packets] [lines] [network]
      the exchange live, over kernel sockets: lines, request servers, snapshots, order gateways, and faults
  exchange books  FILE.itch [--dump FILE.csv]
      builds the books of an ITCH file, strictly, and says what is in it

market: --symbols N (64)       --seed N (1)          --rate N messages a second (200000)
        --live-orders N (20000)                      --halt-every N messages, 0 never (50000)
        --dump FILE.csv: the books as the market has them at the end
packets: --limit BYTES (1400)  --coalesce-us N (50)  --session NAME (WIREBOOK01)
lines:  --loss-a PPM  --loss-b PPM  --burst N (1)    --disjoint: what A loses, B brings
        --both PPM: lost on both  --only-a           --line-seed N (1)
        --duplicate-a PPM  --duplicate-b PPM  --reorder-a PPM  --reorder-b PPM  --depth N (4)
        --skew-us N: B behind A (3)  --jitter-us N (0)
        --truncate-a PPM  --truncate-b PPM  --flip-a PPM  --flip-b PPM: one bit  --stray-a PPM  --stray-b PPM
network: --group-a IP (239.1.1.1)  --group-b IP (239.1.1.2)  --port N (26400)
        pcap: --source IP (10.0.0.1)  --source-mac MAC (02:00:00:00:00:01)  --vlan N
serve:  --gateway PORT: orders, UDP test framing  --ouch PORT: OUCH over SoupBinTCP  --glimpse PORT: snapshots
        --requests PORT[,PORT]: request servers of A and B  --services-ip IP: where they listen (--interface-ip)
        --burst-every-ms N  --burst-ms N (10)  --burst-factor N (10): so many times the rate
        --wait-ms N before the first message (0)  --linger-ms N after the last (500)
        --plan 'TIME FAULT; TIME FAULT; ...', for example '3s lose 500; 6s requests silent; 6s lose 500; 9s requests ok'
        --control: a fault each line of standard input, at once; its end closes the day
faults: lose N | burst FACTOR LENGTH | line-a dead LENGTH | line-b dead LENGTH | flap LENGTH | drop-orders | roll
        requests [a|b] ok|silent|slow TIME|wrong-session|wrong-sequence|partial|garbage|unasked|twice
        glimpse ok|refuse-login|silent|cut-off N|slow BYTES|endless|bad-length|wrong-session|old-sequence N|garbage
                |drop-connection

exit codes: 0 done, 1 it failed, 2 wrong usage
";

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// Something could not be read, written or sent; the text says what.
    Io(String, io::Error),
    /// The input is not what it should be.
    Input(String),
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        if matches!(self, Self::Usage(_)) { 2 } else { 1 }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => write!(f, "{what} (exchange --help shows the usage)"),
            Self::Io(what, error) => write!(f, "{what}: {error}"),
            Self::Input(what) => f.write_str(what),
        }
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Options of every group; a command names the groups that it knows.
const MARKET: &[&str] = &["messages", "symbols", "seed", "rate", "live-orders", "halt-every", "dump"];
const PACKETS: &[&str] = &["limit", "coalesce-us", "session"];
const LINES: &[&str] = &[
    "loss-a",
    "loss-b",
    "burst",
    "both",
    "line-seed",
    "duplicate-a",
    "duplicate-b",
    "reorder-a",
    "reorder-b",
    "depth",
    "skew-us",
    "jitter-us",
    "truncate-a",
    "truncate-b",
    "flip-a",
    "flip-b",
    "stray-a",
    "stray-b",
];
const NETWORK: &[&str] = &["group-a", "group-b", "port"];
const LINE_SWITCHES: &[&str] = &["disjoint", "only-a"];

/// Runs the command that the arguments name.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let Some((command, rest)) = arguments.split_first() else {
        return Err(Failure::Usage("name a command: stream, pcap, serve or books".into()));
    };
    if command == "--help" || command == "-h" || command == "help" || rest.iter().any(|word| word == "--help")
    {
        return print(USAGE);
    }
    match command.as_str() {
        "stream" => stream(&Args::parse(rest, &[MARKET, &["out"]], &[], 0)?),
        "pcap" => {
            let own = &["from", "out", "source", "source-mac", "vlan"];
            pcap(&Args::parse(rest, &[MARKET, PACKETS, LINES, NETWORK, own], LINE_SWITCHES, 0)?)
        }
        "serve" => {
            let groups = &[MARKET, PACKETS, LINES, NETWORK, serve::OWN];
            serve::serve(&Args::parse(rest, groups, &[LINE_SWITCHES, &["control"]].concat(), 0)?)
        }
        "books" => books(&Args::parse(rest, &[&["dump"]], &[], 1)?),
        other => Err(Failure::Usage(format!("there is no command '{other}'"))),
    }
}

fn print(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::Io("writing to standard output".into(), error))
}

fn print_rows(title: &str, rows: &[Row]) -> Outcome {
    let mut text = format!("{title}\n");
    for (name, value) in rows {
        text.push_str(&format!("  {name:<18} {value:>14}\n"));
    }
    print(&text)
}

fn create(path: &str) -> Outcome<BufWriter<File>> {
    File::create(path)
        .map(|file| BufWriter::with_capacity(1 << 20, file))
        .map_err(|error| Failure::Io(format!("creating {path}"), error))
}

fn open(path: &str) -> Outcome<ItchReader<BufReader<File>>> {
    File::open(path)
        .map(|file| ItchReader::new(BufReader::with_capacity(1 << 20, file)))
        .map_err(|error| Failure::Io(format!("opening {path}"), error))
}

fn publisher_config(args: &Args) -> Outcome<publisher::Config> {
    let ppm = |name| args.number(name, 0u32, 0..=1_000_000);
    let (burst, depth) = (args.number("burst", 1, 1..=1_000)?, args.number("depth", 4, 1..=1_000)?);
    let jitter = args.number("jitter-us", 0u32, 0..=1_000_000)? * 1_000;
    let skew = args.number("skew-us", 3u64, 0..=50_000)? * 1_000;
    let a = LineConfig {
        loss_ppm: ppm("loss-a")?,
        loss_burst: burst,
        duplicate_ppm: ppm("duplicate-a")?,
        reorder_ppm: ppm("reorder-a")?,
        reorder_depth: depth,
        delay_ns: 0,
        jitter_ns: jitter,
        truncate_ppm: ppm("truncate-a")?,
        bit_flip_ppm: ppm("flip-a")?,
        stray_ppm: ppm("stray-a")?,
        ..LineConfig::default()
    };
    let b = LineConfig {
        loss_ppm: ppm("loss-b")?,
        duplicate_ppm: ppm("duplicate-b")?,
        reorder_ppm: ppm("reorder-b")?,
        truncate_ppm: ppm("truncate-b")?,
        bit_flip_ppm: ppm("flip-b")?,
        stray_ppm: ppm("stray-b")?,
        delay_ns: skew,
        ..a
    };
    let default = publisher::Config::default();
    let mut session = default.session;
    if let Some(name) = args.text("session") {
        if name.is_empty() || name.len() > 10 || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::Usage("--session must be 1 to 10 printable characters".into()));
        }
        session = [b' '; 10];
        session[..name.len()].copy_from_slice(name.as_bytes());
    }
    Ok(publisher::Config {
        session,
        limit: args.number("limit", default.limit, 100..=8_972)?,
        coalesce_ns: args.number("coalesce-us", default.coalesce_ns / 1_000, 0..=1_000_000)? * 1_000,
        lines: lines::Config {
            seed: args.number("line-seed", 1, 0..=u64::MAX)?,
            a,
            b: (!args.switch("only-a")).then_some(b),
            disjoint: args.switch("disjoint"),
            both_ppm: ppm("both")?,
        },
        ..default
    })
}

/// Group and port of each line.
fn groups(args: &Args) -> Outcome<[(Line, Ipv4Addr, u16); 2]> {
    let port = args.number("port", 26_400, 1..=u16::MAX)?;
    let a = args.address("group-a", Ipv4Addr::new(239, 1, 1, 1))?;
    let b = args.address("group-b", Ipv4Addr::new(239, 1, 1, 2))?;
    for (name, group) in [("group-a", a), ("group-b", b)] {
        if !group.is_multicast() {
            return Err(Failure::Usage(format!("--{name} must be a multicast address, 224.0.0.0 and above")));
        }
    }
    if a == b && !args.switch("only-a") {
        return Err(Failure::Usage("--group-a and --group-b must differ".into()));
    }
    Ok([(Line::A, a, port), (Line::B, b, port)])
}

fn print_lines(publisher: &Publisher) -> Outcome {
    for (title, line) in [("line A", Line::A), ("line B", Line::B)] {
        if let Some(counters) = publisher.lines().counters(line) {
            print_rows(title, &counters.rows())?;
        }
    }
    let lines = publisher.lines();
    print_rows(
        "stream",
        &[
            ("packets", lines.pushed()),
            ("messages", publisher.next_sequence() - 1),
            ("lost_on_all_lines", lines.lost_on_all()),
        ],
    )
}

fn stream(args: &Args) -> Outcome {
    let path = args.required("out")?;
    let mut source = Source::from_args(args)?;
    let mut writer = ItchWriter::new(create(path)?);
    let mut failed = None;
    while failed.is_none()
        && source.step(&mut |_, message| {
            if let Err(error) = writer.write(message) {
                failed.get_or_insert(error);
            }
        })?
    {}
    let written = match failed {
        Some(error) => Err(error),
        None => writer.finish(),
    };
    written.map_err(|error| Failure::Io(format!("writing {path}"), error))?;
    source.report()
}

/// Midnight of 2026-01-05, ns after 1970: the day that virtual times are shown on.
const DAY: u64 = 1_767_571_200_000_000_000;

fn pcap(args: &Args) -> Outcome {
    let path = args.required("out")?;
    let config = publisher_config(args)?;
    let vlan = match args.has("vlan") {
        true => Some(args.number("vlan", 0, 1..=4_094)?),
        false => None,
    };
    let source_ip = args.address("source", Ipv4Addr::new(10, 0, 0, 1))?;
    let source_mac = args.mac("source-mac", [2, 0, 0, 0, 0, 1])?;
    let mut framers = groups(args)?
        .map(|(_, group, port)| Framer::new(Addressing::multicast(source_mac, source_ip, group, port, vlan)));
    let mut source = Source::from_args(args)?;
    let writing = |error| Failure::Io(format!("writing {path}"), error);
    let mut file = PcapWriter::new(create(path)?).map_err(writing)?;
    let mut publisher = Publisher::new(&config);
    let mut failed = None;
    let mut write = |line, at: u64, payload: &[u8]| {
        let [a, b] = &mut framers;
        let framer = if line == Line::A { a } else { b };
        let written = match framer.frame(payload) {
            Some(frame) => file.write(DAY.saturating_add(at), frame),
            None => Err(io::ErrorKind::InvalidInput.into()),
        };
        if let Err(error) = written {
            failed.get_or_insert(error);
        }
    };
    let mut now = 0;
    let mut too_long = None;
    while too_long.is_none()
        && source.step(&mut |time, message| {
            // Times of a foreign file may be anything; the lines' never go back.
            now = now.max(time);
            if let Err(error) = publisher.push(now, message, &mut write) {
                too_long.get_or_insert(error);
            }
        })?
    {}
    if let Some(error) = too_long {
        return Err(Failure::Input(error.to_string()));
    }
    publisher.end(now, &mut write);
    if let Some(error) = failed {
        return Err(writing(error));
    }
    file.finish().map_err(writing)?;
    source.report()?;
    print_lines(&publisher)
}

fn books(args: &Args) -> Outcome {
    let path = args.positional(0, "FILE.itch")?;
    let mut reader = open(path)?;
    let mut books = Books::new();
    while let Some(message) = reader.next().map_err(|error| Failure::Io(format!("reading {path}"), error))? {
        books.apply(message).map_err(|fault| Failure::Input(format!("{path}: {fault}")))?;
    }
    let mut text = String::from("messages\n");
    for (kind, count) in books.by_kind() {
        text.push_str(&format!("  {:<18} {count:>14}\n", char::from(*kind)));
    }
    print(&text)?;
    print_rows(
        "books",
        &[
            ("messages", books.messages()),
            ("instruments", books.instruments() as u64),
            ("live_orders", books.live_orders() as u64),
            ("ended", u64::from(books.ended())),
        ],
    )?;
    if let Some(dump) = args.text("dump") {
        let mut file = create(dump)?;
        books
            .dump(&mut file)
            .and_then(|()| file.flush())
            .map_err(|error| Failure::Io(format!("writing {dump}"), error))?;
    }
    Ok(())
}
