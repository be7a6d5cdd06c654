use super::*;

const NEED: Need = Need {
    epoch: 3,
    session: *b"0123456789",
    expected: 1_000,
    holes: [
        Hole { first: 1_000, end: 1_010 },
        Hole { first: 1_020, end: 1_021 },
        Hole { first: 2_000, end: u64::MAX },
        Hole { first: 0, end: 0 },
        Hole { first: 0, end: 0 },
        Hole { first: 0, end: 0 },
        Hole { first: 0, end: 0 },
        Hole { first: 7, end: 8 },
    ],
    snapshot: 42,
    oldest: 990,
};

#[test]
fn the_need_arrives_whole() {
    let (mut of_loop, of_client) = link(0);
    assert_eq!(of_client.need.read(), Need::default());
    of_loop.need.publish(&NEED);
    assert_eq!(of_client.need.read(), NEED);
    assert_eq!(of_client.need.read().open().count(), 4);
    of_loop.need.publish(&Need { epoch: 4, ..Need::default() });
    assert_eq!(of_client.need.read(), Need { epoch: 4, ..Need::default() });
}

#[test]
fn every_item_comes_out_as_it_went_in() {
    let (mut of_loop, mut of_client) = link(0);
    let long = vec![7; MAX_BYTES];
    let items = [
        Item::Packet { epoch: 1, payload: b"a MoldUDP64 packet" },
        Item::Abandon { epoch: 2, end: u64::MAX },
        Item::SnapshotBegin { epoch: 3, number: 4 },
        Item::SnapshotMessage { message: b"" },
        Item::SnapshotMessage { message: &long },
        Item::SnapshotEnd { next: u64::MAX },
        Item::SnapshotFailed,
        Item::Packet { epoch: u64::MAX, payload: b"" },
    ];
    assert!(of_loop.taker.is_empty());
    assert_eq!(of_loop.taker.take(), None);
    // Several rounds, so that records lie across the end of the ring.
    for _ in 0..10 {
        for item in &items {
            assert!(of_client.giver.give(item));
        }
        for item in items {
            assert!(!of_loop.taker.is_empty());
            assert_eq!(of_loop.taker.take(), Some(item));
        }
        assert_eq!(of_loop.taker.take(), None);
    }
}

#[test]
fn a_full_ring_refuses_and_loses_nothing() {
    let (mut of_loop, mut of_client) = link(1);
    let payload = vec![9; 1_000];
    let mut given = 0;
    while of_client.giver.give(&Item::Packet { epoch: given, payload: &payload }) {
        given += 1;
    }
    assert!(given >= 128, "{given}");
    assert!(!of_client.giver.give(&Item::Packet { epoch: 0, payload: &payload }));
    for epoch in 0..given {
        assert_eq!(of_loop.taker.take(), Some(Item::Packet { epoch, payload: &payload }));
    }
    assert_eq!(of_loop.taker.take(), None);
    assert!(of_client.giver.give(&Item::SnapshotFailed));
    assert!(!of_client.giver.give(&Item::SnapshotMessage { message: &vec![0; MAX_BYTES + 1] }));
    assert_eq!(of_loop.taker.take(), Some(Item::SnapshotFailed));
    assert_eq!(of_loop.taker.take(), None);
}

#[test]
fn two_threads_meet_in_the_ring() {
    const ITEMS: u64 = if cfg!(miri) { 200 } else { 100_000 };
    let (mut of_loop, mut of_client) = link(0);
    let giver = std::thread::spawn(move || {
        let bytes: Vec<u8> = (0..=255).cycle().take(2_000).collect();
        for epoch in 0..ITEMS {
            let payload = &bytes[..usize::try_from(epoch * 37 % 2_000).unwrap()];
            while !of_client.giver.give(&Item::Packet { epoch, payload }) {
                std::thread::yield_now();
            }
        }
    });
    let mut next = 0;
    while next < ITEMS {
        let Some(item) = of_loop.taker.take() else {
            std::thread::yield_now();
            continue;
        };
        let Item::Packet { epoch, payload } = item else { panic!("{item:?}") };
        assert_eq!(epoch, next);
        assert_eq!(payload.len() as u64, epoch * 37 % 2_000);
        assert!(payload.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 256));
        next += 1;
    }
    giver.join().unwrap();
}
