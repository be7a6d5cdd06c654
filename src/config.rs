//! The configuration file: TOML in, typed and validated values out, or every problem at once.
//!
//! `config/feed.toml` shows every key with its unit, range and default. A key that is not known, a value of the
//! wrong type or out of range, and values that contradict each other are refused, each as
//! `file:line:column: what is wrong — what to write instead`. Nothing is guessed and nothing is ignored:
//! a misspelt limit must not leave its default in force.
//!
//! This is floor 5. The floors below take the plain values found here and never see a [`Config`].

use std::fs::File;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::market::{Price, Symbol};

mod document;
mod problem;
mod read;
mod recovery;
mod rules;
mod share;
mod suggest;
mod value;

pub use problem::{ConfigErrors, Problem};
pub use recovery::{Recovery, Requests, Secret, Snapshot, Stated};

use document::Document;
pub(crate) use suggest::nearest;

/// Longest file that is read, in bytes. A configuration is far below it; a file named by mistake is not.
pub const MAX_FILE: u64 = 1 << 20;

/// Everything the file says, with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[port]`
    pub port: Port,
    /// `[lcores]`
    pub lcores: Lcores,
    /// `[feed]`
    pub feed: Feed,
    /// `[recovery]`; `None` where the file has no such section: what both lines lost stays lost.
    pub recovery: Option<Recovery>,
    /// `[book]`
    pub book: Book,
    /// `[instruments]`
    pub instruments: Instruments,
    /// `[strategy]`
    pub strategy: Strategy,
    /// `[risk]`
    pub risk: Risk,
    /// `[gateway]`; `None` where the file has no such section: no order can be sent.
    pub gateway: Option<Gateway>,
    /// `[determinism]`
    pub determinism: Determinism,
    /// `[journal]`; `None` where the file has no such section: orders are not journalled.
    pub journal: Option<Journal>,
    /// `[latency]`
    pub latency: Latency,
    /// `[telemetry]`
    pub telemetry: Telemetry,
    /// `[log]`
    pub log: Log,
    /// `[doctor]`
    pub doctor: Doctor,
}

/// Which port, as the EAL knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRef {
    /// The nth port that the EAL found, from 0.
    Index(u16),
    /// A PCI address with its domain (`0000:01:00.0`) or the name of a virtual device (`net_ring0`).
    Name(String),
}

/// How the groups of the lines are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Igmp {
    /// IGMPv3, and the older version of a querier while one is heard (RFC 3376, section 7).
    Auto,
    /// IGMPv3, whatever the querier speaks.
    V3,
    /// IGMPv2.
    V2,
    /// Not at all: the switch is told by hand.
    Off,
}

/// `[port]`: the NIC port or ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The port that receives line A.
    pub feed: PortRef,
    /// The port that receives line B; the same as `feed` unless the file names another.
    pub line_b: PortRef,
    /// The port that orders leave by; the same as `feed` unless the file names another.
    pub orders: PortRef,
    /// Longest IP packet, in bytes, `68 ..= 9000`.
    pub mtu: u16,
    /// Receive descriptors asked for, `32 ..= 32768`; the port's limits may change it.
    pub rx_descriptors: u16,
    /// Transmit descriptors asked for, `32 ..= 32768`; the port's limits may change it.
    pub tx_descriptors: u16,
    /// Receive queues of each port, at most one a worker; `None`: one a worker where the port spreads what it receives, else
    /// one.
    pub rx_queues: Option<u16>,
    /// Receive everything instead of programming a multicast filter.
    pub promiscuous: bool,
    /// How long to wait for the link at the start; zero: do not wait.
    pub link_wait: Duration,
    /// Our address on the feed port: ARP is answered for it, reports of groups come from it. `None`: that of the gateway
    /// section where orders leave by the same port, else none.
    pub ip: Option<Ipv4Addr>,
    /// The same on the port of line B, where it is another.
    pub line_b_ip: Option<Ipv4Addr>,
    /// How the groups of the lines are joined.
    pub igmp: Igmp,
    /// How often a report of a change is sent, `1 ..= 7`, so that one may be lost.
    pub igmp_robustness: u8,
}

