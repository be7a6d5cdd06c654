//! One suite for every backend of the NIC seam: each line of the contract in `src/nic.rs`, checked.
//!
//! A backend takes part by implementing [`Harness`] and calling [`run_all`]. The harness is one port and its other
//! side: [`Harness::inject`] plays the network that sends to the port, [`Harness::sent`] the network that receives
//! from it. Both sides may be the same ring (a loop-back port, where what is sent is received): the suite never
//! injects and sends at the same time without draining the one before it reads the other.
//!
//! One harness serves all checks, so that a buffer lost in one of them is missed in a later one. A check that a
//! backend cannot take part in is reported as skipped, with the reason.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test suite: it fails and reports"
)]

use std::time::{Duration, Instant};

use wirebook::nic::{MAX_BURST, RxBurst, RxDrops, RxQueue, TxQueue};

/// Shortest frame on the wire without FCS.
pub(crate) const MIN_FRAME: usize = 60;

/// Ethernet + IPv4 + UDP.
pub(crate) const HEADERS: usize = 42;

/// The addresses in the frames that the suite builds.
#[derive(Clone, Copy)]
pub(crate) struct Path {
    pub(crate) src_mac: [u8; 6],
    pub(crate) dst_mac: [u8; 6],
    pub(crate) src_ip: [u8; 4],
    pub(crate) dst_ip: [u8; 4],
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
}

impl Default for Path {
    fn default() -> Self {
        Self {
            src_mac: [2, 0, 0, 0, 0, 1],
            dst_mac: [2, 0, 0, 0, 0, 2],
            src_ip: [10, 0, 0, 1],
            dst_ip: [10, 0, 0, 2],
            src_port: 26_400,
            dst_port: 26_400,
        }
    }
}

/// One port under test, with the network around it.
pub(crate) trait Harness {
    type Rx: RxQueue;
    type Tx: TxQueue;

    /// For the report.
    fn name(&self) -> &'static str;
    /// The queues under test.
    fn queues(&mut self) -> (&mut Self::Rx, &mut Self::Tx);
    /// The network sends `frame` to the port. Must not lose it, and must have delivered it within a second.
    fn inject(&mut self, frame: &[u8]);
    /// Everything the port sent since the last call, in order. Waits for what is still under way.
    fn sent(&mut self) -> Vec<Vec<u8>>;

    /// Longest frame that goes both ways.
    fn max_frame(&self) -> usize;
    /// Frames that may be injected, or sent, before somebody has to take them.
    fn in_flight(&self) -> usize;
    /// Transmit buffers of the port, where they are limited.
    fn tx_buffers(&self) -> Option<usize>;
    /// The addresses of frames that reach the port.
    fn rx_path(&self) -> Path {
        Path::default()
    }
    /// The addresses of frames that the port may send.
    fn tx_path(&self) -> Path {
        Path::default()
    }
    /// What of a frame this backend carries unchanged: all of it, unless it is a socket.
    fn carried<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        frame
    }
    /// The network sends what the port must drop; returns the drops to expect. `None` if this cannot be provoked.
    fn inject_undeliverable(&mut self) -> Option<RxDrops> {
        None
    }
}

type Check<H> = fn(&mut H) -> Outcome;

