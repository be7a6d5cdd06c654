//! What is wrong with a configuration is said in full, at its place, with the remedy; and nothing makes it panic.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it did not expect; its helper functions too"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use wirebook::config::{Config, Igmp, Instruments, MAX_FILE, PortRef};
use wirebook::market::Symbol;

/// The least that is accepted.
const LEAST: &str = "[port]\nname = \"0\"\n[feed.line.a]\ngroup = \"239.1.1.1\"\nport = 26400\n";

/// A gateway and what an order needs.
const GATEWAY: &str = "[gateway]\nlocal_ip = \"10.0.0.2\"\nlocal_port = 31000\nip = \"10.0.0.1\"\nport = 31001\n\
                       mac = \"02:00:00:00:00:01\"\n";

fn errors(text: &str) -> String {
    match Config::parse(text, "f.toml") {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(errors) => errors.to_string(),
    }
}

/// The problems of [`LEAST`] followed by `text`, with line numbers that count from `text`'s first line.
fn errors_after_least(text: &str) -> String {
    let shift = LEAST.lines().count();
    let mut shifted = String::new();
    for line in errors(&format!("{LEAST}{text}")).lines() {
        let mut parts = line.splitn(3, ':');
        let (name, number) = (parts.next().unwrap(), parts.next().unwrap().parse::<usize>().unwrap());
        writeln!(shifted, "{name}:{}:{}", number - shift, parts.next().unwrap()).unwrap();
    }
    shifted.trim_end().to_owned()
}

#[test]
fn the_least_is_accepted_and_closed() {
    let config = Config::parse(LEAST, "f.toml").unwrap();
    assert!(!config.risk.armed);
    assert_eq!(config.gateway, None);
    assert_eq!(config.instruments, Instruments::Listed(Vec::new()));
    assert_eq!(config.port.feed, PortRef::Index(0));
    assert_eq!(config.port.orders, PortRef::Index(0));
}

#[test]
fn only_warnings_can_be_accepted() {
    let config =
        Config::parse(&format!("{LEAST}[doctor]\naccept = [\"smt\", \"irq.affinity\"]\n"), "f.toml").unwrap();
    assert_eq!(config.doctor.accept, ["smt", "irq.affinity"]);
    assert_eq!(
        errors_after_least(
            "[doctor]\naccept = [\"smtt\", \"hugepages\", \"turbo\", \"colour\", 7, \"smt\", \"smt\"]\n"
        ),
        "f.toml:2:11: doctor.accept holds \"smtt\", not a finding of `wirebook doctor` that may be accepted — \
         did you mean \"smt\"?\n\
         f.toml:2:19: doctor.accept holds \"hugepages\", not a finding of `wirebook doctor` that may be accepted — \
         remove it: hugepages stops the start or loses data; mend it instead\n\
         f.toml:2:32: doctor.accept holds \"turbo\", not a finding of `wirebook doctor` that may be accepted — \
         remove it: turbo never warns\n\
         f.toml:2:41: doctor.accept holds \"colour\", not a finding of `wirebook doctor` that may be accepted — \
         write an id that `wirebook doctor` prints, such as \"smt\"\n\
         f.toml:2:51: doctor.accept holds 7, not a finding of `wirebook doctor` that may be accepted — \
         write an id that `wirebook doctor` prints, such as \"smt\"\n\
         f.toml:2:61: doctor.accept names \"smt\" twice — name it once"
    );
}

#[test]
fn an_empty_file_is_told_what_it_needs() {
    assert_eq!(
        errors(""),
        "f.toml:1:1: port.name is missing — add a section [port] with name = \"0000:01:00.0\"\n\
         f.toml:1:1: feed.line.a.group is missing — add a section [feed.line.a] with group = \"239.1.1.1\"\n\
         f.toml:1:1: feed.line.a.port is missing — add a section [feed.line.a] with port = 26400"
    );
}