impl Port {
    /// Each port once, in the order in which the loop numbers them: that of line A, that of line B, that of the orders.
    #[must_use]
    pub fn distinct(&self) -> Vec<&PortRef> {
        let mut all = vec![&self.feed];
        for port in [&self.line_b, &self.orders] {
            if !all.contains(&port) {
                all.push(port);
            }
        }
        all
    }

    /// The place of a port among [`Port::distinct`]; 0, that of line A, for one that is not among them.
    #[must_use]
    pub fn place(&self, port: &PortRef) -> u8 {
        let at = self.distinct().iter().position(|one| *one == port).unwrap_or(0);
        // There are three at most.
        at as u8
    }
}

/// `[lcores]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lcores {
    /// The EAL lcores that run poll loops, one each; empty: one loop, on the first worker of the EAL's list. At most
    /// [`MAX_WORKERS`].
    pub workers: Vec<u16>,
}

/// Most poll loops of a process.
pub const MAX_WORKERS: usize = 16;

impl Lcores {
    /// How many poll loops there are, at least 1.
    #[must_use]
    pub fn count(&self) -> u16 {
        // No more than `MAX_WORKERS`.
        self.workers.len().max(1) as u16
    }
}

/// `[feed]`: one MoldUDP64 stream on one or two lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Line A.
    pub line_a: Line,
    /// Line B, which carries the same stream; `None`: nothing fills the holes of line A.
    pub line_b: Option<Line>,
    /// Packets held while a hole is waited for, `0 ..= 65536`.
    pub reorder_packets: u32,
    /// How long a hole is waited for before it is called a gap.
    pub reorder_wait: Duration,
    /// The packets of one line may overtake each other: a hole is waited for even when both lines have passed it.
    pub lines_reorder: bool,
    /// A line that has been silent for so long is called dead; while both are, no book counts as live, and the session may be
    /// succeeded.
    pub heartbeat_timeout: Duration,
    /// Longest UDP payload accepted, in bytes, `64 ..= 8972`.
    pub max_payload: u16,
}

/// `[feed.line.a]`, `[feed.line.b]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Multicast group.
    pub group: Ipv4Addr,
    /// UDP destination port.
    pub port: u16,
    /// 802.1Q VLAN of its frames, `1 ..= 4094`; `None`: untagged.
    pub vlan: Option<u16>,
    /// Only this sender is accepted; `None`: any.
    pub source: Option<Ipv4Addr>,
}

/// `[book]`: all memory of the books is reserved for these numbers at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Book {
    /// Instruments, `1 ..= 65536`: locates from 0 to one less.
    pub max_locates: u32,
    /// Live orders of all books.
    pub max_orders: u32,
    /// Price levels of all books.
    pub max_levels: u32,
}

/// `[instruments]`: those the strategy may act on. Books are kept for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruments {
    /// Every instrument of the feed.
    All,
    /// These; none by default.
    Listed(Vec<Symbol>),
}

/// Which strategy runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrategyKind {
    /// None: books only.
    None,
    /// Queue imbalance at the touch.
    Imbalance,
    /// What a model predicts.
    Model,
    /// Quotes on both sides.
    Maker,
    /// The one to copy.
    Template,
}

/// How the strategy trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Immediate-or-cancel at the opposite touch.
    Take,
    /// A resting order at its own side's best price.
    Join,
}

