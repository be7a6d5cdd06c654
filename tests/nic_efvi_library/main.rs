//! The ef_vi backend over the real library, with a NIC of ordinary memory below it.
//!
//! libciul's code for the 7000 to X2 series (`ef10.rs`) runs as it would on such a NIC: it parses events, writes descriptors
//! and cut-through frames, keeps its rings. So does its code for the X3 (`efct.rs`), which finds frames in buffers of the
//! NIC's and sends by cut-through only. Only that rings, registers and buffers are memory of these tests, which play what the NIC would do to them.
//! Not there: the drivers, and whatever makes hardware hardware.
//!
//! Written against Onload 9.0.2: how a VI is put together without a driver is no part of its interface, and another in 10.0.
//! With headers of another release the tests say so and do nothing. Places of bits are
//! those of its hardware headers (`host_ef10_common.h`, `efct.h`).
#![cfg(feature = "efvi")]
#![allow(unsafe_code, reason = "a NIC reads and writes memory that others own")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "test harnesses fail by panicking, and report"
)]

#[path = "../conformance/mod.rs"]
mod conformance;
mod ef10;
mod efct;

use conformance::{Harness, run_all};
use ef10::{BAD_FCS, BAD_IP, EVENTS, GOES_ON, Nic, PREFIX, TRANSMIT, port};
use efvi_sys as sys;
use wirebook::nic::efvi::device::Device;
use wirebook::nic::efvi::{BUFFER, EfviRx, EfviTx};
use wirebook::nic::{MAX_FRAME, RxBurst, RxDrops, RxQueue, TxQueue};

/// Told by what grew since: the operations on buffers of the NIC's.
fn is_of_another_release() -> bool {
    let other = size_of::<sys::ef_vi_efct_rxq_ops>() != size_of::<[fn(); 8]>();
    if other {
        eprintln!("SKIPPED: this test puts VIs together as Onload 9.0 does, and these are other headers");
    }
    other
}

struct Library {
    nic: Nic,
    rx: EfviRx<Device>,
    tx: EfviTx<Device>,
}

impl Harness for Library {
    type Rx = EfviRx<Device>;
    type Tx = EfviTx<Device>;

    fn name(&self) -> &'static str {
        "ef_vi, libciul"
    }
    fn queues(&mut self) -> (&mut EfviRx<Device>, &mut EfviTx<Device>) {
        self.nic.work();
        (&mut self.rx, &mut self.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        self.nic.receive(frame);
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        self.nic.work();
        std::mem::take(&mut self.nic.wire)
    }
    fn max_frame(&self) -> usize {
        BUFFER - PREFIX
    }
    fn in_flight(&self) -> usize {
        32
    }
    fn tx_buffers(&self) -> Option<usize> {
        Some(TRANSMIT - 1)
    }
    fn inject_undeliverable(&mut self) -> Option<RxDrops> {
        self.nic.fill(&[7; 64], BAD_FCS);
        self.nic.receive(&[7; MAX_FRAME]);
        Some(RxDrops { segmented: 1, truncated: 0 })
    }
}

#[test]
fn the_library_conforms() {
    if is_of_another_release() {
        return;
    }
    for flags in [sys::EF_VI_FLAGS_DEFAULT, sys::EF_VI_TX_CTPIO] {
        let (nic, rx, tx) = port(flags);
        let mut library = Library { nic, rx, tx };
        run_all(&mut library);
        assert_eq!(library.nic.cut_through > 1_000, flags == sys::EF_VI_TX_CTPIO);
        let counters = library.rx.counters();
        assert_eq!(counters.sent_cut_through, library.nic.cut_through);
        assert_eq!((counters.bad_events, counters.unexpected, counters.discard_crc), (0, 0, 1));
    }
}

#[test]
fn discards_have_their_reasons() {
    if is_of_another_release() {
        return;
    }
    let (mut nic, mut rx, _tx) = port(sys::EF_VI_FLAGS_DEFAULT);
    nic.fill(&[1; 64], BAD_FCS);
    nic.fill(&[1; 64], BAD_IP);
    nic.receive(&[9; 60]);
    let burst = rx.poll();
    assert_eq!((burst.len(), burst.frame(0).bytes), (1, [9; 60].as_slice()));
    drop(burst);
    let counters = rx.counters();
    assert_eq!((counters.discard_crc, counters.discard_checksum), (1, 1));
}

/// An X3: its own buffers, cut-through only.
struct Lending {
    nic: efct::Nic,
    rx: EfviRx<Device>,
    tx: EfviTx<Device>,
}

impl Harness for Lending {
    type Rx = EfviRx<Device>;
    type Tx = EfviTx<Device>;

