//! Asks the document for every key there is: this is where names, ranges and defaults stand.
//!
//! `tests/config_file.rs` holds `config/feed.toml` to what is written here.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::Document;
use super::suggest::nearest;
use super::value::{DOLLAR, MIDNIGHT, is_station, mac, port_ref, time_of_day};
use super::{
    Book, Config, Determinism, Doctor, Feed, Framing, Gateway, Igmp, Instruments, Latency, Lcores, Level,
    Line, Log, MAX_WORKERS, Maker, Ouch, Port, PortRef, Risk, Stack, Strategy, StrategyKind, Style,
    Telemetry,
};
use crate::host::{Profile, catalogue};
use crate::market::{Price, Symbol};

mod journal;
mod login;
mod recovery;

/// Largest order in shares that OUCH 5.0 takes.
const MOST_SHARES: u32 = 999_999;
/// A thousand million dollars, in 1/10,000 dollar.
const MOST_MONEY: u64 = 1_000_000_000 * DOLLAR;
/// Largest price of an order that OUCH 5.0 takes, in 1/10,000 dollar.
const MOST_PRICE: u64 = 1_999_999_900;
/// Instruments that a list may name: there are no more locates.
const MOST_SYMBOLS: usize = 65_536;

const IGMP: [(&str, Igmp); 4] =
    [("auto", Igmp::Auto), ("v3", Igmp::V3), ("v2", Igmp::V2), ("off", Igmp::Off)];

const PORT_WANTED: &str =
    "a PCI address, the name of a virtual device without its arguments, or an index below 32";
const GROUP_WANTED: &str = "an IPv4 multicast address (224.0.0.0 to 239.255.255.255)";
const HOST_WANTED: &str = "the IPv4 address of one host";
const MAC_WANTED: &str = "the hardware address of one station";
const FILE_WANTED: &str = "the name of a file";
const TIME_WANTED: &str = "a time of day, hours:minutes:seconds";
const PATH_WANTED: &str = "the absolute path of a file";
const SYMBOL_WANTED: &str = "a ticker of 1 to 8 printable ASCII characters without spaces";

/// The configuration that `document` describes. Worthless unless the document is clean afterwards.
pub(super) fn config(document: &mut Document<'_>) -> Config {
    let port = port(document);
    let lcores = lcores(document);
    let feed = feed(document);
    let recovery = recovery::recovery(document);
    let book = Book {
        max_locates: document.int("book.max_locates", 1..=65_536, 16_384),
        max_orders: document.int("book.max_orders", 1..=100_000_000, 8_000_000),
        max_levels: document.int("book.max_levels", 1..=50_000_000, 2_000_000),
    };
    let instruments = instruments(document);
    let strategy = strategy(document);
    let risk = risk(document);
    let gateway = gateway(document);
    let determinism = Determinism {
        lock_memory: document.flag("determinism.lock_memory", false),
        fifo_priority: document.optional_int("determinism.fifo_priority", 1..=99, 50),
        cpu_dma_latency: document.optional_int("determinism.cpu_dma_latency_us", 0..=1_000_000, 0),
        rehearse: Duration::from_micros(document.int("determinism.rehearse_us", 0..=1_000_000, 10)),
    };
    let journal = journal::journal(document);
    let latency = Latency {
        stages: document.flag("latency.stages", true),
        sample_every: document.int("latency.sample_every", 1..=1_000_000, 1),
        print_every: Duration::from_secs(document.int("latency.print_every_s", 0..=3_600, 10)),
    };
    let telemetry = Telemetry {
        commands: document.flag("telemetry.commands", true),
        capture: document.flag("telemetry.capture", true),
    };
    let log = Log {
        level: level(document, "log.level", Level::Info),
        dpdk: level(document, "log.dpdk", Level::Warn),
    };
    let doctor = doctor(document);
    Config {
        port,
        lcores,
        feed,
        recovery,
        book,
        instruments,
        strategy,
        risk,
        gateway,
        determinism,
        journal,
        latency,
        telemetry,
        log,
        doctor,
    }
}

/// One loop may be named without a list.
fn lcores(document: &mut Document<'_>) -> Lcores {
    let one = document.optional_int("lcores.worker", 0..=1023, 1);
    let workers = document.ints("lcores.workers", 0..=1023, MAX_WORKERS, "[1, 2]");
    if document.says("lcores.worker") && document.says("lcores.workers") {
        document.contradiction(
            &["lcores.workers", "lcores.worker"],
            "lcores has both worker and workers".to_owned(),
            "remove one of the two",
        );
    }
    Lcores { workers: one.map_or(workers, |one| vec![one]) }
}

