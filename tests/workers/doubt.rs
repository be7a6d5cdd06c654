//! A message that cannot be read makes the same books doubtful, whoever keeps them.

use exchange::frames::{Addressing, Framer};
use exchange::market::{Config as MarketConfig, Market};
use exchange::rng::Rng;
use wirebook::config::Config;

use crate::crew::{Crew, config};

/// What one can do to a message without making it speak of another instrument or another order: those a worker cannot
/// know to be another's.
fn spoil(message: &mut Vec<u8>, rng: &mut Rng) {
    match rng.below(6) {
        0 => message.truncate(rng.index(message.len())),
        1 => message.push(0),
        2 => message[0] = rng.below(256) as u8,
        // The side of an add; harmless in others.
        3 if message.len() > 19 => message[19] = b'?',
        4 => {
            // An instrument that nobody announced: cut, where it names an order.
            message[1..3].copy_from_slice(&(60_u16 + rng.below(3) as u16).to_be_bytes());
            if message[0] != b'H' {
                message.truncate(9);
            }
        }
        _ => message.clear(),
    }
}

fn spoilt_day(seed: u64) -> Vec<Vec<u8>> {
    let market = MarketConfig { symbols: 24, seed, live_orders: 600, ..MarketConfig::default() };
    let (mut market, mut messages) = (Market::new(market).unwrap(), Vec::new());
    while messages.len() < 3_000 {
        market.step(&mut |message| messages.push(message.to_vec()));
    }
    let mut rng = Rng::stream(seed, 77);
    for _ in 0..1 + rng.below(4) {
        let at = rng.index(messages.len());
        spoil(&mut messages[at], &mut rng);
    }
    messages
}

fn play(config: &Config, messages: &[Vec<u8>]) -> Crew {
    let mut crew = Crew::new(config);
    let a = &config.feed.line_a;
    let to = Addressing::multicast([2; 6], "10.0.0.1".parse().unwrap(), a.group, a.port, None);
    let mut framer = Framer::new(to);
    let mut sequence = 1_u64;
    for part in messages.chunks(7) {
        let mut packet = b"DAY       ".to_vec();
        packet.extend(sequence.to_be_bytes());
        packet.extend((part.len() as u16).to_be_bytes());
        for message in part {
            packet.extend((message.len() as u16).to_be_bytes());
            packet.extend(message);
        }
        sequence += part.len() as u64;
        crew.receive(framer.frame(&packet).unwrap());
        crew.turn(sequence * 1_000);
    }
    crew
}

#[test]
fn the_same_books_are_doubtful() {
    // Without anybody who could mend them.
    let alone = |workers| {
        let small = [
            ("reorder_packets = 32768", "reorder_packets = 64"),
            ("max_locates = 10001", "max_locates = 64"),
            ("max_orders = 1000000", "max_orders = 4000"),
            ("max_levels = 300000", "max_levels = 4000"),
        ];
        let mut config = config(workers, &small);
        config.recovery = None;
        config
    };
    let (mut all, mut some, mut none) = (0, 0, 0);
    for seed in 0..60 {
        let messages = spoilt_day(seed);
        let one = play(&alone(1), &messages);
        let (known, doubtful) = one.known();
        for workers in [2, 3] {
            let crew = play(&alone(workers), &messages);
            assert_eq!(crew.known(), (known.clone(), doubtful.clone()), "seed {seed}, {workers} workers");
            assert!(crew.dump() == one.dump(), "seed {seed}, {workers} workers: the books differ");
        }
        match doubtful.len() {
            0 => none += 1,
            n if n == known.len() => all += 1,
            _ => some += 1,
        }
    }
    assert!(all > 5 && some > 5 && none > 1, "all {all}, some {some}, none {none}");
}
