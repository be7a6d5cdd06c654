//! On the loopback interface only; needs no privilege.

use std::net::UdpSocket;

use super::super::{RxBurst, RxQueue, TxQueue};
use super::*;

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

fn listen_on(addresses: &[SocketAddrV4]) -> UdpConfig {
    UdpConfig {
        listen: addresses.iter().map(|&address| Listen { address, source: None }).collect(),
        ..UdpConfig::usual(LOCALHOST)
    }
}

fn any_port() -> SocketAddrV4 {
    SocketAddrV4::new(LOCALHOST, 0)
}

/// Polls until `count` frames came or a second has passed; loopback delivers within microseconds.
fn collect(rx: &mut UdpRx, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(1);
    while frames.len() < count && std::time::Instant::now() < end {
        let burst = rx.poll();
        frames.extend((0..burst.len()).map(|i| burst.frame(i).bytes.to_vec()));
    }
    frames
}

#[test]
fn says_what_is_wrong_with_a_configuration() {
    let text = |config: &UdpConfig| UdpPort::open(config).unwrap_err().to_string();
    assert_eq!(text(&UdpConfig::usual(LOCALHOST)), "0 addresses to listen on; give 1 to 64");
    let no_port = listen_on(&["239.1.1.1:0".parse().unwrap()]);
    assert_eq!(text(&no_port), "group 239.1.1.1 without a port; give 1 to 65535");
    let mut config = listen_on(&[any_port()]);
    config.max_payload = MAX_PAYLOAD + 1;
    assert_eq!(text(&config), format!("max_payload {} bytes; give 18 to {MAX_PAYLOAD}", MAX_PAYLOAD + 1));
    // TEST-NET-3: no machine has this address.
    let foreign = text(&listen_on(&["203.0.113.77:5000".parse().unwrap()]));
    assert!(foreign.starts_with("cannot bind 203.0.113.77:5000: "), "{foreign}");
    assert!(foreign.contains("no interface of this machine has that address"), "{foreign}");
}

#[test]
fn the_headers_name_the_real_sender_and_receiver() {
    let port = UdpPort::open(&listen_on(&[any_port()])).unwrap();
    assert!(port.granted()[0].receive_buffer > 0);
    let (mut rx, _tx) = port.attach();
    let to = rx.bound().next().unwrap();
    let sender = UdpSocket::bind(any_port()).unwrap();
    sender.send_to(b"hello", to).unwrap();
    let frames = collect(&mut rx, 1);
    let parsed = etherparse::SlicedPacket::from_ethernet(&frames[0]).unwrap();
    let Some(etherparse::TransportSlice::Udp(udp)) = &parsed.transport else { panic!("no UDP") };
    assert_eq!(udp.source_port(), sender.local_addr().unwrap().port());
    assert_eq!((udp.destination_port(), udp.payload()), (to.port(), b"hello".as_slice()));
    assert_eq!(rx.counters().received, 1);
}

#[test]
fn a_datagram_that_is_too_long_is_counted_and_the_next_one_comes() {
    let mut config = listen_on(&[any_port()]);
    config.max_payload = 100;
    let (mut rx, _tx) = UdpPort::open(&config).unwrap().attach();
    let to = rx.bound().next().unwrap();
    let sender = UdpSocket::bind(any_port()).unwrap();
    for len in [100, 101, 99] {
        sender.send_to(&vec![7; len], to).unwrap();
    }
    let lengths: Vec<usize> = collect(&mut rx, 2).iter().map(|f| f.len() - HEADERS).collect();
    assert_eq!(lengths, [100, 99]);
    assert_eq!(rx.drops(), super::super::RxDrops { truncated: 1, segmented: 0 });
}

#[test]
fn what_the_kernel_dropped_is_counted() {
    let mut config = listen_on(&[any_port()]);
    config.receive_buffer = 4096;
    let (mut rx, _tx) = UdpPort::open(&config).unwrap().attach();
    let to = rx.bound().next().unwrap();
    let sender = UdpSocket::bind(any_port()).unwrap();
    for _ in 0..1000 {
        sender.send_to(&[0; 64], to).unwrap();
    }
    let kept = collect(&mut rx, 1000).len();
    assert!(kept < 1000, "4 KiB of buffer held 1,000 datagrams");
    // The count travels with the next datagram.
    sender.send_to(&[0; 64], to).unwrap();
    assert_eq!(collect(&mut rx, 1).len(), 1);
    assert_eq!(rx.counters().kernel_drops, 1000 - kept as u64);
}

#[test]
fn a_stranger_is_not_heard_on_a_unicast_address_with_a_source() {
    let mut config = listen_on(&[any_port()]);
    config.listen[0].source = Some(Ipv4Addr::new(127, 0, 0, 9));
    let (mut rx, _tx) = UdpPort::open(&config).unwrap().attach();
    let to = rx.bound().next().unwrap();
    for last in [1, 9] {
        let sender = UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0)).unwrap();
        sender.send_to(&[last; 20], to).unwrap();
    }
    let frames = collect(&mut rx, 1);
    assert_eq!((frames.len(), frames[0][HEADERS]), (1, 9));
    assert_eq!((rx.counters().received, rx.counters().other_source), (1, 1));
}

