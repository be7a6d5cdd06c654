//! TCP of our own against a second stack, in virtual time: every byte once and in order, whatever the cable does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use smoltcp::socket::tcp::State;
use wirebook::nic;
use wirebook::order::SendError;
use wirebook::order::stream::{Stream, StreamState};
use wirebook::order::tcp::{TcpAddressing, TcpError, UserTcp};

use world::{ADDRESSING, Cable, LATENCY, MS, SECOND, Tx, US, World, assert_whole, bytes};

/// The length of a SoupBinTCP packet with a new order.
const ORDER: usize = 50;

/// Sends `messages` orders and a like number of replies, as fast as both sides take them, with now and then a write that
/// is too long or too short to be prepared, or no buffer.
fn exchange(cable: Cable, messages: usize) -> World {
    let mut world = World::new(cable, 11 + cable.lost);
    world.connect();
    let (mut sent, mut replied, mut done) = (0, 0, 0);
    while done < messages {
        world.tx.empty = world.rng.below(50) == 0;
        for _ in 0..world.rng.below(4) {
            let len = match world.rng.below(64) {
                0 => 3,
                1 => 700,
                _ => ORDER,
            };
            match world.write(&bytes(sent, len)) {
                Ok(()) => (sent, done) = (sent + len, done + 1),
                Err(SendError::Backlog | SendError::NoBuffer) => break,
                Err(why) => panic!("{why}"),
            }
        }
        if replied < sent {
            replied += world.server.write(&bytes(replied, (sent - replied).min(300)));
        }
        // While the peer waits for a lost segment there is nothing to do but wait.
        let idle = world.is_quiet() && !world.tx.empty;
        world.pass(if idle { MS / 4 } else { LATENCY / 4 });
    }
    world.tx.empty = false;
    world.until(1_000 * SECOND, |w| w.server.got.len() == sent && w.got.len() == replied);
    assert_whole(&world.server.got, sent);
    assert_whole(&world.got, replied);
    world
}

#[test]
fn on_a_good_cable_nothing_is_sent_twice() {
    let world = exchange(Cable::default(), 100_000);
    let c = world.client.counters();
    assert_eq!((c.settled_otherwise, c.retransmitted), (0, 0), "{c:?}");
    assert_eq!(c.settled, c.hot, "{c:?}");
    assert!(c.hot > 90_000 && c.cold > 2_000, "{c:?}");
    // What goes round the end of the stack's ring needs two segments.
    assert!(world.data_segments <= c.hot + 2 * c.cold, "{} {c:?}", world.data_segments);
}

#[test]
fn one_in_a_thousand_is_lost() {
    let world = exchange(Cable { lost: 1, doubled: 1, late: 5 }, 100_000);
    assert!(world.client.counters().hot > 50_000, "{:?}", world.client.counters());
}

#[test]
fn one_in_a_hundred_is_lost() {
    let world = exchange(Cable { lost: 10, doubled: 5, late: 20 }, 100_000);
    let c = world.client.counters();
    assert!(c.hot > 10_000 && c.probes + c.retransmitted > 100, "{c:?}");
}

#[test]
fn one_in_twenty_is_lost() {
    let world = exchange(Cable { lost: 50, doubled: 20, late: 50 }, 100_000);
    let c = world.client.counters();
    assert!(c.hot > 1_000 && c.probes + c.retransmitted > 500, "{c:?}");
}

#[test]
fn a_lost_last_order_is_sent_again_within_milliseconds() {
    let mut world = World::new(Cable::default(), 3);
    world.connect();
    let mut sent = 0;
    for round in 0..200 {
        world.write(&bytes(sent, ORDER)).unwrap();
        sent += ORDER;
        let began = world.now;
        // The order and up to two of its repetitions.
        world.cut = 1 + round % 3;
        world.until(SECOND / 2, |w| w.server.got.len() == sent);
        let waited = world.now - began;
        assert!(waited < [2, 4, 9][round as usize % 3] * MS, "{waited} ns after {} losses", 1 + round % 3);
        world.until(SECOND, |w| w.is_quiet());
        world.pass(5 * MS);
    }
    assert_whole(&world.server.got, sent);
    let c = world.client.counters();
    // One, two, three probes in turn; none more, since each was answered.
    assert_eq!((c.probes, c.retransmitted, c.hot), (399, 0, 200), "{c:?}");
}

