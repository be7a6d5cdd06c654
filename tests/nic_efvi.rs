//! What the ef_vi backend does beyond the seam's contract: completions found by the other half, refilling, what the NIC
//! says that cannot be true, and the ends from which there is no way back.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod counting;
mod efvi_nic;

use efvi_nic::{Make, Nic, port};
use wirebook::nic::efvi::{BUFFER, Discard, EVENTS, EfviTx, Event, REFILL, Vi, receive_buffers};
use wirebook::nic::{HW_STAMP, MAX_BURST, RxBurst, RxDrops, RxQueue, TxQueue};

fn send<V: Vi>(tx: &mut EfviTx<V>, byte: u8) {
    let mut slot = tx.reserve().unwrap();
    slot[..64].fill(byte);
    assert!(tx.send(slot, 64).is_ok());
}

/// Frames of one poll, by their first byte.
fn poll<R: RxQueue>(rx: &mut R) -> Vec<u8> {
    let burst = rx.poll();
    (0..burst.len()).map(|i| burst.frame(i).bytes[0]).collect()
}

#[test]
fn a_receive_poll_frees_transmit_buffers() {
    let (_nic, mut rx, mut tx) = port(Make { send: 8, ..Make::default() });
    (0..8).for_each(|n| send(&mut tx, n));
    assert_eq!(tx.counters().sent_cut_through + tx.counters().sent_from_memory, 0, "no event was taken yet");
    assert!(rx.poll().is_empty());
    let counters = rx.counters();
    assert_eq!(counters.sent_cut_through + counters.sent_from_memory, 8);
    // The first two, before one failed; what comes behind one that waits goes from memory too.
    assert_eq!(counters.sent_cut_through, 2);
    assert_eq!(tx.reclaim(), 8, "told once");
    assert_eq!(tx.reclaim(), 0);
}

#[test]
fn frames_that_the_sender_finds_wait_for_the_receiver() {
    let (nic, mut rx, mut tx) = port(Make { send: 4, ..Make::default() });
    for n in 0..50 {
        assert!(nic.borrow_mut().receive(&[n; 60]));
    }
    // Each of these has to poll for a buffer: the frames come with the completions.
    (0..20).for_each(|n| send(&mut tx, n));
    assert_eq!(poll(&mut rx), (0..MAX_BURST as u8).collect::<Vec<_>>());
    assert_eq!(poll(&mut rx), (MAX_BURST as u8..50).collect::<Vec<_>>());
    let left: Vec<u8> = nic.borrow_mut().sent().iter().map(|frame| frame[0]).collect();
    assert_eq!(left, (0..20).collect::<Vec<_>>());
}

#[test]
fn what_the_sender_finds_leaves_the_burst_alone() {
    let (nic, mut rx, mut tx) = port(Make { send: 2, ..Make::default() });
    for n in 0..20 {
        assert!(nic.borrow_mut().receive(&[n; 60]));
    }
    let burst = rx.poll();
    for n in 20..100 {
        // Received into other buffers, and taken off the event queue by the sender, while the burst is out.
        assert!(nic.borrow_mut().receive(&[n; 60]));
        send(&mut tx, n);
    }
    assert!((0..20).all(|i| burst.frame(i).bytes == [i as u8; 60]));
    drop(burst);
    assert_eq!(poll(&mut rx)[0], 20);
}

#[test]
fn a_forgotten_burst_keeps_no_buffer() {
    let (nic, mut rx, _tx) = port(Make { ring: 64, ..Make::default() });
    for n in 0..200 {
        assert!(nic.borrow_mut().receive(&[n; 60]), "frame {n}");
        std::mem::forget(rx.poll());
        rx.refill();
    }
}

/// Every buffer is accounted for, whatever came in between.
fn assert_full(nic: &Nic, ring: usize) {
    assert!(nic.posted() > ring - REFILL, "{} of {ring} posted", nic.posted());
}

#[test]
fn refilling_keeps_the_ring_full() {
    let make = Make::default();
    let (nic, mut rx, _tx) = port(make);
    assert_full(&nic.borrow(), make.ring);
    for n in 0..10_000_u32 {
        assert!(nic.borrow_mut().receive(&[n as u8; 60]));
        if n % 7 == 0 {
            nic.borrow_mut().discard(Discard::Checksum);
            nic.borrow_mut().receive(&[1; 5_000]);
        }
        if n.is_multiple_of(3) {
            let burst = rx.poll();
            // The buffers of this burst are not among those that are posted now.
            assert!(nic.borrow().posted() >= make.ring - 2 * MAX_BURST);
            drop(burst);
            rx.refill();
        }
    }
    while !rx.poll().is_empty() {
        rx.refill();
    }
    rx.refill();
    assert_full(&nic.borrow(), make.ring);
    assert_eq!(nic.borrow().lost, 0);
    assert_eq!(rx.counters().discard_checksum, 10_000_u64.div_ceil(7));
    assert_eq!(rx.drops().segmented, 10_000_u64.div_ceil(7));
}

