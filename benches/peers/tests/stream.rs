//! The streams, told to wirebook's books: every message is one that an exchange could send, and what the stream says of
//! itself is what the books hold.
#![expect(clippy::unwrap_used, reason = "a test")]

use book_bench::stream::{Facts, Shape, Stream};
use wirebook::book::{Books, Limits};
use wirebook::feed::itch;
use wirebook::market::{EventKind, TradingState};

/// Messages of each stream that are looked at.
const MESSAGES: usize = 2_000_000;

/// The messages of blocks, one by one.
fn messages(mut block: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = block.split_first_chunk()?;
        let (message, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        block = rest;
        Some(message)
    })
}

/// The beginning of a stream, with the stream after it.
fn beginning(shape: &Shape, count: usize) -> (Vec<u8>, Stream) {
    let (mut stream, mut out) = (Stream::new(shape), Vec::new());
    assert_eq!(stream.fill(&mut out, count), count);
    (out, stream)
}

/// What it came to, after the books agreed.
fn agreed(shape: &Shape, count: usize) -> Facts {
    let mut stream = Stream::new(shape);
    let limits = Limits {
        locates: u32::from(shape.symbols) + 1,
        orders: shape.live + shape.live / 8,
        levels: 1 << 21,
    };
    let mut books = Books::new(limits).unwrap();
    let (mut out, mut counted, mut deepest) = (Vec::new(), [0_u64; 256], 0);
    let mut timestamp = 0;
    while stream.facts().messages < count as u64 {
        out.clear();
        assert_eq!(stream.fill(&mut out, 1_000), 1_000);
        for message in messages(&out) {
            counted[usize::from(message[0])] += 1;
            let event = itch::decode(message).unwrap();
            assert!(timestamp <= event.timestamp && event.timestamp < 24 * 3_600 * 1_000_000_000);
            timestamp = event.timestamp;
            books.apply(&event);
            if let EventKind::Add { side, .. } = event.kind {
                deepest = deepest.max(books.level_count(event.locate, side));
            }
            let top = books.top(event.locate);
            if let (Some(bid), Some(ask)) = (top.bid, top.ask) {
                assert!(bid.price < ask.price, "{event:?}: {top:?}");
            }
        }
    }
    let (facts, usage) = (stream.facts(), books.usage());
    assert_eq!(books.counters().anomalies, 0, "{:?}", books.counters());
    let audit = books.audit().unwrap();
    assert_eq!((audit.orders, audit.levels), (facts.live, facts.levels));
    assert_eq!((usage.orders_peak, usage.levels_peak), (facts.peak_live, facts.peak_levels));
    assert!(facts.deepest_side >= deepest, "{facts:?} {deepest}");
    for kind in b'A'..=b'Z' {
        assert_eq!(facts.of(kind), counted[usize::from(kind)], "{}", char::from(kind));
    }
    for kind in b"SRHAFECXDUP" {
        assert!(facts.of(*kind) > 0, "{}", char::from(*kind));
    }
    assert_eq!(facts.of(b'R'), u64::from(shape.symbols));
    for locate in 1..=shape.symbols {
        assert_eq!(books.trading_state(locate), TradingState::Trading);
    }
    facts
}

#[test]
fn books_agree_with_syn20m() {
    let facts = agreed(&Shape::SYN20M, MESSAGES);
    // Every reference is higher than the one before.
    assert_eq!(facts.references, facts.rising);
}

#[test]
fn books_agree_with_syn40m() {
    let facts = agreed(&Shape::SYN40M, MESSAGES);
    let rising = facts.rising as f64 / facts.references as f64;
    assert!((0.74..0.80).contains(&rising), "{rising}");
}

#[test]
fn books_agree_with_the_day() {
    let facts = agreed(&Shape { messages: MESSAGES as u64 + 2, ..Shape::DAY }, MESSAGES);
    // However few messages, the day's references are used to the end.
    assert!((2_390_000_000..2_410_000_000).contains(&facts.highest_reference), "{facts:?}");
}

#[test]
fn books_agree_where_so_many_are_live() {
    let shape = Shape::live_of(1_000_000);
    let facts = agreed(&shape, MESSAGES);
    assert!((980_000..1_020_000).contains(&facts.live), "{facts:?}");
}

/// Until the climb is over.
#[test]
#[ignore = "takes minutes"]
fn books_agree_with_much_of_the_day() {
    let facts = agreed(&Shape::DAY, 100_000_000);
    assert!((6_500_000..7_300_000).contains(&facts.live), "{facts:?}");
    assert!((1_500_000..2_000_000).contains(&facts.levels), "{facts:?}");
    assert!((14_500..16_000).contains(&facts.deepest_side), "{facts:?}");
    assert!(facts.largest_symbol > 1_700_000, "{facts:?}");
}

#[test]
fn a_stream_ends_after_its_messages() {
    let shape = Shape { messages: 30_000, ..Shape::SYN20M };
    let (out, mut stream) = beginning(&shape, 30_000);
    let all: Vec<&[u8]> = messages(&out).collect();
    assert_eq!(all.len(), 30_000);
    let events = [0, 17_813, 17_814, 29_998, 29_999].map(|at: usize| (all[at][0], all[at][11]));
    assert_eq!(events, [b'O', b'S', b'Q', b'M', b'C'].map(|code| (b'S', code)));
    assert_eq!(stream.fill(&mut Vec::new(), 1), 0);
    assert_eq!(stream.facts().bytes, out.len() as u64);
}

/// The shape alone decides: not the sizes of blocks, not the machine.
#[test]
fn same_shape_same_bytes() {
    let shapes = [Shape::SYN20M, Shape::SYN40M, Shape::DAY, Shape::live_of(100_000)];
    let digests = shapes.map(|shape| {
        let (whole, _) = beginning(&shape, 200_000);
        let (mut stream, mut pieces) = (Stream::new(&shape), Vec::new());
        while pieces.len() < whole.len() {
            stream.fill(&mut pieces, 777);
        }
        assert!(pieces.starts_with(&whole));
        // FNV-1a.
        whole.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    });
    assert_eq!(
        digests,
        [
            5_507_475_671_924_937_911,
            950_035_530_742_512_365,
            1_162_649_448_173_665_982,
            1_817_924_339_276_893_276
        ]
    );
}