#[test]
fn probes_are_few_and_the_stack_goes_on_after_them() {
    let mut world = World::new(Cable::default(), 4);
    world.connect();
    world.write(&bytes(0, ORDER)).unwrap();
    world.cut = 4;
    world.until(3 * SECOND, |w| w.server.got.len() == ORDER);
    let c = *world.client.counters();
    assert_eq!((c.probes, c.retransmitted), (3, 1), "{c:?}");
    // And the way is hot again.
    world.until(SECOND, |w| w.is_quiet());
    world.pass(MS);
    world.write(&bytes(ORDER, ORDER)).unwrap();
    assert_eq!(world.client.counters().hot, c.hot + 1);
    world.until(SECOND, |w| w.server.got.len() == 2 * ORDER);
    assert_whole(&world.server.got, 2 * ORDER);
}

#[test]
fn a_window_that_closes_is_waited_for() {
    let mut world = World::with(Cable::default(), ADDRESSING, 5, 1_000);
    world.connect();
    world.server.asleep = true;
    let mut sent = 0;
    // Far more than the window has, but what the buffer takes.
    while sent < 20_000 {
        world.write(&bytes(sent, ORDER)).unwrap();
        sent += ORDER;
        world.pass(100 * US);
    }
    let hot = world.client.counters().hot;
    assert!((10..=20).contains(&hot), "{hot}: as many as the window had room for");
    world.pass(20 * SECOND);
    world.server.asleep = false;
    world.until(200 * SECOND, |w| w.server.got.len() == sent);
    assert_whole(&world.server.got, sent);
    // Until nothing more is taken: refused, not forgotten.
    world.server.asleep = true;
    let refused = loop {
        match world.write(&bytes(sent, ORDER)) {
            Ok(()) => sent += ORDER,
            Err(why) => break why,
        }
        world.pass(10 * US);
    };
    assert_eq!(refused, SendError::Backlog);
    assert!(sent > 80_000);
    world.server.asleep = false;
    world.until(500 * SECOND, |w| w.server.got.len() == sent);
    assert_whole(&world.server.got, sent);
}

/// The first sequence numbers of both sides, with these seeds.
fn first_numbers(client: u64, server: u64) -> (u32, u32) {
    let mut world =
        World::with(Cable::default(), TcpAddressing { seed: client, ..ADDRESSING }, server, 4_096);
    world.client.connect(world.now, &mut world.tx);
    let number = |frame: &[u8]| u32::from_be_bytes(frame[38..42].try_into().unwrap());
    let ours = number(&world.tx.sent[0]);
    for _ in 0..4 {
        world.pass(LATENCY);
    }
    (ours, world.client.peer_start().wrapping_sub(1))
}

#[test]
fn sequence_numbers_wrap() {
    let late = |number: u32| number > u32::MAX - 2_000_000;
    let client = (0..).find(|seed| late(first_numbers(*seed, 1).0)).unwrap();
    let server = (0..).find(|seed| late(first_numbers(1, *seed).1)).unwrap();
    for cable in [Cable::default(), Cable { lost: 10, doubled: 10, late: 30 }] {
        let addressing = TcpAddressing { seed: client, ..ADDRESSING };
        let mut world = World::with(cable, addressing, server, 65_536);
        world.connect();
        let (mut sent, mut replied) = (0, 0);
        while sent < 3_000_000 {
            for _ in 0..4 {
                if world.write(&bytes(sent, ORDER)).is_ok() {
                    sent += ORDER;
                }
            }
            replied += world.server.write(&bytes(replied, (sent - replied).min(300)));
            world.pass(if world.is_quiet() { MS / 4 } else { LATENCY / 4 });
        }
        world.until(1_000 * SECOND, |w| w.server.got.len() == sent && w.got.len() == replied);
        assert_whole(&world.server.got, sent);
        assert_whole(&world.got, replied);
        let hot = world.client.counters().hot;
        assert!(hot as usize * ORDER > 2_500_000 || cable.lost > 0, "{hot}");
    }
}