#[test]
fn all_problems_are_reported_in_the_order_of_the_text() {
    let text = "[prot]\nname = \"0\"\n[port]\nname = \"net_pcap0,rx_pcap=f\"\nmtu = 20_000\nrx_descriptor = 64\n\
                [feed.line.a]\ngroup = \"10.0.0.1\"\nport = \"26400\"\n[book]\nmax_orders = -1\nmtu = 9000\n";
    assert_eq!(
        errors(text),
        "f.toml:1:2: there is no section [prot] — did you mean [port]?\n\
         f.toml:4:8: port.name is \"net_pcap0,rx_pcap=f\", not a PCI address, the name of a virtual device without its \
         arguments, or an index below 32 — write name = \"0000:01:00.0\", for example\n\
         f.toml:5:7: port.mtu is 20_000, outside 68 to 9000 — write a number from 68 to 9000, for example 1500\n\
         f.toml:6:1: there is no key port.rx_descriptor — did you mean rx_descriptors?\n\
         f.toml:8:9: feed.line.a.group is \"10.0.0.1\", not an IPv4 multicast address (224.0.0.0 to 239.255.255.255) — \
         write group = \"239.1.1.1\", for example\n\
         f.toml:9:8: feed.line.a.port is a text, not an integer — write port = 26400\n\
         f.toml:11:14: book.max_orders is -1, outside 1 to 100000000 — write a number from 1 to 100000000, for example \
         8000000\n\
         f.toml:12:1: there is no key book.mtu — mtu belongs to [port]"
    );
}

#[test]
fn wrong_shapes_are_told_apart() {
    let cases = [
        (
            "[strategy]\nstyle = \"jion\"",
            "2:9: strategy.style is \"jion\", which is none of its values — did you mean \"join\"? It may be \"take\", \"join\"",
        ),
        (
            "[strategy]\nstyle = 1",
            "2:9: strategy.style is an integer, not a text — write one of \"take\", \"join\"",
        ),
        (
            "[strategy]\nkind = \"x\"",
            "2:8: strategy.kind is \"x\", which is none of its values — write one of \"none\", \"imbalance\", \"model\", \"maker\", \"template\"",
        ),
        ("[risk]\narmed = \"yes\"", "2:9: risk.armed is a text, not true or false — write armed = false"),
        (
            "[risk]\nrestricted = \"AAPL\"",
            "2:14: risk.restricted is a text, not a list — write restricted = [\"AAPL\"]",
        ),
        (
            "[risk]\nrestricted = [\"AAPL\", 5]",
            "2:23: risk.restricted holds 5, not a ticker of 1 to 8 printable ASCII characters without spaces — write \"AAPL\", for example",
        ),
        ("[risk]\nrestricted = [\"A\", \"A\"]", "2:20: risk.restricted names \"A\" twice — name it once"),
        ("[book.max_orders]\nx = 1", "1:7: book.max_orders is a section — write max_orders = …"),
        (
            "[latency]\nprint_every_s = 1.5",
            "2:17: latency.print_every_s is a float, not an integer — write print_every_s = 10",
        ),
        ("[gateway]\nmac = 1", ""),
        (
            "[log]\n\"a.b\" = 1",
            "2:1: there is no key log.\"a.b\" — remove it; config/feed.toml shows every key",
        ),
        (
            "[colours]\nred = 1\n[colours.more]\nx = 1",
            "1:2: there is no section [colours] — remove it; config/feed.toml shows every section",
        ),
    ];
    assert_eq!(
        errors(&format!("book = 3\n{LEAST}")),
        "f.toml:1:1: book is an integer, not a section — write [book] on a line of its own and its keys below"
    );
    for (text, expected) in cases {
        let got = errors_after_least(text);
        if expected.is_empty() {
            // A section with several keys missing: one problem each.
            assert_eq!(got.lines().count(), 5, "{got}");
        } else {
            assert_eq!(got, format!("f.toml:{expected}"), "{text}");
        }
    }
}

#[test]
fn money_never_passes_through_a_float() {
    let cases = [
        (
            "0.05",
            "risk.max_order_value is a float, and money never passes through one — put it in quotes: max_order_value = \"0.05\"",
        ),
        (
            "1e5",
            "risk.max_order_value is a float, and money never passes through one — write dollars in quotes, with up to four decimals: max_order_value = \"50000\"",
        ),
        (
            "\"0.00001\"",
            "risk.max_order_value is \"0.00001\", not an amount of dollars — write dollars in quotes, with up to four decimals: max_order_value = \"50000\"",
        ),
        (
            "0",
            "risk.max_order_value is 0, outside 0.0001 to 1000000000 dollars — write max_order_value = \"50000\", for example",
        ),
        (
            "-5",
            "risk.max_order_value is -5, not an amount of dollars — write dollars in quotes, with up to four decimals: max_order_value = \"50000\"",
        ),
    ];
    for (value, expected) in cases {
        let got = errors_after_least(&format!("[risk]\nmax_order_value = {value}"));
        assert_eq!(got, format!("f.toml:2:19: {expected}"));
    }
    let config = Config::parse(&format!("{LEAST}[risk]\nmax_order_value = \"1234.5\""), "f").unwrap();
    assert_eq!(config.risk.max_order_value, 12_345_000);
}