fn port(document: &mut Document<'_>) -> Port {
    let feed = document.required_text("port.name", PORT_WANTED, "0000:01:00.0", port_ref);
    let line_b = document.optional_text("port.line_b", PORT_WANTED, "0000:01:00.1", port_ref);
    let orders = document.optional_text("port.orders", PORT_WANTED, "0000:01:00.1", port_ref);
    let feed = feed.unwrap_or(PortRef::Index(0));
    Port {
        line_b: line_b.unwrap_or_else(|| feed.clone()),
        orders: orders.unwrap_or_else(|| feed.clone()),
        feed,
        mtu: document.int("port.mtu", 68..=9_000, 1_500),
        rx_descriptors: document.int("port.rx_descriptors", 32..=32_768, 2_048),
        tx_descriptors: document.int("port.tx_descriptors", 32..=32_768, 512),
        rx_queues: document.optional_int("port.rx_queues", 1..=MAX_WORKERS as u16, 2),
        promiscuous: document.flag("port.promiscuous", false),
        link_wait: Duration::from_millis(document.int("port.link_wait_ms", 0..=60_000, 5_000)),
        ip: host(document, "port.ip"),
        line_b_ip: host(document, "port.line_b_ip"),
        igmp: document.choice("port.igmp", &IGMP, Igmp::Auto),
        igmp_robustness: document.int("port.igmp_robustness", 1..=7, 2),
    }
}

fn feed(document: &mut Document<'_>) -> Feed {
    let line_a = Line {
        group: group(document, "feed.line.a.group", "239.1.1.1"),
        port: document.required_int("feed.line.a.port", 1..=65_535, 26_400),
        vlan: vlan(document, "feed.line.a.vlan"),
        source: host(document, "feed.line.a.source"),
    };
    // Asked for even where there is no line B, so that its keys are known; what is missing then is no problem.
    let has_b = document.has_section("feed.line.b");
    let vlan_b = vlan(document, "feed.line.b.vlan");
    let source_b = host(document, "feed.line.b.source");
    let line_b = if has_b {
        Some(Line {
            group: group(document, "feed.line.b.group", "239.1.1.2"),
            port: document.required_int("feed.line.b.port", 1..=65_535, 26_400),
            vlan: vlan_b,
            source: source_b,
        })
    } else {
        document.optional_text("feed.line.b.group", GROUP_WANTED, "239.1.1.2", read_group);
        document.optional_int::<u16>("feed.line.b.port", 1..=65_535, 26_400);
        None
    };
    Feed {
        line_a,
        line_b,
        reorder_packets: document.int("feed.reorder_packets", 0..=65_536, 256),
        reorder_wait: Duration::from_micros(document.int("feed.reorder_wait_us", 0..=1_000_000, 5_000)),
        lines_reorder: document.flag("feed.lines_reorder", true),
        heartbeat_timeout: Duration::from_millis(document.int(
            "feed.heartbeat_timeout_ms",
            100..=600_000,
            3_000,
        )),
        max_payload: document.int("feed.max_payload", 64..=8_972, 1_472),
    }
}

fn instruments(document: &mut Document<'_>) -> Instruments {
    let symbols = document.list("instruments.symbols", MOST_SYMBOLS, SYMBOL_WANTED, "AAPL", Symbol::new);
    if document.flag("instruments.all", false) { Instruments::All } else { Instruments::Listed(symbols) }
}

fn strategy(document: &mut Document<'_>) -> Strategy {
    let kinds = [
        ("none", StrategyKind::None),
        ("imbalance", StrategyKind::Imbalance),
        ("model", StrategyKind::Model),
        ("maker", StrategyKind::Maker),
        ("template", StrategyKind::Template),
    ];
    Strategy {
        kind: document.choice("strategy.kind", &kinds, StrategyKind::None),
        instruments: document.int("strategy.instruments", 1..=65_534, 1_024),
        entry_bp: document.int("strategy.entry_bp", 1..=10_000, 6_000),
        exit_bp: document.int("strategy.exit_bp", 0..=9_999, 2_000),
        order_shares: document.int("strategy.order_shares", 1..=MOST_SHARES, 100),
        style: document.choice(
            "strategy.style",
            &[("take", Style::Take), ("join", Style::Join)],
            Style::Join,
        ),
        max_spread: price(document, "strategy.max_spread", 500),
        cooldown: Duration::from_micros(document.int("strategy.cooldown_us", 0..=60_000_000, 20_000)),
        model: document.optional_text("strategy.model", FILE_WANTED, "model.safetensors", |text| {
            (!text.is_empty()).then(|| PathBuf::from(text))
        }),
        model_entry_mbp: document.int("strategy.model_entry_mbp", 1..=1_000_000, 1_000),
        model_exit_mbp: document.int("strategy.model_exit_mbp", 0..=999_999, 300),
        maker: maker(document),
    }
}

