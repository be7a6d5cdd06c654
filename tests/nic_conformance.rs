//! The conformance suite of the NIC seam on the backends that need no hardware: in memory, and kernel sockets.
//!
//! The suite itself is checked too: backends with a planted fault must not pass it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test harnesses fail by panicking"
)]

mod conformance;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use conformance::{HEADERS, Harness, Path, run_all};
use wirebook::nic::replay::{self, End, Frames, LinkConfig, LinkRx, ReplayRx, ReplayTx, Rounds};
use wirebook::nic::udp::{Listen, UdpConfig, UdpPort, UdpRx, UdpTx};
use wirebook::nic::{MAX_FRAME, RxDrops, RxQueue, TxQueue};

const BUFFERS: usize = 64;

fn drain(rx: &mut LinkRx) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    rx.drain(|frame| frames.push(frame.to_vec()));
    frames
}

/// A played list for receiving, a link for sending.
struct Replay {
    rx: ReplayRx,
    tx: ReplayTx,
    sent: LinkRx,
}

impl Harness for Replay {
    type Rx = ReplayRx;
    type Tx = ReplayTx;

    fn name(&self) -> &'static str {
        "replay"
    }
    fn queues(&mut self) -> (&mut ReplayRx, &mut ReplayTx) {
        (&mut self.rx, &mut self.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        self.rx.push(frame);
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        drain(&mut self.sent)
    }
    fn max_frame(&self) -> usize {
        MAX_FRAME
    }
    fn in_flight(&self) -> usize {
        BUFFERS
    }
    fn tx_buffers(&self) -> Option<usize> {
        Some(BUFFERS)
    }
    fn inject_undeliverable(&mut self) -> Option<RxDrops> {
        self.rx.push(&vec![0; MAX_FRAME + 1]);
        Some(RxDrops { segmented: 0, truncated: 1 })
    }
}

fn link_config() -> LinkConfig {
    LinkConfig { ring: BUFFERS, buffers: BUFFERS, slot_len: MAX_FRAME }
}

#[test]
fn replay_conforms() {
    let (tx, sent) = replay::link(link_config());
    let rx = ReplayRx::with_rounds(Frames::new(), Rounds::Times(1), MAX_FRAME);
    run_all(&mut Replay { rx, tx, sent });
}

/// One end of a pair; the other end is the network.
struct Pair {
    near: End,
    far: End,
}

impl Harness for Pair {
    type Rx = LinkRx;
    type Tx = ReplayTx;

    fn name(&self) -> &'static str {
        "pair"
    }
    fn queues(&mut self) -> (&mut LinkRx, &mut ReplayTx) {
        (&mut self.near.rx, &mut self.near.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        let mut slot = self.far.tx.reserve().expect("a buffer of the far end");
        slot[..frame.len()].copy_from_slice(frame);
        assert!(self.far.tx.send(slot, u16::try_from(frame.len()).unwrap()).is_ok());
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        drain(&mut self.far.rx)
    }
    fn max_frame(&self) -> usize {
        MAX_FRAME
    }
    fn in_flight(&self) -> usize {
        BUFFERS
    }
    fn tx_buffers(&self) -> Option<usize> {
        Some(BUFFERS)
    }
}

#[test]
fn pair_conforms() {
    let (near, far) = replay::pair(link_config());
    run_all(&mut Pair { near, far });
}

/// One link turned back on itself: what is sent is received, as on a loop-back port.
struct Loopback {
    tx: ReplayTx,
    rx: LinkRx,
}

impl Harness for Loopback {
    type Rx = LinkRx;
    type Tx = ReplayTx;

    fn name(&self) -> &'static str {
        "loop-back"
    }
    fn queues(&mut self) -> (&mut LinkRx, &mut ReplayTx) {
        (&mut self.rx, &mut self.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        let mut slot = self.tx.reserve().expect("a transmit buffer");
        slot[..frame.len()].copy_from_slice(frame);
        assert!(self.tx.send(slot, u16::try_from(frame.len()).unwrap()).is_ok());
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        drain(&mut self.rx)
    }
    fn max_frame(&self) -> usize {
        MAX_FRAME
    }
    fn in_flight(&self) -> usize {
        BUFFERS
    }
    fn tx_buffers(&self) -> Option<usize> {
        // Twice as many as fit in the ring: frames that are received still hold theirs while orders leave.
        Some(2 * BUFFERS)
    }
}