#[test]
fn contradictions_are_found() {
    let trading = format!("{GATEWAY}[instruments]\nall = true\n[strategy]\nkind = \"imbalance\"\n");
    let cases = [
        (
            "[feed.line.b]\ngroup = \"239.1.1.1\"\nport = 26400".to_owned(),
            "lines A and B are both 239.1.1.1:26400",
        ),
        ("[feed]\nmax_payload = 1473".to_owned(), "feed.max_payload 1473 does not fit into port.mtu 1500"),
        (
            "[feed]\nreorder_packets = 0\nreorder_wait_us = 5".to_owned(),
            "feed.reorder_wait_us waits for holes, but feed.reorder_packets = 0 holds nothing meanwhile",
        ),
        (
            "[feed.line.b]\ngroup = \"239.1.1.2\"\nport = 1\nvlan = 7".to_owned(),
            "[feed.line.a] has no vlan, while [feed.line.b] on the same port is tagged 7",
        ),
        (
            format!("{GATEWAY}vlan = 9"),
            "[feed.line.a] has no vlan, while [gateway] on the same port is tagged 9",
        ),
        (
            "[strategy]\nentry_bp = 10\nexit_bp = 10".to_owned(),
            "strategy.exit_bp 10 is not below strategy.entry_bp 10",
        ),
        ("[strategy]\nentry_bp = 10".to_owned(), "strategy.exit_bp 2000 is not below strategy.entry_bp 10"),
        (
            "[strategy]\nmodel_entry_mbp = 10\nmodel_exit_mbp = 10".to_owned(),
            "strategy.model_exit_mbp 10 is not below strategy.model_entry_mbp 10",
        ),
        (
            format!("{GATEWAY}[instruments]\nall = true\n[strategy]\nkind = \"model\""),
            "strategy.kind = \"model\" names no model",
        ),
        (
            "[instruments]\nall = true\nsymbols = [\"A\"]".to_owned(),
            "instruments.symbols lists some, while instruments.all = true takes all",
        ),
        (
            "[instruments]\nall = true\n[strategy]\nkind = \"imbalance\"".to_owned(),
            "strategy.kind asks for orders, and there is no [gateway] to send them to",
        ),
        (
            format!("{GATEWAY}[strategy]\nkind = \"imbalance\""),
            "strategy.kind asks for orders, and [instruments] allows none",
        ),
        (
            format!("{trading}order_shares = 1001"),
            "strategy.order_shares 1001 is above risk.max_order_shares 1000",
        ),
        (
            format!("{trading}[risk]\nmax_position_shares = 99"),
            "strategy.order_shares 100 is above risk.max_position_shares 99",
        ),
        (
            "[risk]\nmax_gross_value = 49999".to_owned(),
            "risk.max_order_value 50000 is above risk.max_gross_value 49999",
        ),
        (
            "[risk]\nmax_orders_per_second = 99".to_owned(),
            "risk.max_orders_per_second_per_symbol 100 is above risk.max_orders_per_second 99",
        ),
        (
            "[instruments]\nsymbols = [\"A\", \"B\"]\n[risk]\nrestricted = [\"B\"]".to_owned(),
            "B is both in risk.restricted and in instruments.symbols",
        ),
        (
            "[risk]\narmed = true".to_owned(),
            "risk.armed = true, and there is no [gateway] that orders could go to",
        ),
        (
            format!("{GATEWAY}next_hop = \"10.0.0.9\""),
            "gateway.next_hop is to be resolved, and gateway.mac says to what",
        ),
        (
            GATEWAY.replace("mac = \"02:00:00:00:00:01\"", "next_hop = \"10.0.0.2\""),
            "gateway.next_hop and gateway.local_ip are both 10.0.0.2",
        ),
        (GATEWAY.replace("10.0.0.1", "10.0.0.2"), "gateway.ip and gateway.local_ip are both 10.0.0.2"),
        (
            format!("{GATEWAY}local_mac = \"02:00:00:00:00:01\""),
            "gateway.mac and gateway.local_mac are the same",
        ),
    ];
    for (text, expected) in cases {
        let got = Config::parse(&format!("{LEAST}{text}\n"), "f.toml").unwrap_err();
        assert_eq!(got.problems().len(), 1, "{got}\n{text}");
        assert_eq!(got.problems()[0].what, expected);
        assert!(!got.problems()[0].remedy.is_empty());
    }
}