/// How a check that did not fail ended.
pub(crate) enum Outcome {
    Passed,
    Skipped(&'static str),
}
use Outcome::{Passed, Skipped};

/// Runs every check on one harness; panics in the first that fails, and reports each.
pub(crate) fn run_all<H: Harness>(harness: &mut H) {
    let checks: [(&str, Check<H>); 13] = [
        ("an empty poll is empty", empty_poll),
        ("frames arrive in order, at most MAX_BURST at a time", order_and_burst_limit),
        ("frames of every length arrive unchanged", received_lengths),
        ("frames of every length leave unchanged", sent_lengths),
        ("a burst is stable while orders leave", stable_while_sending),
        ("frames leave in the order of the calls", send_order),
        ("receive buffers come back", receive_buffers_come_back),
        ("transmit buffers come back", transmit_buffers_come_back),
        ("a slot dropped unsent is free again", dropped_slots_are_free),
        ("no free buffer is None, and passes", exhaustion),
        ("length 0 and too long are handed back", bad_lengths),
        ("what must be dropped is counted, once, and the rest arrives", drops_are_counted),
        ("reclaim, refill and warm change nothing that is visible", maintenance),
    ];
    for (what, check) in checks {
        let before = harness.queues().0.drops();
        eprint!("{}: {what} … ", harness.name());
        match check(harness) {
            Passed => eprintln!("ok"),
            Skipped(why) => eprintln!("SKIPPED: {why}"),
        }
        assert_quiet(harness);
        if !what.starts_with("what must be dropped") {
            assert_eq!(harness.queues().0.drops(), before, "{what}: drops that nobody provoked");
        }
    }
}

/// Nothing is left over from a check.
fn assert_quiet<H: Harness>(harness: &mut H) {
    assert_eq!(harness.queues().0.poll().len(), 0, "frames left over");
    assert_eq!(harness.sent().len(), 0, "sent frames left over");
}

/// A valid UDP frame of `len` bytes whose payload holds `number` and a pattern that depends on it.
pub(crate) fn frame(path: &Path, number: u32, len: usize) -> Vec<u8> {
    assert!(len >= MIN_FRAME);
    let mut payload = vec![0_u8; len - HEADERS];
    for (i, byte) in payload.iter_mut().enumerate() {
        *byte = (i as u32).wrapping_mul(31).wrapping_add(number.wrapping_mul(7)) as u8;
    }
    payload[..4].copy_from_slice(&number.to_be_bytes());
    let mut bytes = Vec::with_capacity(len);
    etherparse::PacketBuilder::ethernet2(path.src_mac, path.dst_mac)
        .ipv4(path.src_ip, path.dst_ip, 64)
        .udp(path.src_port, path.dst_port)
        .write(&mut bytes, &payload)
        .unwrap();
    assert_eq!(bytes.len(), len);
    bytes
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

/// Polls until `count` frames came; copies of them.
fn receive<H: Harness>(harness: &mut H, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::with_capacity(count);
    let end = deadline();
    while frames.len() < count {
        assert!(Instant::now() < end, "{} of {count} frames arrived", frames.len());
        let (rx, _) = harness.queues();
        let burst = rx.poll();
        assert!(burst.len() <= MAX_BURST, "a burst of {}", burst.len());
        frames.extend((0..burst.len()).map(|i| burst.frame(i).bytes.to_vec()));
        drop(burst);
        rx.refill();
    }
    frames
}

/// Sends `bytes`, waiting for a buffer if need be.
fn send<T: TxQueue>(tx: &mut T, bytes: &[u8]) {
    let end = deadline();
    let mut slot = loop {
        if let Some(slot) = tx.reserve() {
            break slot;
        }
        tx.reclaim();
        assert!(Instant::now() < end, "no transmit buffer for 5 s");
    };
    slot[..bytes.len()].copy_from_slice(bytes);
    let len = u16::try_from(bytes.len()).unwrap();
    loop {
        match tx.send(slot, len) {
            Ok(()) => return,
            Err(back) => slot = back,
        }
        tx.reclaim();
        assert!(Instant::now() < end, "the ring stayed full for 5 s");
    }
}

fn assert_same<H: Harness>(harness: &H, got: &[Vec<u8>], want: &[Vec<u8>]) {
    assert_eq!(got.len(), want.len(), "number of frames");
    let total = want.len();
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(harness.carried(got), harness.carried(want), "frame {i} of {total}");
    }
}

/// Sends and receives in batches that the port can hold; `total` is rounded up to whole batches.
fn batches<H: Harness>(harness: &H, total: usize) -> (usize, usize) {
    let size = harness.in_flight().min(100);
    (total.div_ceil(size), size)
}

fn empty_poll<H: Harness>(harness: &mut H) -> Outcome {
    for _ in 0..1000 {
        let (rx, _) = harness.queues();
        let burst = rx.poll();
        assert!(burst.is_empty() && burst.len() == 0);
    }
    Passed
}

fn order_and_burst_limit<H: Harness>(harness: &mut H) -> Outcome {
    let path = harness.rx_path();
    let (rounds, size) = batches(harness, 500);
    for round in 0..rounds {
        let want: Vec<_> = (0..size).map(|i| frame(&path, (round * size + i) as u32, 100)).collect();
        for bytes in &want {
            harness.inject(bytes);
        }
        let got = receive(harness, size);
        assert_same(harness, &got, &want);
    }
    Passed
}

/// Every length up to 200, then steps that meet all residues of 64, then the last few.
fn lengths(max: usize) -> Vec<usize> {
    let mut lengths: Vec<usize> = (MIN_FRAME..=200.min(max)).collect();
    lengths.extend((201..max.saturating_sub(4)).step_by(67));
    lengths.extend(max.saturating_sub(4).max(201)..=max);
    lengths
}

fn received_lengths<H: Harness>(harness: &mut H) -> Outcome {
    let path = harness.rx_path();
    for len in lengths(harness.max_frame()) {
        let want = frame(&path, len as u32, len);
        harness.inject(&want);
        let got = receive(harness, 1);
        assert_same(harness, &got, &[want]);
    }
    Passed
}

fn sent_lengths<H: Harness>(harness: &mut H) -> Outcome {
    let path = harness.tx_path();
    for len in lengths(harness.max_frame()) {
        let want = frame(&path, len as u32, len);
        send(harness.queues().1, &want);
        let got = harness.sent();
        assert_same(harness, &got, &[want]);
    }
    Passed
}

fn stable_while_sending<H: Harness>(harness: &mut H) -> Outcome {
    let (rx_path, tx_path) = (harness.rx_path(), harness.tx_path());
    let count = harness.in_flight().min(MAX_BURST);
    let want: Vec<_> = (0..count).map(|i| frame(&rx_path, i as u32, 200)).collect();
    let orders: Vec<_> = (0..count).map(|i| frame(&tx_path, 1000 + i as u32, 90)).collect();
    for bytes in &want {
        harness.inject(bytes);
    }
    let mut seen = 0;
    let mut got = Vec::new();
    let end = deadline();
    while seen < count {
        assert!(Instant::now() < end, "{seen} of {count} frames arrived");
        let (rx, tx) = harness.queues();
        let burst = rx.poll();
        let before: Vec<Vec<u8>> = (0..burst.len()).map(|i| burst.frame(i).bytes.to_vec()).collect();
        for bytes in &orders[seen..seen + burst.len()] {
            send(tx, bytes);
        }
        for (i, bytes) in before.iter().enumerate() {
            assert_eq!(burst.frame(i).bytes, bytes.as_slice(), "frame {i} changed while orders left");
        }
        seen += before.len();
        got.extend(before);
        // A loop-back port would receive the orders now: leave them to `sent` unless more is to come.
        drop(burst);
        if seen < count {
            let left = harness.sent();
            assert_same(harness, &left, &orders[seen - left.len()..seen]);
        }
    }
    assert_same(harness, &got, &want);
    let left = harness.sent();
    assert_same(harness, &left, &orders[count - left.len()..]);
    Passed
}

fn send_order<H: Harness>(harness: &mut H) -> Outcome {
    let path = harness.tx_path();
    let (rounds, size) = batches(harness, 300);
    for round in 0..rounds {
        let want: Vec<_> = (0..size).map(|i| frame(&path, (round * size + i) as u32, 80)).collect();
        for bytes in &want {
            send(harness.queues().1, bytes);
        }
        let got = harness.sent();
        assert_same(harness, &got, &want);
    }
    Passed
}

/// Far more frames than any pool of the test ports has buffers.
const MANY: usize = 20_000;

fn receive_buffers_come_back<H: Harness>(harness: &mut H) -> Outcome {
    let path = harness.rx_path();
    let (rounds, size) = batches(harness, MANY);
    let bytes = frame(&path, 1, 64);
    for _ in 0..rounds {
        for _ in 0..size {
            harness.inject(&bytes);
        }
        assert_eq!(receive(harness, size).len(), size);
    }
    Passed
}

fn transmit_buffers_come_back<H: Harness>(harness: &mut H) -> Outcome {
    let path = harness.tx_path();
    let (rounds, size) = batches(harness, MANY);
    let bytes = frame(&path, 1, 64);
    for _ in 0..rounds {
        for _ in 0..size {
            send(harness.queues().1, &bytes);
        }
        assert_eq!(harness.sent().len(), size, "number of frames");
    }
    Passed
}

fn dropped_slots_are_free<H: Harness>(harness: &mut H) -> Outcome {
    for _ in 0..MANY {
        let (_, tx) = harness.queues();
        let slot = tx.reserve();
        assert!(slot.is_some_and(|slot| slot.len() >= MIN_FRAME), "a dropped slot did not become free");
    }
    Passed
}

fn exhaustion<H: Harness>(harness: &mut H) -> Outcome {
    let Some(buffers) = harness.tx_buffers() else {
        return Skipped("this backend's transmit buffers are not limited");
    };
    let (_, tx) = harness.queues();
    tx.reclaim();
    for round in 0..3 {
        let mut slots = Vec::new();
        while let Some(slot) = tx.reserve() {
            slots.push(slot);
            assert!(slots.len() <= buffers, "more slots than the {buffers} buffers");
        }
        assert_eq!(slots.len(), buffers, "round {round}");
        assert!(tx.reserve().is_none());
        slots.pop();
        assert!(tx.reserve().is_some(), "one was given back");
        drop(slots);
    }
    let path = harness.tx_path();
    let want = frame(&path, 77, 64);
    send(harness.queues().1, &want);
    let got = harness.sent();
    assert_same(harness, &got, &[want]);
    Passed
}

fn bad_lengths<H: Harness>(harness: &mut H) -> Outcome {
    let path = harness.tx_path();
    let want = frame(&path, 5, 64);
    let (_, tx) = harness.queues();
    let mut slot = tx.reserve().unwrap();
    slot[..want.len()].copy_from_slice(&want);
    let too_long = u16::try_from(slot.len() + 1).unwrap();
    for len in [0, too_long, u16::MAX] {
        slot = match tx.send(slot, len) {
            Err(back) => back,
            Ok(()) => panic!("sent a frame of length {len}"),
        };
        assert_eq!(&slot[..want.len()], want.as_slice(), "a slot comes back as it was");
    }
    assert!(tx.send(slot, 64).is_ok(), "the slot is still good");
    let got = harness.sent();
    assert_same(harness, &got, &[want]);
    Passed
}

fn drops_are_counted<H: Harness>(harness: &mut H) -> Outcome {
    let path = harness.rx_path();
    let before = harness.queues().0.drops();
    let first = frame(&path, 1, 64);
    let last = frame(&path, 2, 64);
    harness.inject(&first);
    let Some(expected) = harness.inject_undeliverable() else {
        receive(harness, 1);
        return Skipped("nothing undeliverable can be provoked here");
    };
    harness.inject(&last);
    let got = receive(harness, 2);
    assert_same(harness, &got, &[first, last]);
    let after = harness.queues().0.drops();
    let counted = RxDrops {
        segmented: after.segmented - before.segmented,
        truncated: after.truncated - before.truncated,
    };
    assert_eq!(counted, expected);
    Passed
}

fn maintenance<H: Harness>(harness: &mut H) -> Outcome {
    let (rx, tx) = harness.queues();
    for _ in 0..100 {
        rx.refill();
        tx.reclaim();
        tx.warm();
    }
    let path = harness.rx_path();
    let want = frame(&path, 9, 64);
    harness.inject(&want);
    let (rx, tx) = harness.queues();
    rx.refill();
    tx.warm();
    let got = receive(harness, 1);
    assert_same(harness, &got, &[want]);
    Passed
}

/// Fails to compile if `$queue` is `Send`: a queue stays on the lcore that made it.
#[macro_export]
macro_rules! assert_not_send {
    ($queue:ty) => {{
        trait Ambiguous<Marker> {
            fn check() {}
        }
        struct IfSend;
        impl<T: ?Sized> Ambiguous<()> for T {}
        impl<T: ?Sized + Send> Ambiguous<IfSend> for T {}
        <$queue as Ambiguous<_>>::check();
    }};
}