#[test]
fn a_reset_in_mid_stream_ends_it_and_nothing_of_it_comes_later() {
    let mut world = World::new(Cable { late: 100, ..Cable::default() }, 6);
    for round in 0..40 {
        world.connect();
        let mut sent = 0;
        for _ in 0..20 + round {
            world.write(&bytes(sent, ORDER)).unwrap();
            sent += ORDER;
            world.pass(LATENCY / 4);
        }
        let got = world.server.got.len();
        assert_whole(&world.server.got.clone(), got);
        world.server.socket().abort();
        world.until(SECOND, |w| w.client.state() == StreamState::Closed);
        assert_eq!(world.write(&bytes(sent, ORDER)), Err(SendError::NotOpen));
        let now = world.now;
        world.server.listen(now);
    }
    // The next one begins at its own beginning; what was late of the others did not matter.
    world.connect();
    world.write(&bytes(0, ORDER)).unwrap();
    world.until(SECOND, |w| w.server.got.len() == ORDER);
    assert_whole(&world.server.got, ORDER);
    assert_eq!(world.client.counters().connects, 41);
}

#[test]
fn the_peer_ends_it_after_its_last_byte() {
    for (cable, waits) in [(Cable::default(), false), (Cable { lost: 30, late: 50, doubled: 30 }, true)] {
        let mut world = World::new(cable, 8);
        for _ in 0..40 {
            world.connect();
            let replied = world.server.write(&bytes(0, 5_000));
            world.write(&bytes(0, ORDER)).unwrap();
            if waits {
                // The server's stack may forget to send a FIN again that was lost together with data.
                world.until(100 * SECOND, |w| w.server.socket().send_queue() == 0 && w.got.len() == replied);
            }
            world.server.socket().close();
            world.until(100 * SECOND, |w| w.client.state() == StreamState::Ended);
            assert_whole(&world.got, replied);
            assert_eq!(world.write(&bytes(0, ORDER)), Err(SendError::NotOpen));
            let now = world.now;
            world.client.close(now, &mut world.tx);
            world.until(200 * SECOND, |w| {
                let server = w.server.state();
                w.client.state() == StreamState::Closed && matches!(server, State::Closed | State::TimeWait)
            });
            let now = world.now;
            world.server.listen(now);
        }
    }
}

#[test]
fn we_end_it_after_our_last_byte_and_take_the_next_port() {
    let mut world = World::new(Cable { lost: 30, late: 50, ..Cable::default() }, 9);
    for round in 0..40_u16 {
        world.connect();
        assert_eq!(world.client.local_port(), 40_000 + round % 4);
        let mut sent = 0;
        for _ in 0..10 {
            world.write(&bytes(sent, ORDER)).unwrap();
            sent += ORDER;
        }
        let now = world.now;
        world.client.close(now, &mut world.tx);
        world.until(200 * SECOND, |w| w.server.state() == State::CloseWait);
        assert_whole(&world.server.got, sent);
        world.server.socket().close();
        world.until(200 * SECOND, |w| w.client.state() == StreamState::Closed);
        let now = world.now;
        world.server.listen(now);
    }
}

