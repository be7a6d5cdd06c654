//! The driver between two rings: what the loop hands up, and what it is told to do.

use super::*;
use crate::pipeline::frames::{self, Carrier, Down};
use crate::wire::ethernet::{BROADCAST, multicast_mac};
use crate::wire::frame::{emit_arp, emit_igmp};
use crate::wire::igmp::{ALL_SYSTEMS, Message, emit_v2_query};
use crate::wire::{arp, igmp};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const FEED: Mac = [2, 0, 0, 0, 0, 2];
const ORDERS: Mac = [2, 0, 0, 0, 0, 3];
const LINE_B: Mac = [2, 0, 0, 0, 0, 4];
const FEED_PORT: PortIndex = 0;
const ORDER_PORT: PortIndex = 1;
const GATEWAY: (Mac, Ipv4Addr) = ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(10, 0, 0, 1));
const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

const LINE: &str = "[feed.line.a]\ngroup = \"239.1.1.1\"\nport = 26400\n";
const ONE_PORT: &str = "[port]\nname = \"0\"\n";
const TWO_PORTS: &str = "[port]\nname = \"0\"\norders = \"1\"\nip = \"10.9.0.2\"\n";
const TRADE: &str = "[instruments]\nall = true\n[strategy]\nkind = \"imbalance\"\n\
                     [gateway]\nlocal_ip = \"10.0.0.2\"\nlocal_port = 31000\nip = \"10.0.0.1\"\nport = 31001\n";

fn control(text: &str) -> (PortControl, Carrier) {
    let config = Config::parse(text, "test").unwrap();
    let (carrier, end) = frames::link();
    let mut macs = vec![FEED, ORDERS];
    if config.port.distinct().len() == 3 {
        macs.insert(1, LINE_B);
    }
    (PortControl::new(&config, &macs, vec![end]).unwrap(), carrier)
}

/// A frame that the loop is to transmit by a port.
type Outgoing = (PortIndex, Vec<u8>);

/// What the loop is told: frames, and next hops.
fn told(looped: &mut Carrier) -> (Vec<Outgoing>, Vec<Option<Mac>>) {
    let (mut frames, mut hops) = (Vec::new(), Vec::new());
    while let Some(down) = looped.take() {
        match down {
            Down::Frame(port, frame) => frames.push((port, frame.to_vec())),
            Down::NextHop(mac) => hops.push(mac),
        }
    }
    (frames, hops)
}

fn arps(frames: &[Outgoing]) -> Vec<(PortIndex, arp::Packet)> {
    frames.iter().filter_map(|(port, frame)| Some((*port, parse_arp(frame)?.0))).collect()
}

fn igmp_sources(frames: &[Outgoing]) -> Vec<(PortIndex, Ipv4Addr)> {
    frames.iter().filter_map(|(port, frame)| Some((*port, parse_igmp(frame).ok()?.src))).collect()
}

fn count(control: &PortControl, name: &str) -> u64 {
    control.rows().iter().find(|(row, _)| *row == name).unwrap_or_else(|| panic!("no {name}")).1
}

fn arp_frame(packet: &arp::Packet) -> Vec<u8> {
    let mut frame = vec![0; 60];
    emit_arp(&mut frame, BROADCAST, None, packet).unwrap();
    frame
}

fn query_frame() -> Vec<u8> {
    let mut message = [0; 8];
    emit_v2_query(&mut message, Ipv4Addr::UNSPECIFIED, 10).unwrap();
    let mut frame = vec![0; 60];
    emit_igmp(&mut frame, GATEWAY.0, None, (GATEWAY.1, ALL_SYSTEMS), &message).unwrap();
    frame
}

