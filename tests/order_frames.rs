//! Order frames, as an independent decoder sees them, and the session that sends and reads them.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "order_support/support.rs"]
mod support;

use etherparse::{NetSlice, SlicedPacket, TransportSlice, VlanSlice};
use support::{ADDRESSING, FakeTx, Rng, SESSION, packet, reply};
use wirebook::blotter::{OrderEvent, OrderEventKind, TimeInForce};
use wirebook::market::{BookState, Level, Price, Side, Symbol, TopOfBook, TradingState};
use wirebook::order::ouch::OuchProfile;
use wirebook::order::template::{FrameAddressing, OrderFrames, TemplateError};
use wirebook::order::wutf::{HEARTBEAT_NS, WutfSession};
use wirebook::order::{SendError, Session};
use wirebook::risk::{Rate, Request, Risk, RiskLimits};
use wirebook::strategy::{Intent, MarketView};
use wirebook::wire::ouch::Inbound;
use wirebook::wire::wutf::{Request as Upstream, Upstream as UpstreamPackets};

/// Decodes with etherparse, checks every header and checksum, and returns the UDP payload.
fn dissect<'f>(frame: &'f [u8], addressing: &FrameAddressing) -> &'f [u8] {
    assert!(frame.len() >= 60, "{}", frame.len());
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(etherparse::LinkSlice::Ethernet2(link)) = &sliced.link else { panic!("{:?}", sliced.link) };
    assert_eq!((link.source(), link.destination()), (addressing.src_mac, addressing.dst_mac));
    match (sliced.vlan(), addressing.vlan) {
        (None, None) => {}
        (Some(VlanSlice::SingleVlan(tag)), Some(vlan)) => {
            assert_eq!(tag.vlan_identifier().value(), vlan);
            assert_eq!((tag.priority_code_point().value(), tag.drop_eligible_indicator()), (0, false));
        }
        other => panic!("{other:?}"),
    }
    let Some(NetSlice::Ipv4(ip)) = &sliced.net else { panic!("{:?}", sliced.net) };
    let header = ip.header();
    assert_eq!((header.source_addr(), header.destination_addr()), (addressing.src_ip, addressing.dst_ip));
    assert_eq!((header.ttl(), header.identification(), header.dont_fragment()), (64, 0, true));
    assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
    let Some(TransportSlice::Udp(udp)) = &sliced.transport else { panic!("{:?}", sliced.transport) };
    assert_eq!((udp.source_port(), udp.destination_port()), (addressing.src_port, addressing.dst_port));
    let expected =
        udp.to_header().calc_checksum_ipv4(&header.to_header(), udp.payload()).expect("short enough");
    assert_eq!(udp.checksum(), expected);
    assert_ne!(udp.checksum(), 0);
    // What follows the datagram is padding.
    let end = udp.payload().as_ptr() as usize - frame.as_ptr() as usize + udp.payload().len();
    assert!(frame[end..].iter().all(|b| *b == 0));
    udp.payload()
}

/// The one OUCH message of an upstream payload.
fn message(payload: &[u8]) -> Inbound<'_> {
    let packets: Vec<_> = UpstreamPackets::new_checked(payload).unwrap().collect();
    let [Upstream::Order(message)] = packets[..] else { panic!("{packets:?}") };
    Inbound::parse(message).unwrap()
}

fn addressings(rng: &mut Rng) -> FrameAddressing {
    let vlan = rng.one_in(2).then(|| 1 + rng.below(4094) as u16);
    let ip = |rng: &mut Rng| std::net::Ipv4Addr::from(rng.below(1 << 32) as u32);
    let (src_ip, dst_ip) = (ip(rng), ip(rng));
    let port = |rng: &mut Rng| rng.below(1 << 16) as u16;
    let (src_port, dst_port) = (port(rng), port(rng));
    FrameAddressing { src_ip, dst_ip, src_port, dst_port, vlan, ..ADDRESSING }
}