#[test]
fn loopback_conforms() {
    let config = LinkConfig { buffers: 2 * BUFFERS, ..link_config() };
    let (tx, rx) = replay::link(config);
    run_all(&mut Loopback { tx, rx });
}

/// Kernel sockets on 127.0.0.1; the network is an ordinary socket of the test.
struct Udp {
    rx: UdpRx,
    tx: UdpTx,
    network: UdpSocket,
    max_payload: usize,
}

impl Udp {
    fn new(max_payload: usize) -> Self {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let config = UdpConfig {
            listen: vec![Listen { address, source: None }],
            max_payload,
            tx_buffers: BUFFERS,
            ..UdpConfig::usual(Ipv4Addr::LOCALHOST)
        };
        let (rx, tx) = UdpPort::open(&config).unwrap().attach();
        let network = UdpSocket::bind(address).unwrap();
        network.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self { rx, tx, network, max_payload }
    }

    fn port_address(&self) -> SocketAddrV4 {
        self.rx.bound().next().unwrap()
    }

    fn network_address(&self) -> SocketAddrV4 {
        match self.network.local_addr().unwrap() {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(_) => panic!("bound to IPv4"),
        }
    }
}

fn path(from: SocketAddrV4, to: SocketAddrV4) -> Path {
    Path {
        src_ip: from.ip().octets(),
        dst_ip: to.ip().octets(),
        src_port: from.port(),
        dst_port: to.port(),
        ..Path::default()
    }
}

impl Harness for Udp {
    type Rx = UdpRx;
    type Tx = UdpTx;

    fn name(&self) -> &'static str {
        "udp"
    }
    fn queues(&mut self) -> (&mut UdpRx, &mut UdpTx) {
        (&mut self.rx, &mut self.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        self.network.send_to(&frame[HEADERS..], self.port_address()).unwrap();
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        // Loopback delivers before `sendto` returns: what is not there now will not come.
        self.network.set_nonblocking(true).unwrap();
        let mut frames = Vec::new();
        let mut buffer = vec![0; MAX_FRAME];
        while let Ok((len, from)) = self.network.recv_from(&mut buffer[HEADERS..]) {
            assert_eq!(from, SocketAddr::V4(self.port_address()), "orders leave from the bound address");
            frames.push(buffer[..HEADERS + len].to_vec());
        }
        frames
    }
    fn max_frame(&self) -> usize {
        self.max_payload + HEADERS
    }
    fn in_flight(&self) -> usize {
        // 9,000-byte datagrams in the kernel's default receive buffer of the test's own socket.
        16
    }
    fn tx_buffers(&self) -> Option<usize> {
        Some(BUFFERS)
    }
    fn rx_path(&self) -> Path {
        path(self.network_address(), self.port_address())
    }
    fn tx_path(&self) -> Path {
        path(self.port_address(), self.network_address())
    }
    fn carried<'f>(&self, frame: &'f [u8]) -> &'f [u8] {
        // Addresses and lengths are kept too: compare from the source address on, without the UDP checksum.
        &frame[HEADERS..]
    }
    fn inject_undeliverable(&mut self) -> Option<RxDrops> {
        self.network.send_to(&vec![0; self.max_payload + 1], self.port_address()).unwrap();
        Some(RxDrops { segmented: 0, truncated: 1 })
    }
}

#[test]
fn udp_conforms() {
    run_all(&mut Udp::new(1472));
    run_all(&mut Udp::new(wirebook::nic::udp::MAX_PAYLOAD));
}

/// Frames that the sockets make up have to pass the same parser as real ones, checksum included.
#[test]
fn udp_frames_are_whole() {
    let mut udp = Udp::new(1472);
    let injected = conformance::frame(&udp.rx_path(), 3, 100);
    udp.inject(&injected);
    let frame = loop {
        use wirebook::nic::RxBurst;
        let burst = udp.rx.poll();
        if !burst.is_empty() {
            let frame = burst.frame(0);
            assert_eq!(
                frame.flags,
                wirebook::nic::IP_CSUM_GOOD | wirebook::nic::L4_CSUM_GOOD,
                "the kernel verified both"
            );
            break frame.bytes.to_vec();
        }
    };
    // From the IPv4 source address to the UDP length, then the payload: as on the wire.
    assert_eq!(frame[26..40], injected[26..40]);
    assert_eq!(frame[42..], injected[42..]);
}

