//! One guest with the NIC under test, an exchange at the other end of its cable, and wirebook in the guest.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use exchange::sockets;
use exchange::units::Symbol;
use wirebook::config::Config;
use wirebook::stop::StopFlag;
use wirebook::venue::{Legacy, Setup, Venue, exchange_config};

use crate::cable::{Cable, US};
use crate::guest::{Ended, Guest, Model, Nic, Options, SHORT, Spawned, possible, read, tail};

/// Messages of the market a second. The guest translates every instruction, and others use this machine.
const RATE: u32 = 1_500;
pub(crate) const SYMBOLS: u16 = 8;
/// Receive descriptors: few, to be overrun.
pub(crate) const RING: u64 = 512;
pub(crate) const GROUPS: [Ipv4Addr; 2] = [Ipv4Addr::new(239, 1, 1, 1), Ipv4Addr::new(239, 1, 1, 2)];
pub(crate) const FEED_PORT: u16 = 26_400;
pub(crate) const ORDER_PORT: u16 = 31_001;

/// The host's address as a guest with a `lan` has it.
const HOST: &str = "10.0.2.2";

/// The exchange on the cable.
pub(crate) struct Market {
    pub(crate) venue: Venue,
    rx: Cable,
    tx: Cable,
    /// The first time that it was played. A NIC that nobody has started takes no frames: it says nothing before.
    began: Option<Instant>,
}

impl Market {
    fn now(&self) -> u64 {
        self.began.map_or(0, |began| u64::try_from(began.elapsed().as_nanos()).unwrap())
    }

    fn pump(&mut self) {
        if self.began.is_none() {
            return self.rx.listen();
        }
        for _ in 0..1_000 {
            let now = self.now();
            if !self.venue.pump(&mut self.rx, &mut self.tx, now) {
                break;
            }
        }
    }
}

/// What is tried: which NICs, and whose driver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    /// As the table and `NICS` call it.
    pub(crate) name: &'static str,
    /// One, or one for each line of the feed.
    pub(crate) models: &'static [Model],
    /// Driven by our own driver instead of DPDK's.
    pub(crate) direct: bool,
}

impl Subject {
    pub(crate) const ALL: [Self; 8] = [
        Self::new("e1000e", &[Model::E1000e]),
        Self::new("igb", &[Model::Igb]),
        Self::new("e1000", &[Model::E1000]),
        Self::new("virtio", &[Model::Virtio]),
        Self::new("vmxnet3", &[Model::Vmxnet3]),
        Self::new("two-ports", &[Model::E1000e, Model::Virtio]),
        Self { direct: true, ..Self::new("direct-e1000e", &[Model::E1000e]) },
        Self { direct: true, ..Self::new("direct-igb", &[Model::Igb]) },
    ];

    /// With DPDK's drivers.
    pub(crate) const fn new(name: &'static str, models: &'static [Model]) -> Self {
        Self { name, models, direct: false }
    }

    /// Whether QEMU has its NICs.
    pub(crate) fn possible(&self) -> Result<(), String> {
        self.models.iter().try_for_each(|model| possible(*model))
    }
}

/// A program that runs, and where it will leave its books and its report.
pub(crate) struct Handler {
    pub(crate) process: Spawned,
    name: String,
}

impl Handler {
    /// How often its log has any of `texts`.
    pub(crate) fn said(&self, texts: &[&str]) -> usize {
        let log = self.process.stderr();
        texts.iter().map(|text| log.matches(text).count()).sum()
    }
}

/// What a run left.
pub(crate) struct Left {
    pub(crate) ended: Ended,
    report: toml::Table,
    books: String,
}

impl Left {
    /// A counter, which must exist.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let value = self.report["counters"].get(name).unwrap_or_else(|| panic!("there is no counter {name}"));
        value.as_integer().unwrap().cast_unsigned()
    }

    /// A counter of one of several workers.
    pub(crate) fn of_worker(&self, at: usize, name: &str) -> u64 {
        self.report["workers"].as_array().unwrap()[at][name].as_integer().unwrap().cast_unsigned()
    }

    /// Positions that are not 0, in shares.
    pub(crate) fn positions(&self) -> BTreeMap<String, i64> {
        let table = self.report["positions"].as_table().unwrap();
        table.iter().map(|(symbol, shares)| (symbol.clone(), shares.as_integer().unwrap())).collect()
    }

    /// Fails with the first order in which our books and the exchange's differ.
    pub(crate) fn same_books(&self, legacy: &Legacy) {
        let theirs = String::from_utf8_lossy(&legacy.books);
        let [ours, theirs]: [Vec<&str>; 2] =
            [&self.books, &*theirs].map(|text| text.lines().skip(1).collect());
        assert!(theirs.len() > 100, "{} orders are too few to compare", theirs.len());
        for (at, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(a, b, "order {at} of {} and {}", ours.len(), theirs.len());
        }
        assert_eq!(ours.len(), theirs.len(), "number of orders");
    }
}