#[test]
fn on_one_port_everything_goes_by_it() {
    let (mut control, mut looped) = control(&format!("{ONE_PORT}{LINE}{TRADE}"));
    control.round_at(0);
    let (frames, hops) = told(&mut looped);
    assert_eq!((igmp_sources(&frames), hops), (vec![(FEED_PORT, LOCAL)], vec![]));
    let request = arp::Packet::request(FEED, LOCAL, GATEWAY.1);
    assert_eq!(arps(&frames), [(FEED_PORT, arp::Packet::request(FEED, LOCAL, LOCAL)), (FEED_PORT, request)]);
    // The gateway answers, asks for us, and a querier asks for reports.
    looped.offer(FEED_PORT, Reject::Arp, &arp_frame(&request.reply(GATEWAY.0)));
    let back = arp::Packet::request(GATEWAY.0, GATEWAY.1, LOCAL);
    looped.offer(FEED_PORT, Reject::Arp, &arp_frame(&back));
    looped.offer(FEED_PORT, Reject::Igmp, &query_frame());
    control.round_at(20 * MS);
    let (frames, hops) = told(&mut looped);
    assert_eq!((arps(&frames), hops), (vec![(FEED_PORT, back.reply(FEED))], vec![Some(GATEWAY.0)]));
    control.round_at(S + 20 * MS);
    let (frames, _) = told(&mut looped);
    let report = parse_igmp(&frames[0].1).unwrap();
    assert_eq!(report.message, Ok(Message::V2Report(Ipv4Addr::new(239, 1, 1, 1))));
    for (name, expected) in [
        ("igmp_version", 2),
        ("igmp_general_queries", 1),
        ("arp_next_hop_known", 1),
        ("arp_replies_sent", 1),
        ("carry_down_full", 0),
    ] {
        assert_eq!(count(&control, name), expected, "{name}");
    }
}

#[test]
fn on_two_ports_each_speaks_for_itself() {
    let (mut control, mut looped) = control(&format!("{TWO_PORTS}{LINE}{TRADE}"));
    control.round_at(0);
    let (frames, _) = told(&mut looped);
    let feed_ip = Ipv4Addr::new(10, 9, 0, 2);
    assert_eq!(igmp_sources(&frames), [(FEED_PORT, feed_ip)]);
    assert_eq!(
        arps(&frames),
        [
            (FEED_PORT, arp::Packet::request(FEED, feed_ip, feed_ip)),
            (ORDER_PORT, arp::Packet::request(ORDERS, LOCAL, LOCAL)),
            (ORDER_PORT, arp::Packet::request(ORDERS, LOCAL, GATEWAY.1)),
        ]
    );
    // An answer on the wrong port is none, and our address is not there either.
    let answer = arp::Packet::request(ORDERS, LOCAL, GATEWAY.1).reply(GATEWAY.0);
    looped.offer(FEED_PORT, Reject::Arp, &arp_frame(&answer));
    looped.offer(FEED_PORT, Reject::Arp, &arp_frame(&arp::Packet::request(GATEWAY.0, GATEWAY.1, LOCAL)));
    looped.offer(ORDER_PORT, Reject::Igmp, &query_frame());
    control.round_at(20 * MS);
    assert_eq!(told(&mut looped), (vec![], vec![]));
    assert_eq!((count(&control, "igmp_version"), count(&control, "arp_of_others")), (3, 2));
    looped.offer(ORDER_PORT, Reject::Arp, &arp_frame(&answer));
    control.round_at(40 * MS);
    assert_eq!(told(&mut looped).1, [Some(GATEWAY.0)]);
}