/// `[strategy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// Which one runs.
    pub kind: StrategyKind,
    /// Most instruments for which features are kept, `1 ..= 65534`.
    pub instruments: u16,
    /// Imbalance, in basis points of (bid − ask) / (bid + ask), from which it enters, `1 ..= 10000`.
    pub entry_bp: u16,
    /// Imbalance under which it cancels what rests, in basis points, less than `entry_bp`.
    pub exit_bp: u16,
    /// Size of an order in shares, `1 ..= 999999`.
    pub order_shares: u32,
    /// How it trades.
    pub style: Style,
    /// Widest spread on which it acts.
    pub max_spread: Price,
    /// Rest after an order, per instrument.
    pub cooldown: Duration,
    /// The file of the model; `None`: there is none, and kind is not [`StrategyKind::Model`].
    pub model: Option<PathBuf>,
    /// Prediction from which it enters, in 1/1,000 basis points, `1 ..= 1_000_000`.
    pub model_entry_mbp: u32,
    /// Prediction under which it cancels what rests, less than that.
    pub model_exit_mbp: u32,
    /// What a maker is told.
    pub maker: Maker,
}

/// The keys of `[strategy]` that begin with `maker_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker {
    /// Least distance of a quote from the microprice.
    pub edge: Price,
    /// What the quotes move by for each `order_shares` held.
    pub skew: Price,
    /// Largest position that it quotes for, in shares, `1 ..= 100_000_000`.
    pub position: u32,
    /// Ticks that a quote with a good place may be off its price, `0 ..= 100`.
    pub keep_ticks: u32,
    /// Imbalance of three levels from which a side is not quoted, in basis points, `1 ..= 10_000`.
    pub turn_bp: u16,
    /// How long a reply may take.
    pub reply: Duration,
}

/// `[risk]`: nothing leaves that breaks one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Risk {
    /// Closed by default: unarmed, no new order leaves.
    pub armed: bool,
    /// Largest order in shares.
    pub max_order_shares: u32,
    /// Largest price × shares of an order, in 1/10,000 dollar.
    pub max_order_value: u64,
    /// Farthest an order's price may be beyond the opposite touch or behind its own, in basis points of that touch.
    pub collar_bp: u16,
    /// Farthest it may be from the instrument's reference price, in basis points; `None`: not looked at.
    pub reference_collar_bp: Option<u16>,
    /// Largest position of an instrument, long or short, open orders counted as if filled, in shares.
    pub max_position_shares: u32,
    /// Largest sum of the absolute values of all positions and open orders, in 1/10,000 dollar.
    pub max_gross_value: u64,
    /// Orders that may be open at once.
    pub max_open_orders: u32,
    /// Order messages a second, all instruments together.
    pub max_orders_per_second: u32,
    /// Order messages a second for one instrument.
    pub max_orders_per_second_per_symbol: u32,
    /// An order equal to one sent less than this ago is refused; zero: no such check.
    pub duplicate_window: Duration,
    /// Instruments that must not be traded.
    pub restricted: Vec<Symbol>,
    /// Exchange time in which new orders may leave, ns since midnight; `None`: at any.
    pub hours: Option<Range<u64>>,
    /// The file whose existence throws the kill switch; `None`: no file does.
    pub kill_file: Option<PathBuf>,
}

/// `[journal]`: where orders are journalled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// Where each run writes a file of its own.
    pub directory: PathBuf,
    /// Where the rings between loops and files are: memory.
    pub ring_directory: PathBuf,
    /// Records of a ring, a power of two; one ring a worker.
    pub ring_records: u64,
}

/// How orders are framed on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Our own UDP test framing: for tests and demos, not an exchange's.
    WutfUdp,
    /// OUCH 5.0 in SoupBinTCP over TCP.
    OuchTcp,
}

/// Ports of ours that connections of [`Framing::OuchTcp`] take in turn.
pub const OUCH_PORTS: u16 = 8;

/// Whose TCP carries the orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// Our own, on the port that the orders leave by.
    Own,
    /// The kernel's.
    Kernel,
}

/// What `[gateway]` says for [`Framing::OuchTcp`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ouch {
    /// Whose TCP it is.
    pub stack: Stack,
    /// At most 6 characters; empty: none is given.
    pub username: String,
    /// At most 10 characters.
    pub password: Secret,
    /// The venue's session to log into, at most 10 characters; empty: whichever is current.
    pub session: String,
    /// After a connection that broke, orders that are open still are cancelled once it is back.
    pub cancel_on_disconnect: bool,
}