#[test]
fn frames_decode_elsewhere_with_good_checksums() {
    let mut rng = Rng(7);
    let profile = OuchProfile { cl_ord_id: *b"any name of 14", ..OuchProfile::default() };
    for _ in 0..2_000 {
        let addressing = addressings(&mut rng);
        let mut frames = OrderFrames::new(&addressing, &profile).unwrap();
        // The same templates are patched over and over: nothing of an earlier order may stay.
        for _ in 0..8 {
            let big = |rng: &mut Rng| rng.below(1 << 32) as u32;
            let user_ref_num = big(&mut rng);
            let price = Price(big(&mut rng));
            let time_in_force = if rng.one_in(2) { TimeInForce::Day } else { TimeInForce::Ioc };
            let code = if time_in_force == TimeInForce::Day { b'0' } else { b'3' };
            let shares = big(&mut rng);
            match rng.below(3) {
                0 => {
                    let (side, short, side_code) =
                        [(Side::Buy, false, b'B'), (Side::Sell, false, b'S'), (Side::Sell, true, b'T')]
                            [rng.below(3) as usize];
                    let symbol = Symbol((rng.below(u64::MAX)).to_be_bytes());
                    let request =
                        Request::Enter { user_ref_num, symbol, side, short, shares, price, time_in_force };
                    let Inbound::EnterOrder(order, options) =
                        message(dissect(frames.patch(&request), &addressing))
                    else {
                        panic!()
                    };
                    assert!(options.as_bytes().is_empty());
                    assert_eq!(
                        (order.user_ref_num, order.side, order.quantity),
                        (user_ref_num, side_code, shares)
                    );
                    assert_eq!((order.symbol, order.price), (symbol.0, u64::from(price.0)));
                    assert_eq!((order.time_in_force, order.display, order.capacity), (code, b'Y', b'P'));
                    assert_eq!(
                        (order.iso, order.cross_type, order.cl_ord_id),
                        (b'N', b'N', profile.cl_ord_id)
                    );
                }
                1 => {
                    let original = big(&mut rng);
                    let request = Request::Replace {
                        original,
                        user_ref_num,
                        total_shares: shares,
                        price,
                        time_in_force,
                    };
                    let Inbound::ReplaceOrder(order, _) =
                        message(dissect(frames.patch(&request), &addressing))
                    else {
                        panic!()
                    };
                    assert_eq!((order.orig_user_ref_num, order.user_ref_num), (original, user_ref_num));
                    assert_eq!((order.quantity, order.price), (shares, u64::from(price.0)));
                    assert_eq!((order.time_in_force, order.display, order.iso), (code, b'Y', b'N'));
                    assert_eq!(order.cl_ord_id, profile.cl_ord_id);
                }
                _ => {
                    let request = Request::Cancel { user_ref_num };
                    let Inbound::CancelOrder(order, _) =
                        message(dissect(frames.patch(&request), &addressing))
                    else {
                        panic!()
                    };
                    assert_eq!((order.user_ref_num, order.quantity), (user_ref_num, 0));
                }
            }
        }
        let beat = UpstreamPackets::new_checked(dissect(frames.heartbeat(), &addressing)).unwrap();
        assert!(beat.eq([Upstream::Heartbeat]));
    }
}

#[test]
fn a_checksum_that_comes_out_as_zero_is_sent_as_ones() {
    let mut frames = OrderFrames::new(&ADDRESSING, &OuchProfile::default()).unwrap();
    let cancel = |user_ref_num| Request::Cancel { user_ref_num };
    let checksum = |frame: &[u8]| u16::from_be_bytes([frame[40], frame[41]]);
    // The message starts at an odd offset, so the low 16 bits of the number straddle two words; over all of them
    // every checksum occurs.
    let mut ones = 0;
    for user_ref_num in 0..=0xFFFF {
        let frame = frames.patch(&cancel(user_ref_num));
        assert_ne!(checksum(frame), 0);
        if checksum(frame) == 0xFFFF {
            ones += 1;
            dissect(frame, &ADDRESSING);
        }
    }
    assert!(ones > 0);
}

#[test]
fn vlan_identifiers_are_checked() {
    for vlan in [0, 4095, u16::MAX] {
        let addressing = FrameAddressing { vlan: Some(vlan), ..ADDRESSING };
        let error = OrderFrames::new(&addressing, &OuchProfile::default()).err();
        assert_eq!(error, Some(TemplateError::Vlan(vlan)));
    }
}

