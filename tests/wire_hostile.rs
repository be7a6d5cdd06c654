//! Bytes that no honest sender sends: random ones, valid messages cut at every length, with flipped bits, with bytes
//! added. No decoder may panic, whatever it accepts must add up, and every refusal has a kind that is counted.
//!
//! `WIREBOOK_CASES` sets the number of random cases; without it they are 10 million, a matter of seconds:
//!
//! ```sh
//! WIREBOOK_CASES=1000000000 cargo test --no-default-features --test wire_hostile -- --nocapture
//! ```
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "wire_support/rng.rs"]
mod rng;
#[path = "wire_support/samples.rs"]
mod samples;

use std::collections::BTreeMap;
use std::hint::black_box;

use rng::Rng;
use samples::Decoder;
use wirebook::nic;
use wirebook::wire::itch::{self, Message};
use wirebook::wire::moldudp64::{self, Packet};
use wirebook::wire::ouch::{self, Inbound, Options, Outbound};
use wirebook::wire::{arp, checksum, ethernet, frame, igmp, ipv4, soup, udp, wutf};

const DEFAULT_CASES: u64 = 10_000_000;

/// What became of the cases: how many were accepted, and how many refused, by kind.
#[derive(Default)]
struct Tally {
    cases: u64,
    accepted: BTreeMap<Decoder, u64>,
    frame: frame::RejectCounters,
    ethernet: ethernet::ErrorCounters,
    ipv4: ipv4::ErrorCounters,
    udp: udp::ErrorCounters,
    arp: arp::ErrorCounters,
    igmp: igmp::ErrorCounters,
    mold: moldudp64::ErrorCounters,
    itch: itch::ErrorCounters,
    ouch: ouch::ErrorCounters,
    soup: soup::ErrorCounters,
    wutf: wutf::ErrorCounters,
}

impl Tally {
    fn run(&mut self, decoder: Decoder, bytes: &[u8]) {
        self.cases += 1;
        let accepted = match decoder {
            Decoder::Frame => self.frame(bytes),
            Decoder::Ethernet => self.ethernet(bytes),
            Decoder::Ipv4 => self.ipv4(bytes),
            Decoder::Udp => self.udp(bytes),
            Decoder::Arp => arp::Packet::new_checked(bytes).map_err(|error| self.arp.count(error)).is_ok(),
            Decoder::Igmp => self.igmp(bytes),
            Decoder::Mold => self.mold(bytes),
            Decoder::Itch => self.itch(bytes),
            Decoder::OuchIn => self.ouch_in(bytes),
            Decoder::OuchOut => self.ouch_out(bytes),
            Decoder::Soup => self.soup(bytes),
            Decoder::SoupLogin => self.soup_login(bytes),
            Decoder::Wutf => self.wutf(bytes),
        };
        *self.accepted.entry(decoder).or_default() += u64::from(accepted);
    }

    /// The whole way down, as the feed goes it; once with our own sums and once with a NIC that vouches.
    fn frame(&mut self, bytes: &[u8]) -> bool {
        let vouched = frame::parse_udp(bytes, nic::IP_CSUM_GOOD | nic::L4_CSUM_GOOD);
        let summed = frame::parse_udp(bytes, 0);
        if let Ok(datagram) = vouched {
            assert!(bytes.as_ptr_range().contains(&datagram.payload.as_ptr()) || datagram.payload.is_empty());
            assert!(datagram.payload.len() + 42 <= bytes.len());
            if let Ok(packet) = Packet::new_checked(datagram.payload) {
                black_box(packet.blocks().filter(|block| Message::parse(block).is_ok()).count());
            }
        }
        black_box((frame::parse_arp(bytes), frame::parse_igmp(bytes).is_ok()));
        match summed {
            Ok(datagram) => assert_eq!(vouched, Ok(datagram)),
            Err(reject) => self.frame.count(reject),
        }
        summed.is_ok()
    }

    fn ethernet(&mut self, bytes: &[u8]) -> bool {
        let frame = ethernet::Frame::new_checked(bytes).map_err(|error| self.ethernet.count(error));
        if let Ok(frame) = frame {
            assert!(frame.vlan().is_none_or(|vlan| (1..4096).contains(&vlan)));
            assert!(bytes.ends_with(frame.payload()));
        }
        frame.is_ok()
    }

    fn ipv4(&mut self, bytes: &[u8]) -> bool {
        let packet = ipv4::Packet::new_checked(bytes).map_err(|error| self.ipv4.count(error));
        if let Ok(packet) = packet {
            assert!(ipv4::HEADER_LEN + packet.options().len() + packet.payload().len() <= bytes.len());
            black_box((packet.checksum_is_good(), packet.is_fragment(), packet.ttl()));
        }
        packet.is_ok()
    }