#[test]
fn several_ports_take_turns_and_all_are_heard() {
    let (mut rx, _tx) = UdpPort::open(&listen_on(&[any_port(), any_port(), any_port()])).unwrap().attach();
    let bound: Vec<_> = rx.bound().collect();
    let sender = UdpSocket::bind(any_port()).unwrap();
    for n in 0..40_u8 {
        for to in &bound {
            sender.send_to(&[n; 20], to).unwrap();
        }
    }
    let frames = collect(&mut rx, 120);
    assert_eq!(frames.len(), 120);
    for to in &bound {
        let of_this_port: Vec<u8> =
            frames.iter().filter(|f| f[36..38] == to.port().to_be_bytes()).map(|f| f[HEADERS]).collect();
        assert_eq!(of_this_port, (0..40).collect::<Vec<u8>>(), "order within a port");
    }
}

#[test]
fn orders_leave_from_their_port_and_the_rest_is_counted() {
    let (rx, mut tx) = UdpPort::open(&listen_on(&[any_port()])).unwrap().attach();
    let local = rx.bound().next().unwrap();
    let venue = UdpSocket::bind(any_port()).unwrap();
    let std::net::SocketAddr::V4(venue_addr) = venue.local_addr().unwrap() else { panic!("not IPv4") };
    let mut head = [0; HEADERS];
    headers::write(&mut head, local, venue_addr, 5);
    let order = [&head[..], b"order"].concat();

    let put = |tx: &mut UdpTx, frame: &[u8]| {
        let mut slot = tx.reserve().unwrap();
        slot[..frame.len()].copy_from_slice(frame);
        tx.send(slot, u16::try_from(frame.len()).unwrap()).is_ok()
    };
    assert!(put(&mut tx, &order));
    let mut buffer = [0; 64];
    let (len, from) = venue.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..len], from), (b"order".as_slice(), std::net::SocketAddr::V4(local)));

    let mut arp = order.clone();
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert!(put(&mut tx, &arp), "the kernel does ARP");
    let mut foreign = order.clone();
    foreign[34..36].copy_from_slice(&1_u16.to_be_bytes());
    assert!(!put(&mut tx, &foreign), "nothing is bound to port 1");
    let mut nowhere = order;
    nowhere[30..34].copy_from_slice(&[0xff; 4]);
    assert!(!put(&mut tx, &nowhere), "broadcast was not allowed on this socket");
    let counters = *tx.counters();
    assert_eq!(counters, UdpTxCounters { sent: 1, not_udp: 1, unbound: 1, refused: 1, full: 0 });
    assert_eq!(counters.rows().iter().map(|(_, n)| n).sum::<u64>(), 4);
}

#[test]
fn groups_of_one_port_share_a_socket_and_keep_their_order() {
    let groups: [SocketAddrV4; 2] =
        ["239.77.1.1:26477".parse().unwrap(), "239.77.1.2:26477".parse().unwrap()];
    let (mut rx, _tx) = match UdpPort::open(&listen_on(&groups)) {
        Ok(port) => port.attach(),
        Err(error) => {
            eprintln!("SKIPPED: no multicast on the loopback interface here: {error}");
            return;
        }
    };
    assert_eq!(rx.bound().count(), 1);
    let sender = Socket::open(any_port(), false, None).unwrap();
    sender.send_multicast_by(LOCALHOST).unwrap();
    let sender_port = sender.local().port();
    let mut tx = UdpTx::new(vec![std::rc::Rc::new(sender)], 1472, 4);
    for n in 0..20_u8 {
        let to = groups[usize::from(n) % 2];
        let mut slot = tx.reserve().unwrap();
        let head: &mut [u8; HEADERS] = slot.first_chunk_mut().unwrap();
        headers::write(head, SocketAddrV4::new(LOCALHOST, sender_port), to, 1);
        slot[HEADERS] = n;
        if tx.send(slot, 43).is_err() {
            eprintln!("SKIPPED: the loopback interface refuses to send multicast here");
            return;
        }
    }
    let frames = collect(&mut rx, 20);
    let seen: Vec<u8> = frames.iter().map(|f| f[HEADERS]).collect();
    assert_eq!(seen, (0..20).collect::<Vec<u8>>());
    for frame in &frames {
        let group = 1 + frame[HEADERS] % 2;
        assert_eq!(&frame[..6], &[0x01, 0x00, 0x5e, 77, 1, group]);
        assert_eq!(&frame[30..34], &[239, 77, 1, group]);
    }
}

#[test]
fn another_sender_of_the_group_is_not_heard_when_a_source_is_given() {
    let group: SocketAddrV4 = "239.77.2.1:26478".parse().unwrap();
    let mut config = listen_on(&[group]);
    config.listen[0].source = Some(Ipv4Addr::new(127, 0, 0, 9));
    let (mut rx, _tx) = match UdpPort::open(&config) {
        Ok(port) => port.attach(),
        Err(error) => {
            eprintln!("SKIPPED: no source-specific multicast on the loopback interface here: {error}");
            return;
        }
    };
    for last in [1, 9] {
        let from = Ipv4Addr::new(127, 0, 0, last);
        let sender = Socket::open(SocketAddrV4::new(from, 0), false, None).unwrap();
        sender.send_multicast_by(LOCALHOST).unwrap();
        let local = sender.local();
        let mut tx = UdpTx::new(vec![std::rc::Rc::new(sender)], 1472, 1);
        let mut slot = tx.reserve().unwrap();
        let head: &mut [u8; HEADERS] = slot.first_chunk_mut().unwrap();
        headers::write(head, local, group, 1);
        slot[HEADERS] = last;
        if tx.send(slot, 43).is_err() {
            eprintln!("SKIPPED: the loopback interface refuses to send multicast here");
            return;
        }
    }
    let frames = collect(&mut rx, 1);
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0][HEADERS], &frames[0][26..30]), (9, [127, 0, 0, 9].as_slice()));
    assert!(rx.poll().is_empty());
}
