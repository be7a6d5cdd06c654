//! Bytes that no honest sender sends: random ones, valid messages cut at every length, with flipped bits, with bytes
//! added. No decoder may panic, whatever it accepts must add up, and every refusal has a kind that is counted.
//!
//! `WIREBOOK_CASES` sets the number of random cases; without it they are 10 million, a matter of seconds:
//!
//! ```sh
//! WIREBOOK_CASES=1000000000 cargo test --no-default-features --test wire_hostile -- --nocapture
//! ```
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "wire_support/checks.rs"]
mod checks;
#[path = "wire_support/rng.rs"]
mod rng;
#[path = "wire_support/samples.rs"]
mod samples;

use std::collections::BTreeMap;

use rng::Rng;
use samples::Decoder;
use wirebook::wire::{arp, ethernet, frame, igmp, ipv4, itch, moldudp64, ouch, soup, udp, wutf};

/// Takes a few seconds in an optimised test build.
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
            Decoder::Frame => checks::frame(bytes).map_err(|reject| self.frame.count(reject)),
            Decoder::Ethernet => checks::ethernet(bytes).map_err(|error| self.ethernet.count(error)),
            Decoder::Ipv4 => checks::ipv4(bytes).map_err(|error| self.ipv4.count(error)),
            Decoder::Udp => checks::udp(bytes).map_err(|error| self.udp.count(error)),
            Decoder::Arp => checks::arp(bytes).map_err(|error| self.arp.count(error)),
            Decoder::Igmp => checks::igmp(bytes).map_err(|error| self.igmp.count(error)),
            Decoder::Mold => checks::mold(bytes).map_err(|error| self.mold.count(error)),
            Decoder::Itch => checks::itch(bytes).map_err(|error| self.itch.count(error)),
            Decoder::OuchIn => checks::ouch_in(bytes).map_err(|error| self.ouch.count(error)),
            Decoder::OuchOut => checks::ouch_out(bytes).map_err(|error| self.ouch.count(error)),
            Decoder::Soup => checks::soup(bytes).map_err(|error| self.soup.count(error)),
            Decoder::SoupLogin => checks::soup_login(bytes).map_err(|error| self.soup.count(error)),
            Decoder::Wutf => checks::wutf(bytes).map_err(|error| self.wutf.count(error)),
        };
        *self.accepted.entry(decoder).or_default() += u64::from(accepted.is_ok());
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