fn maker(document: &mut Document<'_>) -> Maker {
    let mut distance = |path, default: u32| {
        let value = document.money(path, 0..=100 * DOLLAR, u64::from(default));
        Price(u32::try_from(value).unwrap_or(default))
    };
    Maker {
        edge: distance("strategy.maker_edge", 50),
        skew: distance("strategy.maker_skew", 25),
        position: document.int("strategy.maker_position", 1..=100_000_000, 500),
        keep_ticks: document.int("strategy.maker_keep_ticks", 0..=100, 1),
        turn_bp: document.int("strategy.maker_turn_bp", 1..=10_000, 6_000),
        reply: Duration::from_millis(document.int("strategy.maker_reply_ms", 1..=60_000, 1_000)),
    }
}

fn risk(document: &mut Document<'_>) -> Risk {
    Risk {
        armed: document.flag("risk.armed", false),
        max_order_shares: document.int("risk.max_order_shares", 1..=MOST_SHARES, 1_000),
        max_order_value: document.money("risk.max_order_value", 1..=MOST_MONEY, 50_000 * DOLLAR),
        collar_bp: document.int("risk.collar_bp", 0..=10_000, 100),
        reference_collar_bp: document.optional_int("risk.reference_collar_bp", 0..=10_000, 1_000),
        max_position_shares: document.int("risk.max_position_shares", 1..=100_000_000, 10_000),
        max_gross_value: document.money("risk.max_gross_value", 1..=MOST_MONEY, 1_000_000 * DOLLAR),
        max_open_orders: document.int("risk.max_open_orders", 1..=65_536, 256),
        max_orders_per_second: document.int("risk.max_orders_per_second", 1..=1_000_000, 1_000),
        max_orders_per_second_per_symbol: document.int(
            "risk.max_orders_per_second_per_symbol",
            1..=1_000_000,
            100,
        ),
        duplicate_window: Duration::from_millis(document.int("risk.duplicate_window_ms", 0..=60_000, 10)),
        restricted: document.list("risk.restricted", MOST_SYMBOLS, SYMBOL_WANTED, "AAPL", Symbol::new),
        hours: hours(document),
        kill_file: document.optional_text("risk.kill_file", PATH_WANTED, "/run/wirebook.kill", read_path),
    }
}

/// `None` where the file says neither end.
fn hours(document: &mut Document<'_>) -> Option<Range<u64>> {
    let from = document.optional_text("risk.from", TIME_WANTED, "09:30:00", time_of_day);
    let until = document.optional_text("risk.until", TIME_WANTED, "16:00:00", time_of_day);
    (from.is_some() || until.is_some()).then(|| from.unwrap_or(0)..until.unwrap_or(MIDNIGHT))
}

fn gateway(document: &mut Document<'_>) -> Option<Gateway> {
    if !document.has_section("gateway") {
        // Makes the keys known; a document without the section has none of them.
        for path in [
            "gateway.framing",
            "gateway.local_ip",
            "gateway.local_mac",
            "gateway.ip",
            "gateway.mac",
            "gateway.next_hop",
        ] {
            document.optional_text(path, "", "", |_| None::<()>);
        }
        ouch(document);
        for path in ["gateway.local_port", "gateway.port", "gateway.vlan"] {
            document.optional_int::<u16>(path, 0..=65_535, 0);
        }
        return None;
    }
    let framings = [("wutf-udp", Framing::WutfUdp), ("ouch-tcp", Framing::OuchTcp)];
    let framing = document.choice("gateway.framing", &framings, Framing::WutfUdp);
    Some(Gateway {
        framing,
        local_ip: required_host(document, "gateway.local_ip", "10.0.0.2"),
        local_mac: document.optional_text("gateway.local_mac", MAC_WANTED, "02:00:00:00:00:02", read_mac),
        local_port: match framing {
            Framing::WutfUdp => document.required_int("gateway.local_port", 1..=65_535, 31_000),
            Framing::OuchTcp => document.int("gateway.local_port", 0..=65_535, 0),
        },
        ip: required_host(document, "gateway.ip", "10.0.0.1"),
        port: document.required_int("gateway.port", 1..=65_535, 31_001),
        mac: document.optional_text("gateway.mac", MAC_WANTED, "02:00:00:00:00:01", read_mac),
        next_hop: host(document, "gateway.next_hop"),
        vlan: vlan(document, "gateway.vlan"),
        ouch: ouch(document),
    })
}