fn risk() -> Risk {
    let rate = Rate { per_second: 1_000_000, burst: 1_000 };
    let limits = RiskLimits {
        max_order_shares: 10_000,
        max_order_value: u64::MAX,
        collar_bps: 10_000,
        reference_collar_bps: None,
        max_long_shares: u64::MAX,
        max_short_shares: u64::MAX,
        max_gross_value: u64::MAX,
        max_open_orders: 16,
        port_rate: rate,
        symbol_rate: rate,
        repeat_window_ns: 0,
        restricted: Vec::new(),
        hours: None,
        fills_remembered: 64,
    };
    let mut risk = Risk::new(limits, 4).unwrap();
    risk.arm();
    risk.set_session_healthy(true);
    risk.set_symbol(1, Symbol(*b"TEST    "));
    risk
}

fn view() -> MarketView {
    let level = |price| Some(Level { price: Price(price), shares: 1, orders: 1 });
    MarketView {
        locate: 1,
        timestamp: 0,
        now_ns: 0,
        top: TopOfBook { bid: level(10_000), ask: level(10_100) },
        book: BookState::Live,
        trading: TradingState::Trading,
    }
}

const BUY: Intent = Intent::Enter {
    locate: 1,
    side: Side::Buy,
    shares: 100,
    price: Price(10_000),
    time_in_force: TimeInForce::Day,
};

fn session() -> WutfSession {
    WutfSession::new(&ADDRESSING, &OuchProfile::default()).unwrap()
}

#[test]
fn what_is_sent_is_what_was_cleared() {
    let (mut risk, mut session, mut tx) = (risk(), session(), FakeTx::new());
    let cleared = risk.check(BUY, &view(), 0).unwrap();
    assert_eq!(session.send(&cleared, &mut tx), Ok(()));
    let Inbound::EnterOrder(order, _) = message(dissect(tx.last(), &ADDRESSING)) else { panic!() };
    assert_eq!((order.user_ref_num, &order.symbol, order.quantity), (1, b"TEST    ", 100));
    assert_eq!((tx.count, session.counters().enters), (1, 1));
}

#[test]
fn a_send_that_fails_is_counted_and_can_be_released() {
    let (mut risk, mut session) = (risk(), session());
    // An untagged frame of a new order has 92 bytes.
    type Fault = fn(&mut FakeTx);
    let faults: [(Fault, SendError); 3] = [
        (|tx| tx.no_buffer = true, SendError::NoBuffer),
        (|tx| tx.ring_full = true, SendError::RingFull),
        (|tx| tx.slot_len = 91, SendError::BufferTooShort),
    ];
    for (fault, error) in faults {
        let mut tx = FakeTx::new();
        fault(&mut tx);
        let cleared = risk.check(BUY, &view(), 0).unwrap();
        assert_eq!(session.send(&cleared, &mut tx), Err(error));
        risk.release(&cleared);
        assert_eq!((tx.count, risk.blotter().open_orders()), (0, 0));
    }
    let c = session.counters();
    assert_eq!((c.no_buffer, c.ring_full, c.buffer_too_short, c.enters), (1, 1, 1, 0));
}

#[test]
fn nothing_leaves_for_a_next_hop_that_is_not_known() {
    let (mut risk, mut session, mut tx) = (risk(), session(), FakeTx::new());
    session.set_next_hop(None);
    assert!(!session.healthy());
    let cleared = risk.check(BUY, &view(), 0).unwrap();
    assert_eq!(session.send(&cleared, &mut tx), Err(SendError::NoNextHop));
    session.poll(10 * HEARTBEAT_NS, &mut tx, &mut |_| {});
    assert_eq!((tx.count, session.counters().no_next_hop), (0, 1));

    let mac = [2, 0, 0, 0, 0, 9];
    session.set_next_hop(Some(mac));
    assert!(session.healthy());
    let there = FrameAddressing { dst_mac: mac, ..ADDRESSING };
    assert_eq!(session.send(&cleared, &mut tx), Ok(()));
    dissect(tx.last(), &there);
    session.poll(10 * HEARTBEAT_NS, &mut tx, &mut |_| {});
    session.poll(20 * HEARTBEAT_NS, &mut tx, &mut |_| {});
    dissect(tx.last(), &there);
    assert_eq!((tx.count, session.counters().heartbeats), (2, 1));

    // What else ails a session is not healed by it.
    events(&mut session, b"?");
    let mut out = [0; 100];
    events(&mut session, packet(&mut out, 9, &[]));
    assert!(!session.healthy());
    session.set_next_hop(Some(mac));
    assert!(!session.healthy());
}

