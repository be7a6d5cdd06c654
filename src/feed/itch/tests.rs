//! Each type by hand: bytes laid out as the document's tables say, without help from `wire`.

use super::*;

const LOCATE: u16 = 0x0102;
const TIME: u64 = 34_200_123_456_789;

/// A message: type, the common prefix, then `parts`.
fn message(message_type: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![message_type];
    bytes.extend(LOCATE.to_be_bytes());
    bytes.extend([0xFF, 0xFF]);
    bytes.extend(&TIME.to_be_bytes()[2..]);
    bytes.extend(parts.iter().copied().flatten());
    bytes
}

fn event(bytes: &[u8]) -> EventKind {
    let event = decode(bytes).unwrap();
    assert_eq!((event.locate, event.timestamp), (LOCATE, TIME));
    event.kind
}

const REF: [u8; 8] = 0x1122_3344_5566_7788_u64.to_be_bytes();
const NEW_REF: [u8; 8] = 0x99_u64.to_be_bytes();
const MATCH: [u8; 8] = [0xEE; 8];
const SHARES: [u8; 4] = 300_u32.to_be_bytes();
const PRICE: [u8; 4] = 1_234_500_u32.to_be_bytes();
const STOCK: &[u8] = b"ZVZZT   ";
const ORDER_REF: u64 = 0x1122_3344_5566_7788;

#[test]
fn both_adds_are_the_same_event() {
    for (code, side) in [(b'B', Side::Buy), (b'S', Side::Sell)] {
        let add = EventKind::Add { order_ref: ORDER_REF, side, shares: 300, price: Price(1_234_500) };
        assert_eq!(event(&message(b'A', &[&REF, &[code], &SHARES, STOCK, &PRICE])), add);
        assert_eq!(event(&message(b'F', &[&REF, &[code], &SHARES, STOCK, &PRICE, b"MPID"])), add);
    }
}

#[test]
fn a_glimpse_of_a_packet_is_its_first_message() {
    let bodies: [(u8, &[&[u8]]); 7] = [
        (b'A', &[&REF, b"B", &SHARES, STOCK, &PRICE]),
        (b'F', &[&REF, b"B", &SHARES, STOCK, &PRICE, b"MPID"]),
        (b'E', &[&REF, &SHARES, &MATCH]),
        (b'C', &[&REF, &SHARES, &MATCH, b"Y", &PRICE]),
        (b'X', &[&REF, &SHARES]),
        (b'D', &[&REF]),
        (b'U', &[&REF, &NEW_REF, &SHARES, &PRICE]),
    ];
    for (message_type, parts) in bodies {
        let mut bytes = [0; 100];
        let mut packet = moldudp64::PacketBuilder::new(&mut bytes, *b"SESSION   ", 1).unwrap();
        packet.push(&message(message_type, parts)).unwrap();
        let len = packet.len();
        let first = Glimpse { locate: LOCATE, order_ref: ORDER_REF };
        assert_eq!(glimpse(&bytes[..len]), Some(first), "{}", message_type.escape_ascii());
    }
    // A heartbeat has no message, and what is too short for one has none.
    for len in 0..moldudp64::HEADER_LEN + moldudp64::BLOCK_HEADER_LEN + 19 {
        assert_eq!(glimpse(&vec![0xFF; len]), None);
    }
}

#[test]
fn an_order_without_a_side_is_refused() {
    for code in (0..=u8::MAX).filter(|code| !b"BS".contains(code)) {
        let plain = message(b'A', &[&REF, &[code], &SHARES, STOCK, &PRICE]);
        let named = message(b'F', &[&REF, &[code], &SHARES, STOCK, &PRICE, b"MPID"]);
        assert_eq!((decode(&plain), decode(&named)), (Err(Error::Side(code)), Err(Error::Side(code))));
    }
}

#[test]
fn executions_keep_their_price_and_their_print_flag() {
    let (order_ref, shares) = (ORDER_REF, 300);
    assert_eq!(
        event(&message(b'E', &[&REF, &SHARES, &MATCH])),
        EventKind::Execute { order_ref, shares, price: None, printable: true }
    );
    for (flag, printable) in [(b'Y', true), (b'N', false), (b'?', false)] {
        assert_eq!(
            event(&message(b'C', &[&REF, &SHARES, &MATCH, &[flag], &PRICE])),
            EventKind::Execute { order_ref, shares, price: Some(Price(1_234_500)), printable }
        );
    }
}

#[test]
fn cancel_delete_and_replace() {
    assert_eq!(
        event(&message(b'X', &[&REF, &SHARES])),
        EventKind::Cancel { order_ref: ORDER_REF, shares: 300 }
    );
    assert_eq!(event(&message(b'D', &[&REF])), EventKind::Delete { order_ref: ORDER_REF });
    assert_eq!(
        event(&message(b'U', &[&REF, &NEW_REF, &SHARES, &PRICE])),
        EventKind::Replace {
            order_ref: ORDER_REF,
            new_order_ref: 0x99,
            shares: 300,
            price: Price(1_234_500)
        }
    );
}