#[test]
fn addresses_of_ports_are_checked() {
    let two = LEAST.replace("name = \"0\"", "name = \"0\"\norders = \"1\"\nip = \"10.0.0.2\"");
    let got = errors(&format!("{two}{GATEWAY}"));
    assert_eq!(
        got,
        "f.toml:4:1: port.ip and gateway.local_ip are both 10.0.0.2, on two ports — give each port an address of its own, \
         or remove port.ip"
    );
    let theirs = LEAST.replace("name = \"0\"", "name = \"0\"\nip = \"10.0.0.1\"");
    let got = errors(&format!("{theirs}{GATEWAY}"));
    assert_eq!(
        got,
        "f.toml:3:1: port.ip is the address of the other side — give this port an address of its own"
    );
    let cases = [
        ("ip = \"239.1.1.1\"", "port.ip is \"239.1.1.1\", not the IPv4 address of one host"),
        ("igmp = \"v1\"", "port.igmp is \"v1\", which is none of its values"),
        ("igmp_robustness = 0", "port.igmp_robustness is 0, outside 1 to 7"),
    ];
    for (key, expected) in cases {
        let got = errors(&LEAST.replace("name = \"0\"", &format!("name = \"0\"\n{key}")));
        assert!(got.contains(expected), "{got}");
    }
}

#[test]
fn what_looks_like_a_contradiction_and_is_none() {
    let trading = format!("{GATEWAY}[instruments]\nall = true\n[strategy]\nkind = \"imbalance\"\n");
    for text in [
        // The same group on two VLANs, and one group with two senders, are two lines.
        "[feed.line.b]\ngroup = \"239.1.1.1\"\nport = 26400\nvlan = 7\n".to_owned() + "[feed.line.a.x]",
        "[feed.line.b]\ngroup = \"239.1.1.2\"\nport = 26400\nvlan = 0\n".to_owned(),
        format!("{trading}[risk]\narmed = true\nrestricted = [\"AAPL\"]"),
        format!("{GATEWAY}[feed.line.b]\ngroup = \"239.1.1.2\"\nport = 1\n"),
    ] {
        let result = Config::parse(&format!("{LEAST}{text}\n"), "f.toml");
        match text.contains("[feed.line.a.x]") {
            true => assert!(!result.unwrap_err().to_string().contains("both 239")),
            false => assert!(result.is_ok(), "{}", result.unwrap_err()),
        }
    }
    // Resolved by ARP, directly or by way of a router; and two addresses of one port may be one.
    for hop in ["", "next_hop = \"10.0.0.254\""] {
        let text = GATEWAY.replace("mac = \"02:00:00:00:00:01\"", hop);
        let port = LEAST.replace("[feed", "ip = \"10.0.0.2\"\nigmp = \"off\"\n[feed");
        let config = Config::parse(&format!("{port}{text}"), "f").unwrap();
        assert_eq!((config.gateway.unwrap().mac, config.port.igmp), (None, Igmp::Off));
    }
    let tagged =
        LEAST.to_owned() + "vlan = 0\n[feed.line.b]\ngroup = \"239.1.1.1\"\nport = 26400\nvlan = 7\n";
    assert_eq!(Config::parse(&tagged, "f").unwrap().feed.line_a.vlan, None);
}

#[test]
fn a_bad_value_is_not_also_called_a_contradiction() {
    let got = errors_after_least("[strategy]\nentry_bp = 0\nexit_bp = 9000");
    assert_eq!(got.lines().count(), 1, "{got}");
}

#[test]
fn a_text_that_is_not_toml_is_told_where() {
    let cases = [
        "[port]\nname = 0000:01:00.0\n",
        "[port]\nname = \"0\nmtu = 1500\n",
        "[port\nname = \"0\"\n",
        "[port]\nmtu = 1500\nmtu = 1500\n",
        "[feed.line.a]\ngroup = 239.1.1.1\n",
        "= 1\n",
        "port = {",
    ];
    for text in cases {
        let got = errors(text);
        assert!(got.starts_with("f.toml:"), "{got}");
        assert!(
            got.lines().all(|line| line.contains(": not TOML: ") && line.contains(" — write key = value")),
            "{got}"
        );
    }
}