/// The test bed.
pub(crate) struct Bed {
    pub(crate) subject: Subject,
    pub(crate) guest: Guest,
    pub(crate) cable: Cable,
    pub(crate) market: Option<Market>,
    runs: u32,
    /// What the EAL is told of its lcores, and what the configuration is told beyond the usual.
    pub(crate) lcores: &'static str,
    pub(crate) more: &'static str,
}

impl Bed {
    pub(crate) fn boot(subject: Subject) -> Result<Self, String> {
        let options = Options { lan: true, ..Options::default() };
        let nic = |(model, last)| Nic { mac: [2, 0, 0, 0, 0, last], ..Nic::new(model) };
        let nics: Vec<_> = subject.models.iter().copied().zip(2..).map(nic).collect();
        let mut guest = Guest::boot(&format!("nic-{}", subject.name), &nics, &options)?;
        let cable = Cable::new((0..nics.len()).map(|index| guest.wire(index)).collect());
        Ok(Self { subject, cable, guest, market: None, runs: 0, lcores: "-l 0-1", more: "" })
    }

    /// The PCI addresses of the NICs under test.
    pub(crate) fn addresses(&self) -> Vec<String> {
        (0..self.subject.models.len()).map(|index| self.guest.address(index).to_owned()).collect()
    }