#[test]
fn trades_and_crosses() {
    let price = Price(1_234_500);
    assert_eq!(
        event(&message(b'P', &[&[0; 8], b"B", &SHARES, STOCK, &PRICE, &MATCH])),
        EventKind::Trade { shares: 300, price, cross: false }
    );
    for shares in [0, u64::MAX] {
        assert_eq!(
            event(&message(b'Q', &[&shares.to_be_bytes(), STOCK, &PRICE, &MATCH, b"O"])),
            EventKind::Trade { shares, price, cross: true }
        );
    }
}

#[test]
fn directory_names_the_locate() {
    let rest = b"QN\x00\x00\x00\x64NCZ PN1NN\x00\x00\x00\x00N";
    let EventKind::Directory { symbol, round_lot } = event(&message(b'R', &[STOCK, rest.as_slice()])) else {
        panic!("not a directory")
    };
    assert_eq!((symbol, round_lot), (Symbol::new("ZVZZT").unwrap(), 100));
}

#[test]
fn states_are_read_and_unknown_ones_closed() {
    for (code, state) in [
        (b'H', TradingState::Halted),
        (b'P', TradingState::Paused),
        (b'Q', TradingState::QuotationOnly),
        (b'T', TradingState::Trading),
        (b't', TradingState::Halted),
        (0, TradingState::Halted),
    ] {
        assert_eq!(event(&message(b'H', &[STOCK, &[code], b" ", b"    "])), EventKind::Trading(state));
    }
    for (market, action, kind) in [
        (b'Q', b'H', EventKind::OperationalHalt(true)),
        (b'Q', b'T', EventKind::OperationalHalt(false)),
        (b'Q', b'?', EventKind::OperationalHalt(true)),
        (b'B', b'H', EventKind::Other),
        (b'X', b'H', EventKind::Other),
    ] {
        assert_eq!(event(&message(b'h', &[STOCK, &[market, action]])), kind);
    }
    for (code, system) in [
        (b'O', SystemEvent::StartOfMessages),
        (b'S', SystemEvent::StartOfSystemHours),
        (b'Q', SystemEvent::StartOfMarketHours),
        (b'M', SystemEvent::EndOfMarketHours),
        (b'E', SystemEvent::EndOfSystemHours),
        (b'C', SystemEvent::EndOfMessages),
        (b'x', SystemEvent::Unknown(b'x')),
    ] {
        assert_eq!(event(&message(b'S', &[&[code]])), EventKind::System(system));
    }
}

#[test]
fn what_no_book_keeps_is_other() {
    for (message_type, len) in [
        (b'Y', 20),
        (b'L', 26),
        (b'V', 35),
        (b'K', 28),
        (b'J', 35),
        (b'B', 19),
        (b'I', 50),
        (b'N', 20),
        (b'O', 48),
    ] {
        assert_eq!(event(&message(message_type, &[&vec![b'B'; len - 11]])), EventKind::Other);
    }
    assert_eq!(event(&message(b'W', &[b"1"])), EventKind::MarketHalt);
    assert_eq!(decode(b"~???").unwrap(), Event { locate: 0, timestamp: 0, kind: EventKind::Other });
}

#[test]
fn errors_are_counted_by_kind() {
    let mut counters = ErrorCounters::default();
    for block in [&b""[..], b"D", &message(b'A', &[&REF, b"?", &SHARES, STOCK, &PRICE]), b"", b"E1"] {
        counters.count(decode(block).unwrap_err());
    }
    assert_eq!(counters.rows(), [("itch_empty", 2), ("itch_bad_length", 2), ("itch_bad_side", 1)]);
}

proptest::proptest! {
    /// Whatever the bytes: no panic, and an event only from a known type of its length or from an unknown type.
    #[test]
    fn any_block_is_an_event_or_an_error(message_type: u8, body in proptest::collection::vec(0..=u8::MAX, 0..60)) {
        let block = [&[message_type][..], &body].concat();
        let known = Message::LAYOUTS.iter().find(|(_, code, ..)| *code == message_type);
        let fits = known.is_none_or(|(_, _, len, _)| *len == block.len());
        match decode(&block) {
            Ok(event) => {
                proptest::prop_assert!(fits);
                proptest::prop_assert!(known.is_some() || event.kind == EventKind::Other);
            }
            Err(Error::Side(side)) => {
                proptest::prop_assert!(fits && b"AF".contains(&message_type) && side == block[19]);
            }
            Err(Error::Wire(_)) => proptest::prop_assert!(!fits),
        }
    }
}