#[test]
fn descriptors_are_pushed_in_whole_batches() {
    let (nic, mut rx, _tx) = port(Make::default());
    let before = nic.borrow().pushes;
    for n in 0..100 {
        nic.borrow_mut().receive(&[n; 60]);
        drop(rx.poll());
        rx.refill();
    }
    let pushes = nic.borrow().pushes - before;
    assert!(
        (100 / REFILL as u64..=100 / REFILL as u64 + 1).contains(&pushes),
        "{pushes} pushes for 100 frames"
    );
}

#[test]
fn out_of_buffers_is_survived() {
    let make = Make { ring: 32, ..Make::default() };
    let (nic, mut rx, _tx) = port(make);
    let came = (0..200).filter(|n| nic.borrow_mut().receive(&[*n; 60])).count();
    assert_eq!(came, make.ring, "what was posted, and no more");
    nic.borrow_mut().event(Event::NoBuffer);
    let mut seen = 0;
    for _ in 0..10 {
        seen += poll(&mut rx).len();
        rx.refill();
    }
    assert_eq!((seen, rx.counters().no_buffer), (make.ring, 1));
    assert!(nic.borrow_mut().receive(&[1; 60]));
    assert_eq!(poll(&mut rx), [1]);
}

/// The loop refills after frames only: a ring that was emptied by discards must not stay empty.
#[test]
fn discards_alone_do_not_empty_the_ring() {
    let (nic, mut rx, _tx) = port(Make::default());
    for _ in 0..1_000 {
        nic.borrow_mut().discard(Discard::Crc);
        assert!(rx.poll().is_empty());
    }
    assert!(nic.borrow().posted() >= 64);
    assert_eq!(rx.counters().discard_crc, 1_000);
}

#[test]
fn discards_are_counted_by_kind() {
    let kinds = [
        Discard::Checksum,
        Discard::Crc,
        Discard::Truncated,
        Discard::Multicast,
        Discard::Other,
        Discard::Other,
    ];
    for lends in [false, true] {
        let (nic, mut rx, _tx) = port(Make { lends, ..Make::default() });
        kinds.iter().for_each(|why| nic.borrow_mut().discard(*why));
        assert!(nic.borrow_mut().receive(&[9; 60]));
        assert_eq!(poll(&mut rx), [9]);
        let rows = rx.counters().rows();
        assert_eq!(rows.map(|(_, count)| count)[..5], [1, 1, 1, 1, 2]);
        assert_eq!(rx.drops(), RxDrops { segmented: 0, truncated: 1 });
    }
}

#[test]
fn the_prefix_is_no_part_of_the_frame() {
    for prefix in [0, 14, 22, 64, 100] {
        let (nic, mut rx, _tx) = port(Make { prefix, stamps: true, ..Make::default() });
        let longest = BUFFER - prefix;
        for len in [1, 60, 1_514, longest] {
            assert!(nic.borrow_mut().receive(&vec![0x5A; len]));
            let burst = rx.poll();
            let frame = burst.frame(0);
            assert_eq!(frame.bytes, vec![0x5A; len]);
            assert_eq!(frame.flags, HW_STAMP);
            assert!(frame.stamp > 1_700_000_000_000_000_000);
        }
        // One byte more needs a second buffer.
        assert!(nic.borrow_mut().receive(&vec![0x5A; longest + 1]));
        assert!(rx.poll().is_empty());
        assert_eq!(rx.drops().segmented, 1);
    }
}

#[test]
fn without_a_stamp_there_is_no_flag() {
    let (nic, mut rx, _tx) = port(Make::default());
    nic.borrow_mut().receive(&[1; 60]);
    let burst = rx.poll();
    assert_eq!((burst.frame(0).flags, burst.frame(0).stamp), (0, 0));
}