fn events(session: &mut WutfSession, payload: &[u8]) -> Vec<OrderEvent> {
    let mut events = Vec::new();
    session.on_datagram(payload, &mut |event| events.push(event));
    events
}

fn lost(messages: u64) -> OrderEvent {
    OrderEvent { user_ref_num: 0, timestamp: 0, kind: OrderEventKind::Lost { messages } }
}

fn event(user_ref_num: u32, kind: OrderEventKind) -> OrderEvent {
    OrderEvent { user_ref_num, timestamp: 34_200_000_000_000, kind }
}

#[test]
fn every_reply_becomes_its_event() {
    let mut session = session();
    let mut out = [0; 1_500];
    let mut priority = reply::short(b'T', 8);
    priority.extend(9_900_u64.to_be_bytes());
    priority.push(b'Y');
    priority.extend(77_u64.to_be_bytes());
    let mut modified = reply::short(b'M', 9);
    modified.push(b'T');
    modified.extend(40_u32.to_be_bytes());
    let mut restated = reply::short(b'R', 10);
    restated.extend(*b"P\0\0");
    let query = reply::short(b'Q', 4_000);
    let mut system = vec![b'S'];
    system.extend(5_u64.to_be_bytes());
    system.push(b'S');
    let messages: Vec<Vec<u8>> = vec![
        reply::accepted(1, b'B', 100, 10_000, b'L'),
        reply::accepted(2, b'S', 50, u64::MAX, b'D'),
        reply::executed(1, 30, 9_990, 55),
        reply::canceled(1, 70, b'U'),
        reply::aiq_canceled(3, 5),
        reply::rejected(4, 0x17),
        reply::replaced(5, 6, b'B', 80, 10_010),
        reply::short(b'P', 7),
        reply::short(b'I', 7),
        reply::broken(1, 55),
        priority,
        modified,
        restated,
        query,
        system,
        b"?new".to_vec(),
        Vec::new(),
    ];
    let refs: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let got = events(&mut session, packet(&mut out, 1, &refs));
    use OrderEventKind as Kind;
    let accepted = |user_ref_num, shares, price, live| {
        let order_ref = 1_000_000 + u64::from(user_ref_num);
        event(user_ref_num, Kind::Accepted { shares, price: Price(price), order_ref, live })
    };
    let want = [
        accepted(1, 100, 10_000, true),
        accepted(2, 50, u32::MAX, false),
        event(1, Kind::Executed { shares: 30, price: Price(9_990), match_number: 55, liquidity: b'A' }),
        event(1, Kind::Canceled { shares: 70, reason: b'U' }),
        event(3, Kind::Canceled { shares: 5, reason: b'Q' }),
        event(4, Kind::Rejected { reason: 0x17 }),
        event(
            6,
            Kind::Replaced {
                original: 5,
                shares: 80,
                price: Price(10_010),
                order_ref: 1_000_006,
                live: true,
            },
        ),
        event(7, Kind::CancelPending),
        event(7, Kind::CancelReject),
        event(1, Kind::Broken { match_number: 55, reason: b'E' }),
        event(8, Kind::PriorityUpdate { price: Price(9_900), order_ref: 77 }),
        event(9, Kind::Modified { shares: 40 }),
        event(10, Kind::Restated { reason: b'P' }),
        event(0, Kind::NextUserRef { next: 4_000 }),
        OrderEvent { user_ref_num: 0, timestamp: 5, kind: Kind::System { code: b'S' } },
    ];
    assert_eq!(got, want);
    assert_eq!((session.counters().events, session.counters().other_messages), (15, 2));
    assert!(session.healthy());
}

