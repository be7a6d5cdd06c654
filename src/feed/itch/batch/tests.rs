//! Every path against [`decode`], which reads block by block.

use proptest::prelude::*;

use super::*;
use crate::feed::itch::{Error, decode};
use crate::market::{Price, Symbol};
use crate::wire::itch::Message;
use crate::wire::moldudp64::{HEADER_LEN, Packet};

/// A packet of these blocks, in an allocation of exactly its size: whatever reads behind it reads what is not its own,
/// as Miri, valgrind and the sanitizers see.
fn packet(blocks: &[impl AsRef<[u8]>]) -> Box<[u8]> {
    let len: usize = blocks.iter().map(|block| 2 + block.as_ref().len()).sum();
    let mut bytes = Vec::with_capacity(HEADER_LEN + len);
    bytes.extend_from_slice(b"000000001A");
    bytes.extend_from_slice(&1_u64.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(blocks.len()).unwrap().to_be_bytes());
    for block in blocks {
        bytes.extend_from_slice(&u16::try_from(block.as_ref().len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(block.as_ref());
    }
    bytes.into_boxed_slice()
}

/// A block of `len` bytes that differ from one another, so that none can stand for another.
fn numbered(message_type: u8, len: usize) -> Vec<u8> {
    let mut block: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_add(0x80)).collect();
    if let Some(first) = block.first_mut() {
        *first = message_type;
    }
    block
}

/// The same with a side where orders have one.
fn order(message_type: u8) -> Vec<u8> {
    let (_, _, len, _) = Message::LAYOUTS.iter().find(|layout| layout.1 == message_type).unwrap();
    let mut block = numbered(message_type, *len);
    if b"AF".contains(&message_type) {
        block[19] = b'S';
    }
    block
}

/// What the record of a block must be, by the accessors of the wire format.
fn expected(block: &[u8]) -> OrderMessage {
    let Ok(event) = decode(block) else { return OrderMessage::EMPTY };
    let Some(mut flat) = OrderMessage::from_event(&event) else { return OrderMessage::EMPTY };
    match Message::parse(block).unwrap() {
        Message::AddOrder(add) => flat.symbol = Symbol(add.stock()),
        Message::AddOrderMpid(add) => {
            flat.symbol = Symbol(add.stock());
            flat.attribution = add.attribution();
        }
        Message::OrderExecuted(executed) => flat.match_number = executed.match_number(),
        Message::OrderExecutedWithPrice(executed) => {
            flat.match_number = executed.match_number();
            flat.printable = executed.printable();
        }
        _ => {}
    }
    flat.tracking = u16::from_be_bytes([block[3], block[4]]);
    flat
}

fn batches() -> Vec<Batch> {
    Path::ALL.into_iter().filter_map(Batch::with_path).collect()
}

/// Every path makes of `blocks` what [`decode`] does, and hands back the same blocks.
fn check(batches: &mut [Batch], blocks: &[impl AsRef<[u8]>]) {
    let bytes = packet(blocks);
    let packet = Packet::new_checked(&bytes).unwrap();
    for batch in batches {
        let path = batch.path();
        let mut left = packet.blocks();
        for chunk in blocks.chunks(Batch::MOST) {
            let filled = batch.fill(&mut left);
            assert_eq!((filled.len(), filled.is_empty()), (chunk.len(), false));
            for (i, block) in chunk.iter().enumerate() {
                let (block, record) = (block.as_ref(), &filled.records()[i]);
                assert_eq!(filled.block(i), block, "{path:?}");
                assert_eq!(*record, expected(block), "{path:?} of {:?}", block.escape_ascii().to_string());
                // What `decode` says of an order message it says of the record, and the other way round.
                let event = decode(block).ok().filter(|event| OrderMessage::from_event(event).is_some());
                assert_eq!(record.event(), event, "{path:?}");
            }
            assert_eq!(filled.block(chunk.len()), b"");
        }
        assert_eq!(left.len(), 0);
        assert!(batch.fill(&mut left).is_empty(), "{path:?}");
    }
}

#[test]
fn an_add_by_hand() {
    let mut block = [0; 40];
    block[0] = b'F';
    block[1..5].copy_from_slice(&[0x12, 0x34, 0x56, 0x78]);
    block[5..11].copy_from_slice(&[0, 1, 2, 3, 4, 5]);
    block[11..19].copy_from_slice(&0x0102_0304_0506_0708_u64.to_be_bytes());
    block[19] = b'B';
    block[20..24].copy_from_slice(&500_u32.to_be_bytes());
    block[24..32].copy_from_slice(b"AAPL    ");
    block[32..36].copy_from_slice(&1_234_500_u32.to_be_bytes());
    block[36..40].copy_from_slice(b"NITE");
    let bytes = packet(&[block]);
    for mut batch in batches() {
        let filled = batch.fill(&mut Packet::new_checked(&bytes).unwrap().blocks()).records().to_vec();
        let add = OrderMessage {
            order_ref: 0x0102_0304_0506_0708,
            timestamp: 0x01_0203_0405,
            shares: 500,
            price: Price(1_234_500),
            locate: 0x1234,
            tracking: 0x5678,
            kind: OrderMessage::ADD,
            side: b'B',
            symbol: Symbol(*b"AAPL    "),
            attribution: *b"NITE",
            ..OrderMessage::EMPTY
        };
        assert_eq!(filled, [add]);
    }
}

#[test]
fn the_widest_path_is_chosen() {
    let widest = batches().last().unwrap().path();
    assert_eq!((Batch::new().path(), Batch::default().path()), (widest, widest));
    assert!(Batch::with_path(Path::Scalar).is_some());
    #[cfg(target_arch = "x86_64")]
    assert_eq!(Batch::with_path(Path::Avx2).is_some(), is_x86_feature_detected!("avx2"));
}

#[test]
fn every_type_at_every_length() {
    let mut batches = batches();
    for message_type in 0..=u8::MAX {
        let blocks: Vec<_> = (0..=64).map(|len| numbered(message_type, len)).collect();
        check(&mut batches, &blocks);
    }
    for &(_, message_type, ..) in Message::LAYOUTS {
        // As the last block of a packet too, and alone.
        for len in 0..=64 {
            check(&mut batches, &[order(b'D'), numbered(message_type, len)]);
            check(&mut batches, &[numbered(message_type, len)]);
        }
        check(&mut batches, &[order(message_type)]);
        check(&mut batches, &[order(b'D'), order(b'A'), order(message_type)]);
    }
}

#[test]
fn every_value_of_every_byte() {
    let mut batches = batches();
    for message_type in *b"AFECXDU" {
        let whole = order(message_type);
        for at in 0..whole.len() {
            let blocks: Vec<_> = (0..=u8::MAX)
                .map(|value| {
                    let mut block = whole.clone();
                    block[at] = value;
                    block
                })
                .collect();
            check(&mut batches, &blocks);
        }
    }
}

#[test]
fn long_blocks_are_walked_over() {
    let mut batches = batches();
    for len in [65, 255, 256, 257, 291, 292, 1_000, 65_535] {
        for message_type in *b"AD~" {
            check(&mut batches, &[order(b'U'), numbered(message_type, len), order(b'A'), order(b'D')]);
        }
    }
}

#[test]
fn more_blocks_than_one_batch() {
    let mut batches = batches();
    for count in [63, 64, 65, 127, 128, 129, 200] {
        let blocks: Vec<_> = (0..count).map(|i| order(b"AFECXDU"[i % 7])).collect();
        check(&mut batches, &blocks);
    }
}

#[test]
fn part_of_a_packet() {
    let blocks: Vec<_> = b"AFECXDU".map(order).to_vec();
    let bytes = packet(&blocks);
    let whole = Packet::new_checked(&bytes).unwrap().blocks();
    for mut batch in batches() {
        for skipped in 0..=7 {
            for taken in 0..=7 {
                let mut part = whole.skip_blocks(skipped).take_blocks(taken);
                let filled = batch.fill(&mut part);
                let expected = blocks.iter().skip(skipped.into()).take(taken.into());
                assert_eq!(filled.len(), expected.len());
                for (i, block) in expected.enumerate() {
                    assert_eq!((filled.records()[i], filled.block(i)), (self::expected(block), &block[..]));
                }
                assert_eq!(part.len(), 0);
            }
        }
    }
}

#[test]
fn what_a_batch_held_before_does_not_show() {
    let mut batches = batches();
    let full: Vec<_> = (0..64).map(|_| vec![0xFF; 40]).collect();
    for message_type in *b"AFECXDUF~" {
        check(&mut batches, &full);
        check(&mut batches, &vec![order(if message_type == b'~' { b'D' } else { message_type }); 64]);
        check(&mut batches, &vec![numbered(message_type, 12); 64]);
    }
}

#[test]
fn errors_stay_with_decode() {
    let mut no_side = order(b'A');
    no_side[19] = b'?';
    let blocks = [Vec::new(), numbered(b'D', 18), no_side, order(b'D')];
    let bytes = packet(&blocks);
    for mut batch in batches() {
        let filled = batch.fill(&mut Packet::new_checked(&bytes).unwrap().blocks());
        let kinds: Vec<_> = filled.records().iter().map(|record| record.kind).collect();
        assert_eq!(kinds, [OrderMessage::NONE, OrderMessage::NONE, OrderMessage::NONE, OrderMessage::DELETE]);
        assert!(matches!(decode(filled.block(0)), Err(Error::Wire(_))));
        assert!(matches!(decode(filled.block(1)), Err(Error::Wire(_))));
        assert_eq!(decode(filled.block(2)), Err(Error::Side(b'?')));
    }
}

#[test]
fn a_truncated_packet_never_gets_here() {
    let blocks = b"AFECXDU".map(order);
    let bytes = packet(&blocks);
    for len in 0..bytes.len() {
        assert!(Packet::new_checked(&bytes[..len]).is_err(), "at {len}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "too many for Miri")]
fn a_million_random_blocks() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    };
    let mut batches = batches();
    let mut orders = 0;
    for _ in 0..20_000 {
        let mut blocks = Vec::with_capacity(50);
        for _ in 0..50 {
            let choice = random() as usize % 32;
            // Nearly all have a type and a length that belong together.
            let (message_type, len) = match Message::LAYOUTS.get(choice) {
                Some((_, message_type, len, _)) => (*message_type, *len),
                None if choice < 30 => (b"AFECXDU"[choice - 23], order(b"AFECXDU"[choice - 23]).len()),
                None => (random() as u8, random() as usize % 65),
            };
            let mut block: Vec<u8> = (0..len).map(|_| random() as u8).collect();
            if let Some(first) = block.first_mut() {
                *first = message_type;
            }
            if let Some(side) = block.get_mut(19)
                && !choice.is_multiple_of(8)
            {
                *side = b"BS"[usize::from(*side % 2)];
            }
            orders += u32::from(expected(&block).kind != OrderMessage::NONE);
            blocks.push(block);
        }
        check(&mut batches, &blocks);
    }
    assert!((200_000..800_000).contains(&orders), "{orders} of a million");
}

/// A block that is often nearly an order message.
fn block() -> impl Strategy<Value = Vec<u8>> {
    let order =
        (prop::sample::select(b"AFECXDU".to_vec()), prop::collection::vec(any::<u8>(), 40), any::<bool>());
    let near = order.prop_map(|(message_type, mut bytes, sided)| {
        bytes.truncate(Message::LAYOUTS.iter().find(|layout| layout.1 == message_type).unwrap().2);
        bytes[0] = message_type;
        if sided && bytes.len() > 19 {
            bytes[19] = if bytes[19] < 128 { b'B' } else { b'S' };
        }
        bytes
    });
    prop_oneof![6 => near, 1 => prop::collection::vec(any::<u8>(), 0..=64)]
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "too many for Miri")]
    fn any_packet_decodes_as_its_blocks_do(blocks in prop::collection::vec(block(), 1..=80)) {
        check(&mut batches(), &blocks);
    }
}