    /// The driver that has a NIC; empty for none.
    pub(crate) fn driver(&mut self, address: &str) -> String {
        let target = self.guest.run(&format!("readlink /sys/bus/pci/devices/{address}/driver"), SHORT).stdout;
        target.trim().rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Network interfaces that the kernel has of a NIC.
    pub(crate) fn interfaces(&mut self, address: &str) -> String {
        let device = format!("/sys/bus/pci/devices/{address}");
        self.guest.run(&format!("ls {device}/net {device}/virtio*/net 2>/dev/null"), SHORT).stdout
    }

    /// A new exchange, which says nothing until it is played.
    pub(crate) fn open(&mut self, seed: u64) {
        let config = Config::parse(&self.text([1, 2, 3]), "feed.toml").unwrap();
        let mut exchange = exchange_config(RATE, SYMBOLS, seed, 0);
        exchange.publisher.coalesce_ns = 1_000_000;
        let services = sockets::Config {
            requests: [Some(0); 2],
            glimpse: Some(0),
            ..sockets::Config::none(Ipv4Addr::LOCALHOST)
        };
        let setup = Setup { services: Some(services), ..Setup::new(&config, exchange, StopFlag::new()) };
        let venue = Venue::new(&setup).unwrap();
        let market = Market { venue, rx: self.cable.clone(), tx: self.cable.clone(), began: None };
        self.market = Some(market);
    }

    /// Ends the exchange's day and waits until what is under way has been answered. What there is to compare with.
    pub(crate) fn close(&mut self) -> Legacy {
        let market = self.market.as_mut().unwrap();
        let now = market.now();
        market.venue.close(&mut market.tx, now);
        let until = Instant::now() + Duration::from_secs(1);
        self.until("end of the second", || false, |_| Instant::now() > until);
        self.market.take().unwrap().venue.leave()
    }

    /// Lets time pass: the exchange plays, or the cable is listened to; until `reached`. `failed` says that it never will be.
    pub(crate) fn until(
        &mut self,
        what: &str,
        failed: impl Fn() -> bool,
        mut reached: impl FnMut(&Market) -> bool,
    ) {
        let Self { guest, market, .. } = self;
        let market = market.as_mut().unwrap();
        guest.wait_until(what, crate::guest::LONG, || {
            market.pump();
            assert!(!failed(), "no {what}");
            reached(market)
        });
    }

    /// Lets the exchange say so many messages more.
    pub(crate) fn play(&mut self, messages: u64) {
        self.market.as_mut().unwrap().began.get_or_insert_with(Instant::now);
        let said = |market: &Market| market.venue.exchange().market().counters().messages;
        let goal = said(self.market.as_ref().unwrap()) + messages;
        self.until(&format!("{goal} messages"), || false, |market| said(market) >= goal);
    }

    /// Starts wirebook as a user would, and waits until it polls.
    pub(crate) fn start(&mut self, options: &str) -> Handler {
        self.runs += 1;
        let name = format!("run{}", self.runs);
        let services = self.market.as_ref().and_then(|market| {
            let services = market.venue.services()?;
            Some([services.requests(0)?, services.requests(1)?, services.glimpse()?].map(|at| at.port()))
        });
        std::fs::write(self.guest.host().join("feed.toml"), self.text(services.unwrap())).unwrap();
        let addresses = self.addresses();
        let arguments = if self.subject.direct {
            format!("-- --nic direct:{}", addresses[0])
        } else {
            format!("{} -m 128 -a {} --", self.lcores, addresses.join(" -a "))
        };
        let command = format!(
            "wirebook {arguments} --config /host/feed.toml {options} --dump /host/{name}.csv --report /host/{name}.toml"
        );
        let process = self.guest.spawn(&command);
        let handler = Handler { process, name };
        self.said(&handler, "polling");
        handler
    }

    /// Waits until the handler's log has `text`.
    pub(crate) fn said(&mut self, handler: &Handler, text: &str) {
        self.said_times(handler, &[text], 1);
    }

    /// Waits until the handler's log has any of `texts` so many times.
    pub(crate) fn said_times(&mut self, handler: &Handler, texts: &[&str], times: usize) {
        let Self { guest, cable, market, .. } = self;
        let text = texts.join("' or '");
        let said = || handler.said(texts) >= times;
        guest.wait_until(&format!("'{text}'"), crate::guest::LONG, || {
            match market {
                Some(market) => market.pump(),
                None => cable.listen(),
            }
            let ended = handler.process.code();
            let there = said();
            assert!(
                there || ended.is_none(),
                "it ended ({ended:?}) without '{text}':\n{}",
                tail(&handler.process.stderr(), 20)
            );
            there
        });
    }

    /// Stops the handler as a user would; what it left.
    pub(crate) fn stop(&mut self, handler: &Handler) -> Left {
        self.guest.signal(&handler.process, "TERM");
        let ended = self.guest.end(&handler.process, SHORT);
        let file = |ending: &str| read(&self.guest.host().join(format!("{}.{ending}", handler.name)));
        let report = file("toml")
            .parse()
            .unwrap_or_else(|why| panic!("its report: {why}\n{}", tail(&ended.stderr, 20)));
        Left { report, books: file("csv"), ended }
    }

    /// The configuration, with the ports of the request servers and of the snapshots.
    fn text(&self, [a, b, snapshot]: [u16; 3]) -> String {
        let symbols: Vec<_> = (0..u32::from(SYMBOLS))
            .map(|index| format!("\"{}\"", String::from_utf8_lossy(&Symbol::simulated(index).0).trim_end()))
            .collect();
        let [group_a, group_b] = GROUPS;
        format!(
            r#"
[port]
{ports}
rx_descriptors = {RING}
link_wait_ms = 20000
[feed]
reorder_packets = 8192
reorder_wait_us = 50000
[feed.line.a]
group = "{group_a}"
port = {FEED_PORT}
[feed.line.b]
group = "{group_b}"
port = {FEED_PORT}
[recovery]
hole_wait_ms = 30000
[recovery.requests]
servers = ["{HOST}:{a}", "{HOST}:{b}"]
timeout_ms = 500
retries = 20
[recovery.snapshot]
server = "{HOST}:{snapshot}"
username = "WIRE01"
password = "secret"
back_off_ms = 200
back_off_max_ms = 1000
[book]
max_locates = 1024
max_orders = 100000
max_levels = 50000
[latency]
print_every_s = 1
[instruments]
symbols = [{symbols}]
[strategy]
kind = "imbalance"
entry_bp = 4000
exit_bp = 1000
order_shares = 100
style = "take"
max_spread = "0.20"
cooldown_us = 20000
[risk]
max_position_shares = 5000
max_gross_value = 20000000
max_orders_per_second = 5000
duplicate_window_ms = 1
[gateway]
framing = "wutf-udp"
local_ip = "{us}"
local_port = 31000
ip = "10.0.0.1"
port = {ORDER_PORT}
{more}"#,
            more = self.more,
            us = US.1,
            ports = match &self.addresses()[..] {
                [one] => format!("name = \"{one}\""),
                several => {
                    let last = several.last().unwrap();
                    format!("name = \"{}\"\nline_b = \"{last}\"\nline_b_ip = \"10.0.1.3\"", several[0])
                }
            },
            symbols = symbols.join(", ")
        )
    }
}