    fn name(&self) -> &'static str {
        "ef_vi, libciul, shared buffers"
    }
    fn queues(&mut self) -> (&mut EfviRx<Device>, &mut EfviTx<Device>) {
        self.nic.work();
        (&mut self.rx, &mut self.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        self.nic.receive(frame, 0);
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        self.nic.work();
        std::mem::take(&mut self.nic.wire)
    }
    fn max_frame(&self) -> usize {
        efct::LONGEST
    }
    fn in_flight(&self) -> usize {
        32
    }
    fn tx_buffers(&self) -> Option<usize> {
        Some(efct::SLOTS)
    }
    fn inject_undeliverable(&mut self) -> Option<RxDrops> {
        self.nic.receive(&[7; 64], efct::BAD_FCS);
        self.nic.receive(&[7; 64], efct::BAD_LENGTH);
        Some(RxDrops { segmented: 0, truncated: 1 })
    }
}

#[test]
fn the_library_conforms_with_buffers_of_the_nics() {
    if is_of_another_release() {
        return;
    }
    let (nic, rx, tx) = efct::port();
    let mut lending = Lending { nic, rx, tx };
    run_all(&mut lending);
    let counters = lending.rx.counters();
    assert_eq!((counters.bad_events, counters.unexpected, counters.discard_crc), (0, 0, 1));
    assert!(lending.nic.rounds() > 30, "buffers went round");
    assert!(counters.sent_cut_through > 20_000 && counters.sent_from_memory == 0);
}

/// An X3 has a FIFO of so many bytes: what does not fit is handed back, and nothing of it has left.
#[test]
fn a_full_fifo_hands_the_slot_back() {
    if is_of_another_release() {
        return;
    }
    let (mut nic, mut rx, mut tx) = efct::port();
    let mut left = 0_u32;
    let slot = loop {
        let mut slot = tx.reserve().unwrap();
        slot[..1_900].fill(left as u8);
        match tx.send(slot, 1_900) {
            Ok(()) => left += 1,
            Err(slot) => break slot,
        }
    };
    assert_eq!((left, rx.counters().send_full), (17, 1), "1,920 bytes each, of nearly 32 KiB");
    nic.work();
    assert!(rx.poll().is_empty());
    assert!(tx.send(slot, 1_900).is_ok());
    nic.work();
    let firsts: Vec<_> = nic.wire.iter().map(|frame| (frame.len(), frame[0])).collect();
    assert_eq!(firsts, (0..18).map(|n| (1_900, n)).collect::<Vec<_>>());
}

#[test]
fn warming_an_x3_takes_no_buffer() {
    if is_of_another_release() {
        return;
    }
    let (mut nic, mut rx, mut tx) = efct::port();
    for n in 0..1_000 {
        tx.warm();
        let mut slot = tx.reserve().unwrap();
        slot[..60].fill(n as u8);
        assert!(tx.send(slot, 60).is_ok());
        nic.work();
        assert!(rx.poll().is_empty());
    }
    assert_eq!((nic.warmed, nic.wire.len()), (1_000, 1_000));
    let counters = rx.counters();
    assert_eq!((counters.sent_cut_through, counters.bad_events), (1_000, 0));
    let slots: Vec<_> = std::iter::from_fn(|| tx.reserve()).collect();
    assert_eq!(slots.len(), efct::SLOTS);
}

/// Two events about one descriptor: that is how such a NIC says that it had no buffer for the rest of a frame.
#[test]
fn a_frame_cut_for_want_of_buffers_is_told() {
    if is_of_another_release() {
        return;
    }
    let (mut nic, mut rx, _tx) = port(sys::EF_VI_FLAGS_DEFAULT);
    nic.fill(&[1; BUFFER], GOES_ON);
    nic.event((u64::from(nic.received) & 0xF) << 48);
    nic.receive(&[9; 60]);
    assert_eq!(rx.poll().len(), 1);
    assert_eq!((rx.counters().no_buffer, rx.drops().segmented), (1, 1));
}

#[test]
fn warming_leaves_no_trace() {
    if is_of_another_release() {
        return;
    }
    for flags in [sys::EF_VI_FLAGS_DEFAULT, sys::EF_VI_TX_CTPIO] {
        let (mut nic, mut rx, mut tx) = port(flags);
        (0..1_000).for_each(|_| tx.warm());
        nic.work();
        assert!(nic.wire.is_empty() && nic.take_window().is_none());
        let mut slot = tx.reserve().unwrap();
        slot[..60].fill(3);
        assert!(tx.send(slot, 60).is_ok());
        nic.work();
        assert_eq!(nic.wire, [[3; 60]]);
        assert!(rx.poll().is_empty());
        assert_eq!(rx.counters().bad_events, 0);
    }
}

/// The library looks for an event where it has not cleared one: so it tells that it was not polled for too long.
#[test]
fn an_event_queue_that_ran_over_ends_the_port() {
    if is_of_another_release() {
        return;
    }
    let (mut nic, mut rx, mut tx) = port(sys::EF_VI_FLAGS_DEFAULT);
    // SAFETY: the event ring, as a NIC leaves it that went round.
    unsafe { nic.vi().evq_base.write_bytes(0, EVENTS * 8) };
    nic.event_at = 0;
    assert!(rx.poll().is_empty() && rx.poll().is_empty());
    assert_eq!(rx.counters().overflows, 1);
    assert!(tx.reserve().is_none());
}