#[test]
fn repeated_and_overlapping_packets_are_read_once() {
    let mut session = session();
    let mut out = [0; 512];
    let fill = |n| reply::executed(1, 1, 10_000, n);
    let (a, b, c) = (fill(1), fill(2), fill(3));
    assert_eq!(events(&mut session, packet(&mut out, 1, &[&a, &b])).len(), 2);
    assert_eq!(events(&mut session, packet(&mut out, 1, &[&a, &b])).len(), 0);
    assert_eq!(events(&mut session, packet(&mut out, 2, &[&b, &c])).len(), 1);
    assert_eq!(events(&mut session, packet(&mut out, 1, &[&a])).len(), 0);
    assert_eq!(events(&mut session, packet(&mut out, 4, &[])).len(), 0, "a heartbeat");
    assert_eq!((session.counters().duplicates, session.counters().gaps), (4, 0));
    assert!(session.healthy());
}

#[test]
fn a_hole_in_the_replies_is_told_and_the_rest_is_read() {
    let mut session = session();
    let mut out = [0; 512];
    let fill = reply::executed(1, 1, 10_000, 9);
    let got = events(&mut session, packet(&mut out, 4, &[&fill]));
    assert_eq!((got.len(), got[0]), (2, lost(3)));
    assert!(!session.healthy());
    // The tail is noticed by the heartbeat.
    assert_eq!(events(&mut session, packet(&mut out, 7, &[])), [lost(2)]);
    assert_eq!((session.counters().gaps, session.counters().gap_messages), (2, 5));
    session.resume();
    assert!(session.healthy());
    assert_eq!(events(&mut session, packet(&mut out, 90, &[&fill])).len(), 1);
    assert!(session.healthy());
}

#[test]
fn another_session_is_not_ours() {
    let mut session = session();
    let mut out = [0; 512];
    let fill = reply::executed(1, 1, 10_000, 9);
    assert_eq!(events(&mut session, packet(&mut out, 1, &[&fill])).len(), 1);
    let mut other = packet(&mut out, 2, &[&fill]).to_vec();
    other[..10].copy_from_slice(b"SOMEBODY  ");
    assert_eq!(events(&mut session, &other), [lost(0)]);
    assert_eq!((session.healthy(), session.counters().foreign_packets), (false, 1));
    // Taken up once somebody has looked at it.
    session.resume();
    assert_eq!(events(&mut session, &other).len(), 1);
    assert_ne!(other[..10], SESSION);
}

#[test]
fn unreadable_replies_leave_the_session_unhealthy() {
    let mut s = session();
    let mut out = [0; 512];
    assert!(events(&mut s, b"too short").is_empty());
    assert!(s.healthy(), "no sequence was used up");
    let cut = &reply::executed(1, 1, 10_000, 9)[..30];
    assert_eq!(events(&mut s, packet(&mut out, 1, &[cut])), [lost(1)]);
    assert_eq!((s.healthy(), s.counters().bad_packets, s.counters().bad_messages), (false, 1, 1));

    let mut s = session();
    let mut end = packet(&mut out, 1, &[]).to_vec();
    end[18..20].fill(0xFF);
    assert!(events(&mut s, &end).is_empty());
    assert_eq!((s.healthy(), s.counters().ends), (false, 1));
}

#[test]
fn a_heartbeat_leaves_after_a_second_of_silence() {
    let (mut risk, mut session, mut tx) = (risk(), session(), FakeTx::new());
    let start = 5 * HEARTBEAT_NS;
    session.poll(start, &mut tx, &mut |_| {});
    assert_eq!(tx.count, 1);
    assert!(UpstreamPackets::new_checked(dissect(tx.last(), &ADDRESSING)).unwrap().eq([Upstream::Heartbeat]));
    session.poll(start + HEARTBEAT_NS - 1, &mut tx, &mut |_| {});
    assert_eq!(tx.count, 1);
    // An order speaks for itself.
    session.send(&risk.check(BUY, &view(), 0).unwrap(), &mut tx).unwrap();
    session.poll(start + HEARTBEAT_NS, &mut tx, &mut |_| {});
    assert_eq!(tx.count, 2);
    tx.ring_full = true;
    session.poll(start + 2 * HEARTBEAT_NS, &mut tx, &mut |_| {});
    tx.ring_full = false;
    session.poll(start + 2 * HEARTBEAT_NS + 1, &mut tx, &mut |_| {});
    assert_eq!((tx.count, session.counters().heartbeats, session.counters().ring_full), (3, 2, 1));
}