#[test]
fn nobody_answers_and_somebody_refuses() {
    let mut world = World::new(Cable::default(), 10);
    world.cut = u64::MAX;
    world.client.connect(world.now, &mut world.tx);
    for _ in 0..10 {
        world.pass(SECOND);
        assert_eq!(world.client.state(), StreamState::Connecting);
        assert_eq!(world.write(&bytes(0, ORDER)), Err(SendError::NotOpen));
    }
    // Asked again meanwhile, less and less often.
    let frames = world.client.counters().frames;
    assert!((3..=10).contains(&frames), "{frames}");
    world.cut = 0;
    world.server.socket().abort();
    let now = world.now;
    world.client.connect(now, &mut world.tx);
    world.until(SECOND, |w| w.client.state() == StreamState::Closed);
}

#[test]
fn nothing_leaves_while_the_next_hop_is_not_known() {
    let mut world = World::new(Cable::default(), 12);
    world.connect();
    world.client.set_next_hop(None);
    assert!(!world.client.reachable());
    assert_eq!(world.write(&bytes(0, ORDER)), Err(SendError::NoNextHop));
    world.server.write(b"hello");
    world.pass(MS);
    world.pass(MS);
    let frames = world.client.counters().frames;
    world.pass(5 * MS);
    assert_eq!(world.client.counters().frames, frames);
    world.client.set_next_hop(Some([2, 0, 0, 0, 0, 9]));
    world.write(&bytes(0, ORDER)).unwrap();
    assert_eq!(world.tx.sent[0][..6], [2, 0, 0, 0, 0, 9]);
    world.until(10 * SECOND, |w| w.server.got.len() == ORDER && w.got == b"hello");
}

#[test]
fn hot_writes_wait_for_the_stack_only_so_many_and_stay_in_order() {
    let mut world = World::new(Cable::default(), 13);
    world.connect();
    world.pass(MS);
    let (hot, cold) = (world.client.counters().hot, world.client.counters().cold);
    // No poll in between: after eight the stack has to be told first.
    let mut sent = 0;
    for _ in 0..20 {
        world.write(&bytes(sent, ORDER)).unwrap();
        sent += ORDER;
    }
    let c = *world.client.counters();
    assert!(c.hot - hot >= 8 && c.cold - cold >= 1 && c.hot + c.cold - hot - cold == 20, "{c:?}");
    world.until(SECOND, |w| w.server.got.len() == sent);
    assert_whole(&world.server.got, sent);
    let c = world.client.counters();
    assert_eq!((c.settled, c.settled_otherwise), (c.hot, 0), "{c:?}");
}

#[test]
fn frames_of_others_are_not_ours_and_broken_ones_do_nothing() {
    let mut world = World::new(Cable::default(), 14);
    world.connect();
    world.pass(MS);
    // A reply as the server sends it, captured.
    world.server.write(b"reply!");
    let mut other = World::new(Cable::default(), 14);
    std::mem::swap(&mut other.client, &mut world.client);
    other.connect();
    let reply = {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        let ip = etherparse::PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        let port = other.client.local_port();
        ip.tcp(9_000, port, other.client.peer_start(), 1_000).ack(1).write(&mut frame, b"reply!").unwrap();
        frame
    };
    let before = *other.client.counters();
    let refused = |other: &mut World, frame: &[u8]| !other.deliver(frame, 0);
    for (at, name) in
        [(12, "EtherType"), (23, "protocol"), (29, "source"), (33, "destination"), (35, "port"), (36, "port")]
    {
        let mut frame = reply.clone();
        frame[at] ^= 0x55;
        assert!(refused(&mut other, &frame), "{name}");
    }
    for len in 0..reply.len() {
        let _ = other.deliver(&reply[..len], 0);
    }
    let mut frame = reply.clone();
    frame[55] ^= 1;
    assert!(other.deliver(&frame, 0), "ours, and its checksum is wrong");
    assert!(other.deliver(&reply, nic::L4_CSUM_BAD | nic::IP_CSUM_GOOD), "the NIC says so");
    let mut stray = reply.clone();
    stray[37] = stray[37].wrapping_add(1) % 4 + 0x40;
    assert_eq!(other.got, b"");
    let c = other.client.counters();
    assert!(c.bad_segments >= before.bad_segments + 2, "{c:?}");
    assert_eq!(other.client.state(), StreamState::Open);
}