/// `[gateway]`: where orders go and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Framing of the orders.
    pub framing: Framing,
    /// Our address.
    pub local_ip: Ipv4Addr,
    /// Our hardware address; `None`: the port's own.
    pub local_mac: Option<[u8; 6]>,
    /// Our port; with [`Framing::OuchTcp`] the first of some, or 0: any.
    pub local_port: u16,
    /// The gateway's address.
    pub ip: Ipv4Addr,
    /// The gateway's port.
    pub port: u16,
    /// Hardware address of the next hop; `None`: resolved by ARP.
    pub mac: Option<[u8; 6]>,
    /// The router on the way to the gateway, whose hardware address is resolved; `None`: the gateway itself.
    pub next_hop: Option<Ipv4Addr>,
    /// 802.1Q VLAN of its frames, `1 ..= 4094`; `None`: untagged.
    pub vlan: Option<u16>,
    /// For OUCH over TCP.
    pub ouch: Ouch,
}

/// `[determinism]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Determinism {
    /// Lock all memory of the process.
    pub lock_memory: bool,
    /// `SCHED_FIFO` priority of the loops, `1 ..= 99`; `None`: they are scheduled like everybody.
    pub fifo_priority: Option<u8>,
    /// Longest time that CPUs may take to wake up, us; `None`: as the system has it.
    pub cpu_dma_latency: Option<u32>,
    /// Time between two rehearsals of an order while nothing comes; 0: none.
    pub rehearse: Duration,
}

/// `[latency]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Stamp each stage with the TSC.
    pub stages: bool,
    /// One packet of so many is recorded; 1: all.
    pub sample_every: u32,
    /// Time between two tables; zero: only at the end.
    pub print_every: Duration,
}

/// `[telemetry]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Answer `/wirebook/…` commands on the EAL's telemetry socket.
    pub commands: bool,
    /// Let `dpdk-dumpcap` capture from this process.
    pub capture: bool,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What stops something.
    Error,
    /// What should not be so.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// `[log]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Ours.
    pub level: Level,
    /// DPDK's own messages.
    pub dpdk: Level,
}

/// `[doctor]`: what `wirebook doctor` is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doctor {
    /// Ids of findings that are as they are by decision: a warning of one of them is told, and no longer counts.
    pub accept: Vec<&'static str>,
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// All problems found: the file cannot be read, is longer than [`MAX_FILE`], is not UTF-8 or TOML, or says
    /// something that is not accepted.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let refuse = |what: String, remedy: &str| ConfigErrors::whole_file(&name, what, remedy);
        let unreadable = |error: std::io::Error| {
            refuse(format!("cannot be read: {error}"), "give a readable file to --config")
        };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(refuse(
                format!("is longer than {MAX_FILE} bytes"),
                "give a wirebook configuration to --config",
            ));
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::parse(text, &name),
            Err(error) => Err(refuse(
                format!("is not UTF-8 text (byte {})", error.valid_up_to()),
                "save it as UTF-8, or give a wirebook configuration to --config",
            )),
        }
    }

    /// Checks `text`; `name` is what the problems call it.
    ///
    /// # Errors
    /// All problems found, in the order of the text.
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigErrors> {
        let mut document = Document::parse(text);
        if document.is_broken() {
            // What a broken text means cannot be known: more complaints about it would be guesses.
            return Err(document.into_errors(name));
        }
        let config = read::config(&mut document);
        document.refuse_unknown();
        rules::check(&config, &mut document);
        if document.is_clean() { Ok(config) } else { Err(document.into_errors(name)) }
    }

    /// Every key that is understood, as `section.key`, in the order of the sections.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        let mut document = Document::parse("");
        let _ = read::config(&mut document);
        document.into_known()
    }
}
