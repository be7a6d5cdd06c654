//! A packet at once against its blocks one by one: the fuzzer's bytes are blocks (one byte of length before each).
//!
//! A finding is a read outside of the packet, or a record that is not what `decode` says of its block.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use wirebook::feed::itch::batch::{Batch, Path};
use wirebook::feed::itch::decode;
use wirebook::market::OrderMessage;
use wirebook::wire::moldudp64::Packet;

thread_local! {
    // Kept, as the loop keeps its own: what a batch held before must not show.
    static BATCHES: RefCell<Vec<Batch>> =
        RefCell::new(Path::ALL.into_iter().filter_map(Batch::with_path).collect());
}

/// A packet in an allocation of exactly its size.
fn packet(mut bytes: &[u8]) -> Box<[u8]> {
    let mut packet = b"FUZZ000001\0\0\0\0\0\0\0\x01\0\0".to_vec();
    let mut count = 0_u16;
    while let Some((len, rest)) = bytes.split_first()
        && count < 1_000
    {
        let block = &rest[..rest.len().min(usize::from(*len))];
        packet.extend([0, block.len() as u8]);
        packet.extend(block);
        bytes = &rest[block.len()..];
        count += 1;
    }
    packet[18..20].copy_from_slice(&count.to_be_bytes());
    packet.into_boxed_slice()
}

fuzz_target!(|bytes: &[u8]| {
    let bytes = packet(bytes);
    let whole = Packet::new_checked(&bytes).expect("a good packet").blocks();
    BATCHES.with_borrow_mut(|batches| {
        let mut scalar = Vec::with_capacity(whole.len());
        for batch in batches {
            let (mut left, mut blocks) = (whole, whole);
            let mut records = Vec::with_capacity(whole.len());
            loop {
                let filled = batch.fill(&mut left);
                if filled.is_empty() {
                    break;
                }
                for (i, record) in filled.records().iter().enumerate() {
                    let block = blocks.next().expect("as many blocks as records");
                    assert_eq!(filled.block(i), block);
                    let order = decode(block).ok().filter(|event| OrderMessage::from_event(event).is_some());
                    assert_eq!(record.event(), order);
                    assert!(order.is_some() || *record == OrderMessage::EMPTY);
                }
                records.extend_from_slice(filled.records());
            }
            assert_eq!(blocks.next(), None);
            if batch.path() == Path::Scalar {
                scalar = records;
            } else {
                assert_eq!(records, scalar);
            }
        }
    });
});