#[test]
fn queues_stay_on_their_thread() {
    assert_not_send!(ReplayRx);
    assert_not_send!(ReplayTx);
    assert_not_send!(LinkRx);
    assert_not_send!(UdpRx);
    assert_not_send!(UdpTx);
    fn assert_send<T: Send>() {}
    assert_send::<Frames>();
    assert_send::<UdpPort>();
    fn assert_halves<R: RxQueue, T: TxQueue>() {}
    assert_halves::<UdpRx, UdpTx>();
}

/// What is wrong with a planted backend.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    LeaksDroppedSlots,
    SendsOneByteTooMany,
    AcceptsLengthZero,
    ForgetsEveryThousandthFrame,
    SwapsNeighbours,
}

/// A transmit queue with a fault in front of a good one.
struct FaultyTx {
    inner: ReplayTx,
    fault: Fault,
    count: u32,
    held_back: Option<(replay::Slot, u16)>,
}

struct FaultySlot {
    inner: Option<replay::Slot>,
    leak: bool,
}

impl std::ops::Deref for FaultySlot {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.inner.as_ref().unwrap()
    }
}

impl std::ops::DerefMut for FaultySlot {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.inner.as_mut().unwrap()
    }
}

impl Drop for FaultySlot {
    fn drop(&mut self) {
        if self.leak {
            std::mem::forget(self.inner.take());
        }
    }
}

impl TxQueue for FaultyTx {
    type Slot = FaultySlot;

    fn reserve(&mut self) -> Option<FaultySlot> {
        let inner = Some(self.inner.reserve()?);
        Some(FaultySlot { inner, leak: self.fault == Fault::LeaksDroppedSlots })
    }

    fn send(&mut self, mut slot: FaultySlot, len: u16) -> Result<(), FaultySlot> {
        self.count += 1;
        let inner = slot.inner.take().unwrap();
        let len = match self.fault {
            Fault::AcceptsLengthZero if len == 0 => return Ok(()),
            Fault::ForgetsEveryThousandthFrame if self.count.is_multiple_of(1000) => return Ok(()),
            Fault::SendsOneByteTooMany if len > 0 && usize::from(len) < inner.len() => len + 1,
            Fault::SwapsNeighbours if self.count % 2 == 1 && self.held_back.is_none() => {
                self.held_back = Some((inner, len));
                return Ok(());
            }
            _ => len,
        };
        if let Some((earlier, earlier_len)) = self.held_back.take() {
            assert!(self.inner.send(inner, len).is_ok() && self.inner.send(earlier, earlier_len).is_ok());
            return Ok(());
        }
        self.inner.send(inner, len).map_err(|inner| FaultySlot { inner: Some(inner), leak: false })
    }
}

struct Faulty {
    rx: ReplayRx,
    tx: FaultyTx,
    sent: LinkRx,
}

impl Harness for Faulty {
    type Rx = ReplayRx;
    type Tx = FaultyTx;

    fn name(&self) -> &'static str {
        "faulty on purpose"
    }
    fn queues(&mut self) -> (&mut ReplayRx, &mut FaultyTx) {
        (&mut self.rx, &mut self.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        self.rx.push(frame);
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        drain(&mut self.sent)
    }
    fn max_frame(&self) -> usize {
        1518
    }
    fn in_flight(&self) -> usize {
        BUFFERS
    }
    fn tx_buffers(&self) -> Option<usize> {
        Some(BUFFERS)
    }
}

fn run_faulty(fault: Fault) {
    let (inner, sent) = replay::link(LinkConfig { slot_len: 1518, ..link_config() });
    let rx = ReplayRx::new(Frames::new());
    run_all(&mut Faulty { rx, tx: FaultyTx { inner, fault, count: 0, held_back: None }, sent });
}

#[test]
#[should_panic(expected = "a dropped slot did not become free")]
fn the_suite_catches_leaked_slots() {
    run_faulty(Fault::LeaksDroppedSlots);
}

#[test]
#[should_panic(expected = "frame 0 of 1")]
fn the_suite_catches_padding() {
    run_faulty(Fault::SendsOneByteTooMany);
}

#[test]
#[should_panic(expected = "sent a frame of length 0")]
fn the_suite_catches_a_frame_without_length() {
    run_faulty(Fault::AcceptsLengthZero);
}

#[test]
#[should_panic(expected = "number of frames")]
fn the_suite_catches_a_lost_frame() {
    run_faulty(Fault::ForgetsEveryThousandthFrame);
}

#[test]
#[should_panic(expected = "number of frames")]
fn the_suite_catches_frames_that_wait() {
    run_faulty(Fault::SwapsNeighbours);
}
