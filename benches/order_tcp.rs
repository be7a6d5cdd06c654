//! How many instructions an order takes over our own TCP: counted one by one, as in `benches/instructions.rs`, not timed.
//!
//! `cargo test --bench order_tcp --no-default-features`, or `cargo bench` for optimised code. The transmit queue is a buffer in
//! memory, so that nothing of a driver is in the numbers. Counted: a hot write (50 bytes, a SoupBinTCP packet with a new order),
//! the poll that settles it with the stack, a write that has to go the stack's way (65 bytes), an acknowledgment, and a poll
//! that finds nothing to do.
#![allow(unsafe_code, reason = "single steps")]
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench prints its table, or fails")]

#[path = "instructions/step.rs"]
mod step;

use std::ops::{Deref, DerefMut};

use step::instructions;
use wirebook::nic::{Frame, TxQueue};
use wirebook::order::stream::{Stream, StreamState};
use wirebook::order::tcp::{TcpAddressing, UserTcp};
use wirebook::order::template::FrameAddressing;
use wirebook::wire::{checksum, tcp};

const ADDRESSING: FrameAddressing = FrameAddressing {
    src_mac: [2, 0, 0, 0, 0, 2],
    dst_mac: [2, 0, 0, 0, 0, 1],
    src_ip: std::net::Ipv4Addr::new(10, 0, 0, 2),
    dst_ip: std::net::Ipv4Addr::new(10, 0, 0, 1),
    src_port: 40_000,
    dst_port: 9_000,
    vlan: None,
};

const MS: u64 = 1_000_000;
const ROUNDS: u32 = 256;

/// One buffer, again and again.
struct Memory(Option<Box<[u8; 2_048]>>);

struct Slot(Box<[u8; 2_048]>);

impl Deref for Slot {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0[..]
    }
}

impl DerefMut for Slot {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0[..]
    }
}

impl TxQueue for Memory {
    type Slot = Slot;
    fn reserve(&mut self) -> Option<Slot> {
        self.0.take().map(Slot)
    }
    fn send(&mut self, slot: Slot, _: u16) -> Result<(), Slot> {
        self.0 = Some(slot.0);
        Ok(())
    }
}

/// A segment of the server without data.
fn answer(sequence: u32, acknowledgment: u32, flags: u8) -> Vec<u8> {
    let FrameAddressing { src_mac, dst_mac, src_ip, dst_ip, src_port, dst_port, .. } = ADDRESSING;
    let header = tcp::Header {
        src_port: dst_port,
        dst_port: src_port,
        sequence,
        acknowledgment,
        flags,
        window: 60_000,
    };
    let mut segment = header.bytes();
    let sum = tcp::pseudo_header(dst_ip, src_ip, 20).plus(&segment).checksum();
    segment[tcp::CHECKSUM_AT..tcp::CHECKSUM_AT + 2].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
    packet.extend(dst_ip.octets());
    packet.extend(src_ip.octets());
    let sum = checksum::of(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [&src_mac[..], &dst_mac, &[8, 0], &packet, &segment].concat();
    frame.resize(60, 0);
    frame
}

fn main() {
    let mut tx = Memory(Some(Box::new([0; 2_048])));
    let mut client = UserTcp::new(TcpAddressing { frame: ADDRESSING, ports: 1, seed: 1 })
        .expect("the addressing is right");
    client.connect(MS, &mut tx);
    let syn = tx.0.as_ref().expect("the buffer came back");
    let mut next = u32::from_be_bytes([syn[38], syn[39], syn[40], syn[41]]).wrapping_add(1);
    let hear = |client: &mut UserTcp, tx: &mut Memory, now, frame: &[u8]| {
        let frame = Frame { bytes: frame, stamp: 0, flags: 0 };
        client.on_frame(frame, now, tx, &mut |_| {});
    };
    hear(&mut client, &mut tx, 2 * MS, &answer(999, next, tcp::SYN | tcp::ACK));
    assert_eq!(client.state(), StreamState::Open, "the handshake is done");
    let mut sums = [0_u64; 5];
    for round in 0..ROUNDS {
        let now = u64::from(10 + round) * MS;
        let order = [round as u8; 50];
        let long = [round as u8; 65];
        sums[0] += instructions(|| client.write(&order, &mut tx).expect("it is open"));
        sums[1] += instructions(|| client.poll(now, &mut tx, &mut |_| {}));
        sums[2] += instructions(|| client.poll(now, &mut tx, &mut |_| {}));
        sums[3] += instructions(|| client.write(&long, &mut tx).expect("it is open"));
        next = next.wrapping_add(115);
        let frame = answer(1_000, next, tcp::ACK);
        sums[4] += instructions(|| hear(&mut client, &mut tx, now, &frame));
    }
    let c = client.counters();
    assert_eq!(
        (c.hot, c.settled, c.cold),
        (ROUNDS.into(), ROUNDS.into(), ROUNDS.into()),
        "each went its way"
    );
    println!("instructions, means of {ROUNDS} ({} of a step's own are taken off)", step::own());
    println!("| hot write | settling it | idle poll | cold write | acknowledgment |");
    println!("|---|---|---|---|---|");
    let cells: Vec<_> = sums.iter().map(|sum| format!("{:.0}", *sum as f64 / f64::from(ROUNDS))).collect();
    println!("| {} |", cells.join(" | "));
}