#[test]
fn symbols_and_inline_tables_are_read() {
    let text = "port = { name = \"3B:00.1\" }\nfeed = { line = { a = { group = \"239.9.9.9\", port = 0x10 } } }\n\
                [instruments]\nsymbols = [\"AAPL\", \"BRK.A\"]\n";
    let config = Config::parse(text, "f").unwrap();
    assert_eq!(config.port.feed, PortRef::Name("0000:3b:00.1".to_owned()));
    assert_eq!(config.feed.line_a.port, 16);
    let listed: Vec<Symbol> = ["AAPL", "BRK.A"].iter().filter_map(|text| Symbol::new(text)).collect();
    assert_eq!(config.instruments, Instruments::Listed(listed));
}

#[test]
fn files_that_cannot_be_read_are_refused_in_one_line() {
    let missing = Config::load(Path::new("/nonexistent/feed.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/feed.toml: cannot be read: "), "{missing}");
    assert!(missing.ends_with(" — give a readable file to --config"), "{missing}");

    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[port]\n\xff").unwrap();
    let binary = Config::load(file.path()).unwrap_err().to_string();
    assert!(binary.contains(": is not UTF-8 text (byte 7) — "), "{binary}");

    file.write_all(&vec![b'#'; usize::try_from(MAX_FILE).unwrap()]).unwrap();
    let long = Config::load(file.path()).unwrap_err().to_string();
    assert!(long.contains(": is longer than 1048576 bytes — "), "{long}");
}

#[test]
fn a_file_of_rubbish_is_answered_briefly_and_soon() {
    let mut keys = LEAST.to_owned();
    for i in 0..40_000 {
        writeln!(keys, "mtu{i} = {i}").unwrap();
    }
    let errors = Config::parse(&keys, "f.toml").unwrap_err();
    assert_eq!(errors.problems().len(), 101);
    assert!(errors.to_string().ends_with("f.toml: has more problems than these 100 — put these right first"));

    let mut tables = LEAST.to_owned();
    for i in 0..40_000 {
        writeln!(tables, "[t{i}]\nx = 1").unwrap();
    }
    assert_eq!(Config::parse(&tables, "f.toml").unwrap_err().problems().len(), 101);
    assert!(Config::parse(&"=\n".repeat(400_000), "f.toml").unwrap_err().problems().len() <= 101);
    for deep in ["[".repeat(100_000), "a.".repeat(50_000), "a=[".repeat(30_000), "x={a=".repeat(20_000)] {
        assert!(Config::parse(&deep, "f.toml").is_err());
    }
    let dotted = format!("{}x = 1", "a.".repeat(20_000));
    assert!(Config::parse(&dotted, "f.toml").is_err());
}

/// A small generator, so that a failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap()
    }
}

#[test]
fn no_text_makes_it_panic() {
    let file =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/feed.toml")).unwrap();
    let good: String = file
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| format!("{}\n", line.trim_start_matches('#')))
        .collect();
    // Truncated everywhere.
    for end in (0..good.len()).filter(|end| good.is_char_boundary(*end)) {
        let _ = Config::parse(&good[..end], "f");
    }
    // Pieces moved, doubled and replaced.
    let scraps = [
        "[",
        "]",
        "=",
        "\"",
        "'",
        ".",
        "\n",
        "{",
        "}",
        "-1",
        "1e9",
        "é",
        "\u{0}",
        "#",
        "true",
        "9999999999999999999999",
        "inf",
        "[[",
    ];
    let mut random = Random(0x5eed);
    for _ in 0..30_000 {
        let mut text: Vec<char> = good.chars().collect();
        for _ in 0..=random.next() % 4 {
            let at = random.next() % text.len();
            match random.next() % 3 {
                0 => {
                    let to = (at + random.next() % 40).min(text.len());
                    text.drain(at..to);
                }
                1 => {
                    let scrap: Vec<char> = scraps[random.next() % scraps.len()].chars().collect();
                    text.splice(at..at, scrap);
                }
                _ => {
                    let to = (at + random.next() % 40).min(text.len());
                    let piece: Vec<char> = text[at..to].to_vec();
                    let target = random.next() % text.len();
                    text.splice(target..target, piece);
                }
            }
            if text.is_empty() {
                text.push('x');
            }
        }
        let text: String = text.into_iter().collect();
        if let Err(errors) = Config::parse(&text, "f") {
            assert!(!errors.problems().is_empty() && !errors.to_string().is_empty());
        }
    }
    // Nothing but scraps.
    for _ in 0..30_000 {
        let text: String = (0..random.next() % 60).map(|_| scraps[random.next() % scraps.len()]).collect();
        let _ = Config::parse(&text, "f");
    }
}