#[test]
fn ids_that_the_nic_does_not_have_are_counted_and_nothing_else() {
    let make = Make::default();
    let (nic, mut rx, mut tx) = port(make);
    let receive = receive_buffers(make.ring) as u32;
    let whole = |id| Event::Received { id, len: 100, first: true, more: false, stamp: None };
    // Not posted (the ring takes fewer than there are), a transmit buffer, none at all.
    let wrong = [receive - 1, receive, receive + 63, receive + 64, 1 << 20, u32::MAX];
    for id in wrong {
        nic.borrow_mut().event(whole(id));
        nic.borrow_mut().event(Event::Discarded { id, why: Discard::Crc });
    }
    // A receive buffer, transmit buffers that were not sent, none at all.
    let sent = [0, receive, receive + 63, receive + 64, u32::MAX];
    for id in sent {
        nic.borrow_mut().event(Event::Sent { id, cut_through: true });
        nic.borrow_mut().event(Event::NotSent { id });
    }
    assert!(rx.poll().is_empty());
    let counters = rx.counters();
    assert_eq!(counters.bad_events, 2 * (wrong.len() + sent.len()) as u64);
    assert_eq!(counters.discard_crc + counters.sent_cut_through + counters.not_sent, 0);
    // One that is true is true once.
    send(&mut tx, 1);
    let slot = tx.reserve().unwrap();
    assert!(rx.poll().is_empty());
    let bad = rx.counters().bad_events;
    for id in receive..receive + 64 {
        nic.borrow_mut().event(Event::Sent { id, cut_through: false });
    }
    assert!(rx.poll().is_empty() && rx.poll().is_empty());
    assert_eq!(rx.counters().bad_events - bad, 64, "freed, on its stack, or out as a slot");
    drop(slot);
    let slots: Vec<_> = std::iter::from_fn(|| tx.reserve()).collect();
    assert_eq!(slots.len(), make.send, "no buffer was made out of nothing");
}

/// Whatever a NIC says: every buffer stays accounted for, and what is good among the rest still arrives.
#[test]
fn no_event_can_confuse_the_ledger() {
    let make = Make { send: 16, events: 1 << 16, ..Make::default() };
    let all = receive_buffers(make.ring) as u64 + 16;
    for seed in 1..=200_u64 {
        let (nic, mut rx, mut tx) = port(make);
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut draw = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut slots = Vec::new();
        for _ in 0..2_000 {
            // Now and then an id that exists nowhere.
            let id = if draw(8) == 0 { draw(1 << 32) } else { draw(all + 2) } as u32;
            let (len, first, more) = (draw(2_200) as u16, draw(4) > 0, draw(4) == 0);
            let why = [Discard::Crc, Discard::Truncated][draw(2) as usize];
            // Only of buffers that are posted in truth may a NIC say that it wrote them: it is a promise of `Vi`.
            let event = match draw(12) {
                0 => Event::Discarded { id, why },
                1 => Event::Received { id: id | 1 << 31, len, first, more, stamp: Some(draw(9)) },
                2 | 3 => Event::Sent { id, cut_through: first },
                4 => Event::NotSent { id },
                5 => Event::NoBuffer,
                6 => Event::Other,
                7 => Event::LentDiscarded { why },
                8 => {
                    slots.extend(tx.reserve());
                    continue;
                }
                9 => {
                    if let Some(slot) = slots.pop()
                        && first
                    {
                        drop(tx.send(slot, len));
                    }
                    continue;
                }
                10 => {
                    nic.borrow_mut().receive(&[7; 60]);
                    continue;
                }
                _ => {
                    assert!(poll(&mut rx).iter().all(|byte| *byte == 7));
                    rx.refill();
                    continue;
                }
            };
            nic.borrow_mut().event(event);
        }
        // The NIC comes to its senses.
        slots.clear();
        for _ in 0..2_000 {
            drop(rx.poll());
            tx.reclaim();
            rx.refill();
        }
        let slots: Vec<_> = std::iter::from_fn(|| tx.reserve()).collect();
        assert_eq!(slots.len(), make.send, "seed {seed}: every transmit buffer is free, once");
    }
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let (nic, mut rx, _tx) = port(Make::default());
    for (len, good) in
        [(0, false), (13, false), (14, false), (15, true), (2_048, true), (2_049, false), (u16::MAX, false)]
    {
        let id = nic.borrow_mut().fill(&[3; 2_048]);
        nic.borrow_mut().event(Event::Received { id, len, first: true, more: false, stamp: None });
        let bad = rx.counters().bad_events;
        assert_eq!(rx.poll().len(), usize::from(good), "{len}");
        assert_eq!(rx.counters().bad_events - bad, u64::from(!good), "{len}");
    }
}

#[test]
fn a_frame_that_was_not_sent_frees_its_buffer() {
    let (nic, mut rx, mut tx) = port(Make { send: 1, cut_through: false, ..Make::default() });
    nic.borrow_mut().stalled = true;
    send(&mut tx, 1);
    assert!(tx.reserve().is_none());
    assert_eq!(tx.counters().send_no_buffer, 1);
    let id = receive_buffers(Make::default().ring) as u32;
    nic.borrow_mut().event(Event::NotSent { id });
    assert!(rx.poll().is_empty());
    assert_eq!(rx.counters().not_sent, 1);
    assert!(tx.reserve().is_some());
}