#[test]
fn line_b_on_a_port_of_its_own_is_joined_there() {
    let line_b = "[feed.line.b]\ngroup = \"239.1.1.2\"\nport = 26400\n";
    let three = TWO_PORTS.replace("ip =", "line_b = \"2\"\nline_b_ip = \"10.8.0.2\"\nip =");
    let (mut control, mut looped) = control(&format!("{three}{LINE}{line_b}{TRADE}"));
    control.round_at(0);
    let (frames, _) = told(&mut looped);
    let [feed_ip, line_b_ip] = [Ipv4Addr::new(10, 9, 0, 2), Ipv4Addr::new(10, 8, 0, 2)];
    // Ports are numbered as the receive queues: line A's, line B's, that of the orders.
    assert_eq!(igmp_sources(&frames), [(0, feed_ip), (1, line_b_ip)]);
    for (port, group) in [(0, 1), (1, 2)] {
        let (_, report) = frames.iter().find(|(at, frame)| *at == port && parse_igmp(frame).is_ok()).unwrap();
        let Ok(Message::V3Report(records)) = parse_igmp(report).unwrap().message else { panic!("no report") };
        let groups: Vec<_> = records.map(|record| record.group).collect();
        assert_eq!(groups, [Ipv4Addr::new(239, 1, 1, group)]);
    }
    let announced: Vec<_> = arps(&frames).iter().map(|(port, packet)| (*port, packet.sender_ip)).collect();
    assert_eq!(announced, [(0, feed_ip), (1, line_b_ip), (2, LOCAL), (2, LOCAL)]);
    assert_eq!(count(&control, "igmp_version"), 3);
}

#[test]
fn every_worker_is_told_the_next_hop_and_the_first_one_speaks() {
    let config = Config::parse(&format!("{ONE_PORT}{LINE}{TRADE}"), "test").unwrap();
    let ((mut first, end), (mut second, other)) = (frames::link(), frames::silent_link());
    let mut control = PortControl::new(&config, &[FEED], vec![end, other]).unwrap();
    control.round_at(0);
    assert!(!told(&mut first).0.is_empty());
    assert_eq!(told(&mut second), (vec![], vec![]));
    let answer = arp_frame(&arp::Packet::request(FEED, LOCAL, GATEWAY.1).reply(GATEWAY.0));
    // Both received it; one hands it up.
    for looped in [&mut first, &mut second] {
        looped.offer(FEED_PORT, Reject::Arp, &answer);
    }
    // The second one's ring is full for now.
    while control.others[0].down.next_hop(None) {}
    control.round_at(20 * MS);
    assert_eq!(told(&mut first).1, [Some(GATEWAY.0)]);
    assert!(!told(&mut second).1.contains(&Some(GATEWAY.0)));
    control.round_at(40 * MS);
    assert_eq!((told(&mut first).1, told(&mut second).1), (vec![], vec![Some(GATEWAY.0)]));
}

#[test]
fn what_is_configured_is_what_is_spoken() {
    let first = |text: String| {
        let (mut control, mut looped) = control(&text);
        control.round_at(0);
        told(&mut looped).0
    };
    // No address: reports come from 0.0.0.0 (RFC 3376, 4.2.13), and ARP is not spoken.
    let frames = first(format!("{ONE_PORT}{LINE}"));
    assert_eq!((igmp_sources(&frames).len(), arps(&frames).len()), (1, 0));
    assert_eq!(igmp_sources(&frames)[0].1, Ipv4Addr::UNSPECIFIED);
    assert_eq!(first(format!("{ONE_PORT}igmp = \"off\"\n{LINE}")), []);
    // Version 2 asks at the group itself.
    let frames = first(format!("{ONE_PORT}igmp = \"v2\"\n{LINE}"));
    assert_eq!(frames[0].1[..6], multicast_mac(Ipv4Addr::new(239, 1, 1, 1)));
    // A hardware address that is given is not asked for; a router is, instead of the gateway.
    let frames = first(format!("{ONE_PORT}{LINE}{TRADE}mac = \"02:00:00:00:00:01\"\n"));
    assert_eq!(arps(&frames), [(FEED_PORT, arp::Packet::request(FEED, LOCAL, LOCAL))]);
    let frames = first(format!("{ONE_PORT}{LINE}{TRADE}next_hop = \"10.0.0.254\"\n"));
    assert_eq!(arps(&frames)[1].1.target_ip, Ipv4Addr::new(10, 0, 0, 254));
    // One address in both sections is announced once, with the hardware address that it is given.
    let text = format!("{ONE_PORT}ip = \"10.0.0.2\"\n{LINE}{TRADE}local_mac = \"02:00:00:00:00:07\"\n");
    let announced = arps(&first(text));
    let own = [2, 0, 0, 0, 0, 7];
    assert_eq!(announced[0].1, arp::Packet::request(own, LOCAL, LOCAL));
    assert_eq!(announced[1].1, arp::Packet::request(own, LOCAL, GATEWAY.1));
    assert_eq!(announced.len(), 2);
}