/// What only OUCH over TCP looks at.
fn ouch(document: &mut Document<'_>) -> Ouch {
    let stacks = [("own", Stack::Own), ("kernel", Stack::Kernel)];
    Ouch {
        stack: document.choice("gateway.stack", &stacks, Stack::Own),
        username: login::username(document, "gateway.username").unwrap_or_default(),
        password: login::password(document, &login::GATEWAY),
        session: login::session(document, "gateway.session").unwrap_or_default(),
        cancel_on_disconnect: document.flag("gateway.cancel_on_disconnect", true),
    }
}

/// Findings that are wished to be as they are. What stops the start cannot be wished away.
fn doctor(document: &mut Document<'_>) -> Doctor {
    let acceptable =
        || catalogue::CATALOGUE.iter().filter(|entry| entry.may_be_accepted()).map(|entry| entry.id);
    let accept = document.list_or(
        "doctor.accept",
        catalogue::CATALOGUE.len(),
        "a finding of `wirebook doctor` that may be accepted",
        "smt",
        |text| acceptable().find(|id| *id == text),
        |typed| match (catalogue::find(typed), nearest(typed, acceptable())) {
            (Some(entry), _) if entry.level(Profile::Live) == catalogue::Level::Fail => {
                format!("remove it: {} stops the start or loses data; mend it instead", entry.id)
            }
            (Some(entry), _) => format!("remove it: {} never warns", entry.id),
            (None, Some(id)) => format!("did you mean \"{id}\"?"),
            (None, None) => "write an id that `wirebook doctor` prints, such as \"smt\"".to_owned(),
        },
    );
    Doctor { accept }
}

fn level(document: &mut Document<'_>, path: &'static str, default: Level) -> Level {
    let words = [
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ];
    document.choice(path, &words, default)
}

/// 0 states that frames are untagged, as leaving the key out does where nothing else on the port is tagged.
fn vlan(document: &mut Document<'_>, path: &'static str) -> Option<u16> {
    document.optional_int(path, 0..=4_094, 100).filter(|id| *id != 0)
}

fn price(document: &mut Document<'_>, path: &'static str, default: u32) -> Price {
    let value = document.money(path, 1..=MOST_PRICE, u64::from(default));
    Price(u32::try_from(value).unwrap_or(default))
}

fn group(document: &mut Document<'_>, path: &'static str, example: &str) -> Ipv4Addr {
    document.required_text(path, GROUP_WANTED, example, read_group).unwrap_or(Ipv4Addr::UNSPECIFIED)
}

fn host(document: &mut Document<'_>, path: &'static str) -> Option<Ipv4Addr> {
    document.optional_text(path, HOST_WANTED, "10.0.0.9", read_host)
}

fn required_host(document: &mut Document<'_>, path: &'static str, example: &str) -> Ipv4Addr {
    document.required_text(path, HOST_WANTED, example, read_host).unwrap_or(Ipv4Addr::UNSPECIFIED)
}

fn read_group(text: &str) -> Option<Ipv4Addr> {
    text.parse().ok().filter(Ipv4Addr::is_multicast)
}

fn read_host(text: &str) -> Option<Ipv4Addr> {
    let address: Ipv4Addr = text.parse().ok()?;
    let first = address.octets()[0];
    // 0/8 and 127/8 never stand on a wire; 224/4 are groups, 240/4 are reserved or broadcast.
    (first != 0 && first != 127 && first < 224).then_some(address)
}

fn read_mac(text: &str) -> Option<[u8; 6]> {
    mac(text).filter(|address| is_station(*address))
}

fn read_path(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    (path.is_absolute() && !text.ends_with('/') && !text.contains(char::is_control)).then(|| path.to_owned())
}