#[test]
fn a_full_ring_hands_the_slot_back() {
    let (nic, rx, mut tx) = port(Make { send: 4, ..Make::default() });
    // A slot was taken before the others filled the ring; its own buffer is the fifth.
    nic.borrow_mut().stalled = true;
    let mut kept = tx.reserve().unwrap();
    kept[..64].fill(9);
    (0..3).for_each(|n| send(&mut tx, n));
    assert_eq!(nic.borrow().sending(), 3);
    assert!(tx.send(kept, 64).is_ok());
    assert!(tx.reserve().is_none(), "four buffers, four frames");
    nic.borrow_mut().stalled = false;
    assert_eq!(nic.borrow_mut().sent().iter().map(|frame| frame[0]).collect::<Vec<_>>(), [0, 1, 2, 9]);
    drop(rx);
}

#[test]
fn a_slot_of_another_vi_is_refused() {
    let (_one, _rx, mut tx) = port(Make::default());
    let (other_nic, _other_rx, mut other) = port(Make::default());
    let slot = tx.reserve().unwrap();
    assert!(other.send(slot, 64).is_err());
    assert!(other_nic.borrow_mut().sent().is_empty());
}

#[test]
fn warming_sends_nothing() {
    let (nic, _rx, mut tx) = port(Make::default());
    (0..1_000).for_each(|_| tx.warm());
    assert_eq!(nic.borrow().warmed, 1_000);
    assert!(nic.borrow_mut().sent().is_empty());
    send(&mut tx, 1);
}

#[test]
fn an_overflow_ends_the_port() {
    let (nic, mut rx, mut tx) = port(Make { events: EVENTS, ..Make::default() });
    let kept = tx.reserve().unwrap();
    for n in 0..=EVENTS as u8 {
        assert!(nic.borrow_mut().receive(&[n; 60]));
    }
    for _ in 0..3 {
        assert!(poll(&mut rx).is_empty(), "which of them were lost cannot be known");
    }
    assert_eq!(rx.counters().overflows, 1, "told once");
    assert!(tx.reserve().is_none());
    assert!(tx.send(kept, 64).is_err());
    assert!(nic.borrow_mut().sent().is_empty());
}

#[test]
fn a_reset_ends_the_port() {
    let (nic, mut rx, mut tx) = port(Make::default());
    assert!(nic.borrow_mut().receive(&[1; 60]));
    nic.borrow_mut().event(Event::Reset);
    assert_eq!(poll(&mut rx), [1], "what came before is good");
    assert!(nic.borrow_mut().receive(&[2; 60]));
    assert!(rx.poll().is_empty());
    assert!(tx.reserve().is_none());
    assert_eq!((rx.counters().resets, rx.counters().unexpected), (1, 0));
}

#[test]
fn lent_frames_wait_with_the_nic_when_only_the_sender_polls() {
    let (nic, mut rx, mut tx) = port(Make { lends: true, send: 1, events: 4_096, ..Make::default() });
    for n in 0..2_000_u32 {
        assert!(nic.borrow_mut().receive(&(n as u8).to_be_bytes().repeat(60)));
    }
    let mut reserved = 0;
    for _ in 0..1_000 {
        tx.reclaim();
        reserved += usize::from(tx.reserve().is_some());
    }
    assert_eq!(reserved, 1_000);
    let mut seen = 0_u32;
    while seen < 2_000 {
        for byte in poll(&mut rx) {
            assert_eq!(byte, seen as u8);
            seen += 1;
        }
    }
}

#[test]
fn the_last_word_is_what_was_counted() {
    let (nic, rx, mut tx) = port(Make { fails_every: 0, ..Make::default() });
    send(&mut tx, 1);
    tx.reclaim();
    drop(rx);
    let slot = tx.reserve();
    drop(tx);
    assert_eq!(nic.borrow().last_word, None, "a slot is still out");
    drop(slot);
    assert_eq!(nic.borrow().last_word.map(|counters| counters.sent_cut_through), Some(1));
}

#[test]
fn the_queues_do_not_allocate() {
    let (nic, mut rx, mut tx) = port(Make::default());
    let mut seen = 0;
    for _ in 0..1_000 {
        for n in 0..20 {
            assert!(nic.borrow_mut().receive(&[n; 100]));
        }
        nic.borrow_mut().discard(Discard::Crc);
        let made = counting::calls(|| {
            let burst = rx.poll();
            for i in 0..burst.len() {
                let bytes = burst.frame(i).bytes;
                let mut slot = tx.reserve().unwrap();
                slot[..bytes.len()].copy_from_slice(bytes);
                assert!(tx.send(slot, bytes.len() as u16).is_ok());
            }
            seen += burst.len();
            drop(burst);
            rx.refill();
            tx.reclaim();
            tx.warm();
        });
        assert_eq!(made, 0);
        nic.borrow_mut().sent();
    }
    assert_eq!(seen, 20_000);
}