#[test]
fn a_next_hop_that_finds_no_room_is_told_later() {
    let (mut control, mut looped) = control(&format!("{ONE_PORT}{LINE}{TRADE}"));
    control.round_at(0);
    while control.end.down.send(FEED_PORT, &[0; 60]) {}
    while control.end.down.next_hop(None) {}
    let answer = arp::Packet::request(FEED, LOCAL, GATEWAY.1).reply(GATEWAY.0);
    looped.offer(FEED_PORT, Reject::Arp, &arp_frame(&answer));
    control.round_at(20 * MS);
    assert!(!told(&mut looped).1.contains(&Some(GATEWAY.0)));
    control.round_at(40 * MS);
    assert_eq!(told(&mut looped).1, [Some(GATEWAY.0)]);
}

#[test]
fn leaving_is_said_to_a_loop_that_listens_and_waits_for_no_other() {
    let (mut control, mut looped) = control(&format!("{ONE_PORT}igmp_robustness = 3\n{LINE}"));
    control.round();
    assert_eq!(told(&mut looped).0.len(), 1);
    let listener = thread::spawn(move || {
        let (mut leaves, began) = (Vec::new(), Instant::now());
        while leaves.len() < 3 && began.elapsed() < Duration::from_secs(20) {
            leaves.extend(told(&mut looped).0);
            thread::sleep(Duration::from_millis(1));
        }
        (leaves, looped)
    });
    control.leave();
    let (leaves, _looped) = listener.join().unwrap();
    assert_eq!(leaves.len(), 3);
    for (_, frame) in leaves {
        let packet = parse_igmp(&frame).unwrap();
        let Ok(Message::V3Report(mut records)) = packet.message else { panic!("{packet:?}") };
        let record = records.next().unwrap();
        assert_eq!(record.kind, Some(igmp::RecordKind::ChangeToInclude));
        assert_eq!(record.sources.count(), 0);
    }
    // A loop that does not take, and one that is gone.
    let (mut control, looped) = self::control(&format!("{ONE_PORT}{LINE}"));
    control.round();
    control.leave();
    drop(looped);
    control.leave();
}

#[test]
fn rubbish_is_counted() {
    let (mut control, mut looped) = control(&format!("{ONE_PORT}{LINE}{TRADE}"));
    control.round_at(0);
    let _ = told(&mut looped);
    let (query, request) = (query_frame(), arp_frame(&arp::Packet::request(GATEWAY.0, GATEWAY.1, LOCAL)));
    let mut sent = 0;
    for (frame, reject) in [(&query, Reject::Igmp), (&request, Reject::Arp)] {
        for at in 0..frame.len() {
            for value in [0, 0x46, 0x55, 0xFF] {
                let mut frame = frame.clone();
                frame[at] = value;
                looped.offer(FEED_PORT, reject, &frame);
                looped.offer(FEED_PORT, reject, &frame[..at]);
                sent += 2;
            }
            control.round_at(20 * MS);
            let _ = told(&mut looped);
        }
    }
    assert_eq!(looped.take(), None);
    let counted = ["igmp_unreadable", "arp_unreadable"].map(|name| count(&control, name));
    assert!(counted[0] > 100 && counted[1] > 100 && counted[0] + counted[1] < sent, "{counted:?} of {sent}");
}