    fn udp(&mut self, bytes: &[u8]) -> bool {
        let datagram = udp::Datagram::new_checked(bytes).map_err(|error| self.udp.count(error));
        if let Ok(datagram) = datagram {
            assert!(udp::HEADER_LEN + datagram.payload().len() <= bytes.len());
            black_box(datagram.checksum_is_good([10, 0, 0, 1].into(), [10, 0, 0, 2].into()));
        }
        datagram.is_ok()
    }

    /// As it is, and with its checksum made right, since random damage seldom gets past that.
    fn igmp(&mut self, bytes: &[u8]) -> bool {
        let as_it_is = igmp::Message::parse(bytes).map_err(|error| self.igmp.count(error)).is_ok();
        let mut sealed = bytes.to_vec();
        if let Some(place) = sealed.get_mut(2..4) {
            place.fill(0);
            let sum = checksum::of(&sealed);
            sealed[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        let message = igmp::Message::parse(&sealed).map_err(|error| self.igmp.count(error));
        match message {
            Ok(igmp::Message::V3Report(records)) => {
                let len: usize = records.map(|record| 8 + 4 * record.sources.count()).sum();
                assert!(8 + len <= bytes.len());
            }
            Ok(igmp::Message::Query(query)) => assert!(8 + 4 * query.sources.count() <= bytes.len()),
            _ => {}
        }
        as_it_is
    }

    fn mold(&mut self, bytes: &[u8]) -> bool {
        black_box(moldudp64::Request::new_checked(bytes).is_ok());
        let packet = Packet::new_checked(bytes).map_err(|error| self.mold.count(error));
        if let Ok(packet) = packet {
            assert!(packet.sequence().checked_add(u64::from(packet.count())).is_some());
            assert_eq!(packet.blocks().len(), usize::from(packet.count()));
            assert_eq!(packet.blocks().count(), usize::from(packet.count()));
            let blocks: usize = packet.blocks().map(|block| 2 + block.len()).sum();
            assert_eq!(moldudp64::HEADER_LEN + blocks + packet.trailing(), bytes.len());
            let half = packet.count() / 2;
            let [first, second] = [packet.blocks().take_blocks(half), packet.blocks().skip_blocks(half)];
            assert!(first.chain(second).eq(packet.blocks()));
        }
        packet.is_ok()
    }

    fn itch(&mut self, bytes: &[u8]) -> bool {
        let message = Message::parse(bytes).map_err(|error| self.itch.count(error));
        if let Ok(message) = message {
            assert_eq!(message.as_bytes(), bytes);
            assert!(message.timestamp() < 1 << 48);
            black_box(message.stock_locate());
        }
        message.is_ok()
    }

    fn ouch_in(&mut self, bytes: &[u8]) -> bool {
        let message = Inbound::parse(bytes).map_err(|error| self.ouch.count(error));
        if let Ok(message) = message {
            let mut out = [0; 512];
            let (len, options) = samples::emit(&message, &mut out);
            // Read back, what we emit is the same message; where the bytes had an appendage, they are the same too.
            assert_eq!(Inbound::parse(&out[..len]), Ok(message));
            assert!(len != bytes.len() || out[..len] == *bytes);
            options_add_up(options);
        }
        message.is_ok()
    }

    fn ouch_out(&mut self, bytes: &[u8]) -> bool {
        let message = Outbound::parse_with_options(bytes).map_err(|error| self.ouch.count(error));
        if let Ok((message, options)) = message {
            assert!(bytes.starts_with(message.as_bytes()));
            assert!(bytes.ends_with(options.as_bytes()));
            options_add_up(options);
        }
        message.is_ok()
    }

    /// A byte stream, packet by packet, as a TCP session would read it.
    fn soup(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        loop {
            match soup::split(rest) {
                Ok(Some((packet, after))) => {
                    assert_eq!(rest.len() - after.len(), soup::HEADER_LEN + packet.payload.len());
                    rest = after;
                }
                Ok(None) => return true,
                Err(error) => {
                    self.soup.count(error);
                    return false;
                }
            }
        }
    }

    fn soup_login(&mut self, bytes: &[u8]) -> bool {
        let Ok(Some((packet, _))) = soup::split(bytes) else { return false };
        let mut out = [0; 64];
        match packet.packet_type {
            soup::packet_type::LOGIN_REQUEST => match soup::LoginRequest::parse(packet.payload) {
                Ok(login) => {
                    let len = login.emit(&mut out).unwrap();
                    assert_eq!(soup::LoginRequest::parse(&out[soup::HEADER_LEN..len]), Ok(login));
                    return true;
                }
                Err(error) => self.soup.count(error),
            },
            _ => match soup::LoginAccepted::parse(packet.payload) {
                Ok(login) => {
                    let len = login.emit(&mut out).unwrap();
                    assert_eq!(soup::LoginAccepted::parse(&out[soup::HEADER_LEN..len]), Ok(login));
                    return true;
                }
                Err(error) => self.soup.count(error),
            },
        }
        false
    }

    fn wutf(&mut self, bytes: &[u8]) -> bool {
        let upstream = wutf::Upstream::new_checked(bytes).map_err(|error| self.wutf.count(error));
        if let Ok(upstream) = upstream {
            let len: usize = upstream
                .map(|request| match request {
                    wutf::Request::Order(message) => {
                        black_box(Inbound::parse(message).is_ok());
                        wutf::HEADER_LEN + message.len()
                    }
                    wutf::Request::Heartbeat => wutf::HEADER_LEN,
                })
                .sum();
            assert_eq!(len, bytes.len());
        }
        upstream.is_ok()
    }

    /// Name and count of every kind of refusal.
    fn refusals(&self) -> Vec<(&'static str, u64)> {
        let mut rows = Vec::new();
        rows.extend(self.frame.rows());
        rows.extend(self.ethernet.rows());
        rows.extend(self.ipv4.rows());
        rows.extend(self.udp.rows());
        rows.extend(self.arp.rows());
        rows.extend(self.igmp.rows());
        rows.extend(self.mold.rows());
        rows.extend(self.itch.rows());
        rows.extend(self.ouch.rows());
        rows.extend(self.soup.rows());
        rows.extend(self.wutf.rows());
        rows
    }
}

fn options_add_up(options: Options<'_>) {
    let len: usize = options.map(|(_, value)| 2 + value.len()).sum();
    assert_eq!(len, options.as_bytes().len());
}

#[test]
fn valid_messages_are_accepted_and_every_truncation_is_survived() {
    let mut tally = Tally::default();
    for (decoder, sample) in samples::valid() {
        tally.run(decoder, &sample);
        assert_eq!(tally.accepted.values().sum::<u64>(), tally.cases, "{decoder:?} refused {sample:02x?}");
    }
    for (decoder, sample) in samples::valid().into_iter().chain(samples::strangers()) {
        for len in 0..sample.len() {
            // An allocation of exactly that length, so that a sanitizer would see a read beyond it.
            tally.run(decoder, &sample[..len].to_vec().into_boxed_slice());
        }
    }
}

#[test]
fn random_and_damaged_bytes_are_survived_and_counted() {
    let cases = std::env::var("WIREBOOK_CASES").map_or(DEFAULT_CASES, |cases| cases.parse().unwrap());
    let samples: Vec<_> = samples::valid().into_iter().chain(samples::strangers()).collect();
    let mut rng = Rng::new(0x5EED);
    let mut tally = Tally::default();
    let mut buffer = Vec::with_capacity(4_096);
    for _ in 0..cases {
        let (decoder, sample) = &samples[rng.below(samples.len())];
        damage(&mut rng, sample, &mut buffer);
        tally.run(*decoder, &buffer);
    }
    assert_eq!(tally.cases, cases);
    for (decoder, accepted) in &tally.accepted {
        println!("{decoder:?}: {accepted} accepted");
    }
    for (name, count) in tally.refusals() {
        println!("{name}: {count}");
        // Otherwise the cases do not reach the check.
        assert!(count > 0 || cases < DEFAULT_CASES, "no case was refused as {name}");
    }
}

/// Makes a case out of a valid message.
fn damage(rng: &mut Rng, sample: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(sample);
    match rng.below(6) {
        // Random bytes of about its length, the first often kept: it is the type.
        0 => {
            out.resize(rng.below(sample.len() * 2 + 2), 0);
            rng.fill(out);
            if let (Some(first), true) = (out.first_mut(), rng.below(2) == 0) {
                *first = sample[0];
            }
        }
        1 => out.truncate(rng.below(sample.len() + 1)),
        2 => {
            let len = out.len();
            out.resize(len + 1 + rng.below(64), 0);
            rng.fill(&mut out[len..]);
        }
        // A length or count that lies: one byte, often a small number.
        3 => {
            let at = rng.below(out.len());
            out[at] = if rng.below(2) == 0 { rng.below(8) as u8 } else { rng.next() as u8 };
        }
        _ => {
            for _ in 0..1 + rng.below(8) {
                let bit = rng.below(out.len() * 8);
                out[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}