#[test]
fn several_workers_must_have_something_to_divide() {
    let of = |text: &str| errors_after_least(text);
    assert_eq!(
        of("[lcores]\nworker = 1\nworkers = [1, 2]\n"),
        "f.toml:3:1: lcores has both worker and workers — remove one of the two"
    );
    assert_eq!(
        of("[lcores]\nworkers = [1, 1024, 1, \"2\"]\n"),
        "f.toml:2:15: lcores.workers holds 1024, not a number from 0 to 1023 — write [1, 2], for example\n\
         f.toml:2:21: lcores.workers names 1 twice — write [1, 2], for example\n\
         f.toml:2:24: lcores.workers holds \"2\", not a number from 0 to 1023 — write [1, 2], for example"
    );
    for (list, elements) in [("[]", 0), ("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]", 17)] {
        assert_eq!(
            of(&format!("[lcores]\nworkers = {list}\n")),
            format!(
                "f.toml:2:11: lcores.workers has {elements} elements, outside 1 to 16 — write [1, 2], for example"
            )
        );
    }
    let two = "[lcores]\nworkers = [1, 2]\n";
    let trade = format!("{two}[instruments]\nall = true\n[strategy]\nkind = \"imbalance\"\n{GATEWAY}");
    let gateway = trade.lines().position(|line| line.starts_with("local_port")).unwrap() + 1;
    assert_eq!(
        of(&trade.replace("31000", "65535")),
        format!(
            "f.toml:{gateway}:1: gateway.local_port 65535 leaves no ports for 2 workers — lower gateway.local_port to 65534 or \
             less"
        )
    );
    let after = trade.lines().count();
    assert_eq!(
        of(&format!("{trade}[risk]\nmax_open_orders = 1\nmax_gross_value = 60000\n")),
        format!(
            "f.toml:{}:1: risk.max_open_orders 1 cannot be divided among 2 workers — raise risk.max_open_orders to 2 or \
             more, or name fewer lcores.workers\n\
             f.toml:{}:1: risk.max_order_value 50000 is above one worker's share of risk.max_gross_value, 30000 — lower \
             max_order_value, raise max_gross_value, or name fewer lcores.workers",
            after + 2,
            after + 3
        )
    );
    assert_eq!(
        errors(&LEAST.replace("[feed", "rx_queues = 2\n[feed")),
        "f.toml:3:1: port.rx_queues 2 leaves queues that none of 1 workers polls — lower it, or name more lcores.workers"
    );
    // Whoever does not trade divides no risk.
    assert!(Config::parse(&format!("{LEAST}{two}[risk]\nmax_open_orders = 1\n"), "f").is_ok());
}

#[test]
fn ports_of_the_lines_are_looked_at_together() {
    let least = LEAST.replace("name = \"0\"\n", "name = \"0\"\nline_b = \"1\"\n");
    assert_eq!(
        errors(&least),
        "f.toml:3:1: port.line_b names a port for line B, and there is no [feed.line.b] — add [feed.line.b], or remove \
         port.line_b"
    );
    let both = format!("{least}[feed.line.b]\ngroup = \"239.1.1.2\"\nport = 26400\n");
    let config = Config::parse(&both, "f").unwrap();
    assert_eq!(config.port.distinct(), [&PortRef::Index(0), &PortRef::Index(1)]);
    assert_eq!([&config.port.line_b, &config.port.orders].map(|port| config.port.place(port)), [1, 0]);
    // Tags are compared on one port only.
    assert!(Config::parse(&both.replace("239.1.1.1\"\n", "239.1.1.1\"\nvlan = 7\n"), "f").is_ok());
    assert_eq!(
        errors(&both.replace("line_b = \"1\"\n", "line_b_ip = \"10.0.0.2\"\n")),
        "f.toml:3:1: port.line_b_ip is an address on a port of its own, and line B comes by that of line A — name the \
         other port in port.line_b, or remove port.line_b_ip"
    );
    let ips =
        both.replace("line_b = \"1\"\n", "line_b = \"1\"\nip = \"10.0.0.2\"\nline_b_ip = \"10.0.0.2\"\n");
    assert_eq!(
        errors(&ips),
        "f.toml:4:1: port.ip and port.line_b_ip are both 10.0.0.2, on two ports — give each port an address of its own, or \
         remove port.ip"
    );
}
