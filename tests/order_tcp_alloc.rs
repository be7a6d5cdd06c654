//! A write, settling, what arrives, and a probe of our own TCP: nothing is allocated, hot or cold.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod counting;
#[path = "order_support/support.rs"]
mod support;

use etherparse::PacketBuilder;
use support::{ADDRESSING, FakeTx};
use wirebook::nic::Frame;
use wirebook::order::stream::{Stream, StreamState};
use wirebook::order::tcp::{TcpAddressing, UserTcp};

const MS: u64 = 1_000_000;

/// A segment of the server: its SYN, or an acknowledgment with or without data.
fn segment(sequence: u32, acknowledgment: u32, syn: bool, data: &[u8]) -> Vec<u8> {
    let ip = PacketBuilder::ethernet2(ADDRESSING.dst_mac, ADDRESSING.src_mac)
        .ipv4(ADDRESSING.dst_ip.octets(), ADDRESSING.src_ip.octets(), 64)
        .tcp(ADDRESSING.dst_port, ADDRESSING.src_port, sequence, 60_000)
        .ack(acknowledgment);
    let mut frame = Vec::new();
    if syn { ip.syn().write(&mut frame, data) } else { ip.write(&mut frame, data) }.unwrap();
    frame
}

#[test]
fn nothing_is_allocated_after_the_start() {
    let mut tcp = UserTcp::new(TcpAddressing { frame: ADDRESSING, ports: 1, seed: 3 }).unwrap();
    let mut tx = FakeTx::new();
    tcp.connect(MS, &mut tx);
    let first = u32::from_be_bytes(tx.last()[38..42].try_into().unwrap()).wrapping_add(1);
    let mut received = 0;
    let syn = segment(999, first, true, b"");
    tcp.on_frame(Frame { bytes: &syn, stamp: 0, flags: 0 }, 2 * MS, &mut tx, &mut |_| {});
    assert_eq!(tcp.state(), StreamState::Open);
    // Two orders a round, settled by polls; both answered, some only after a probe.
    let rounds = 2_000_u32;
    let answers: Vec<_> = (0..rounds)
        .map(|n| segment(1_000 + 64 * n, first.wrapping_add(100 * (n + 1)), false, &[7; 64]))
        .collect();
    let calls = counting::calls(|| {
        for (round, answer) in (0_u64..).zip(&answers) {
            let now = (10 + 2_000 * round) * MS;
            tcp.write(&[1; 50], &mut tx).unwrap();
            tcp.poll(now, &mut tx, &mut |_| {});
            tcp.write(&[2; 50], &mut tx).unwrap();
            let late = if round % 5 == 0 { 600 * MS } else { MS };
            tcp.poll(now + late, &mut tx, &mut |_| {});
            let frame = Frame { bytes: answer, stamp: 0, flags: 0 };
            assert!(tcp.on_frame(frame, now + late, &mut tx, &mut |bytes| received += bytes.len()));
        }
    });
    assert_eq!(calls, 0);
    let c = tcp.counters();
    assert_eq!((c.hot, c.settled, c.settled_otherwise, received), (4_000, 4_000, 0, 128_000), "{c:?}");
    assert!(c.probes >= 400 && c.cold == 0, "{c:?}");
}
