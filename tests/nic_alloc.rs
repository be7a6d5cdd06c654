//! The queues of the in-memory and socket backends allocate when they are made and never again.

mod counting;

use std::net::{Ipv4Addr, SocketAddrV4};

use wirebook::nic::replay::{End, Frames, LinkConfig, ReplayRx, Rounds, pair};
use wirebook::nic::udp::{Listen, UdpConfig, UdpPort};
use wirebook::nic::{MAX_FRAME, RxBurst, RxQueue, TxQueue};

/// Polls and answers each frame with a copy of it; returns how many there were.
fn echo<R: RxQueue, T: TxQueue>(rx: &mut R, tx: &mut T) -> usize {
    let burst = rx.poll();
    for i in 0..burst.len() {
        let bytes = burst.frame(i).bytes;
        if let Some(mut slot) = tx.reserve() {
            slot[..bytes.len()].copy_from_slice(bytes);
            // What does not leave comes back, and is free again when it is dropped.
            drop(tx.send(slot, bytes.len() as u16));
        }
    }
    burst.len()
}

#[test]
fn memory_queues_do_not_allocate() {
    let frames: Frames = (0..100_u8).map(|n| [n; 100]).collect();
    let mut list = ReplayRx::with_rounds(frames, Rounds::Endless, MAX_FRAME);
    let (mut near, End { rx: mut far_rx, tx: mut far_tx }) = pair(LinkConfig::default());
    let mut seen = 0;
    let made = counting::calls(|| {
        for _ in 0..1_000 {
            seen += echo(&mut list, &mut far_tx);
            echo(&mut near.rx, &mut near.tx);
            drop(far_rx.poll());
        }
    });
    assert_eq!(made, 0);
    assert!(seen > 20_000);
}

#[test]
fn sockets_do_not_allocate() {
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    let listen = vec![Listen { address, source: None }];
    let (mut rx, mut tx) =
        UdpPort::open(&UdpConfig { listen, ..UdpConfig::usual(Ipv4Addr::LOCALHOST) }).unwrap().attach();
    let to = rx.bound().next().unwrap();
    let sender = std::net::UdpSocket::bind(address).unwrap();
    let std::net::SocketAddr::V4(venue) = sender.local_addr().unwrap() else { panic!("bound to IPv4") };
    let mut order = Vec::new();
    etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(to.ip().octets(), venue.ip().octets(), 64)
        .udp(to.port(), venue.port())
        .write(&mut order, &[9; 60])
        .unwrap();
    let mut seen = 0;
    let made = counting::calls(|| {
        for _ in 0..200 {
            for _ in 0..10 {
                sender.send_to(&[7; 100], to).unwrap();
            }
            // Frames as they came have the sender's port as their source: refused, and the slot is handed back.
            seen += echo(&mut rx, &mut tx);
            assert!(rx.poll().is_empty());
            let mut slot = tx.reserve().unwrap();
            slot[..order.len()].copy_from_slice(&order);
            assert!(tx.send(slot, order.len() as u16).is_ok());
        }
    });
    assert_eq!(made, 0);
    assert_eq!((seen, tx.counters().unbound, tx.counters().sent), (2_000, 2_000, 200));
}