/// Any change of any frame of a conversation, and frames that are noise: nothing panics, and what was handed on is never
/// anything but the beginning of what was sent.
#[test]
fn hostile_frames_never_panic_and_never_pass() {
    let mut world = World::new(Cable { lost: 20, doubled: 20, late: 50 }, 15);
    let (mut cases, mut sessions) = (0, 0);
    while cases < 100_000 {
        world.connect();
        sessions += 1;
        let (mut sent, mut replied) = (0, 0);
        for _ in 0..400 {
            if world.write(&bytes(sent, ORDER)).is_ok() {
                sent += ORDER;
            }
            replied += world.server.write(&bytes(replied, (sent - replied).min(100)));
            world.pass(LATENCY / 2);
            for _ in 0..10 {
                let len = 14 + world.rng.below(80) as usize;
                let mut frame: Vec<u8> = (0..len).map(|_| world.rng.below(256) as u8).collect();
                if world.rng.below(4) > 0 {
                    let port = world.client.local_port();
                    let ip = etherparse::PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
                    let tcp =
                        ip.tcp(9_000, port, world.rng.below(1 << 32) as u32, world.rng.below(1 << 16) as u16);
                    let tcp = tcp.ack(world.rng.below(1 << 32) as u32);
                    let tcp = match world.rng.below(8) {
                        0 => tcp.rst(),
                        1 => tcp.fin(),
                        2 => tcp.syn(),
                        _ => tcp,
                    };
                    frame.truncate(14);
                    frame[12..14].copy_from_slice(&[8, 0]);
                    tcp.write(&mut frame, &[0xEE; 40]).unwrap();
                    if world.rng.below(4) == 0 {
                        let at = world.rng.below(frame.len() as u64) as usize;
                        frame[at] ^= 1 << world.rng.below(8);
                    }
                }
                let flags = if world.rng.below(2) == 0 { nic::L4_CSUM_GOOD | nic::IP_CSUM_GOOD } else { 0 };
                world.deliver(&frame, flags);
                cases += 1;
            }
            let len = world.got.len();
            assert!(!world.got.contains(&0xEE) || world.got[..] == bytes(0, len)[..], "session {sessions}");
            if world.client.state() != StreamState::Open {
                break;
            }
        }
        assert_whole(&world.got.clone(), world.got.len());
        let now = world.now;
        world.client.abort(now, &mut world.tx);
        world.until(5 * SECOND, |w| w.is_quiet());
        world.server.listen(now);
    }
    assert!(sessions > 10, "{sessions}");
}

#[test]
fn addressing_is_checked() {
    let with = |change: fn(&mut TcpAddressing)| {
        let mut addressing = ADDRESSING;
        change(&mut addressing);
        UserTcp::new(addressing).map(|tcp| tcp.state())
    };
    assert_eq!(with(|_| {}), Ok(StreamState::Closed));
    assert_eq!(with(|a| a.frame.src_port = 0), Err(TcpError::Port));
    assert_eq!(with(|a| a.frame.dst_port = 0), Err(TcpError::Port));
    assert_eq!(with(|a| a.ports = 0), Err(TcpError::Port));
    assert_eq!(with(|a| a.frame.src_port = 65_534), Err(TcpError::Port));
    assert!(matches!(with(|a| a.frame.vlan = Some(4_095)), Err(TcpError::Template(_))));
    for octets in [[0, 0, 0, 0], [224, 0, 0, 1], [255, 255, 255, 255]] {
        let mut addressing = ADDRESSING;
        addressing.frame.src_ip = octets.into();
        assert!(matches!(UserTcp::new(addressing), Err(TcpError::Address(_))), "{octets:?}");
    }
    let _ = Tx::default();
}
