//! Against scripted time, rule by rule.

use super::super::random::Random;
use super::hop::{PATIENCE, POLLS, REFRESH};
use super::*;
use crate::wire::frame::parse_arp;

const S: u64 = SECOND;
const US: Own = Own { ip: Ipv4Addr::new(10, 0, 0, 2), mac: [2, 0, 0, 0, 0, 2], vlan: None };
const GATEWAY: (Ipv4Addr, Mac) = (Ipv4Addr::new(10, 0, 0, 1), [2, 0, 0, 0, 0, 1]);
const STRANGER: (Ipv4Addr, Mac) = (Ipv4Addr::new(10, 0, 0, 9), [2, 0, 0, 0, 0, 9]);
const PEER: Peer = Peer { ip: GATEWAY.0, vlan: None, from: US };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sent {
    at: u64,
    to: Mac,
    vlan: Option<u16>,
    packet: Packet,
}

struct Station {
    neighbour: Neighbour,
    now: u64,
    sent: Vec<Sent>,
    hops: Vec<Option<Mac>>,
    notices: Vec<Notice>,
}

impl Station {
    fn new(own: &[Own], peer: Option<Peer>) -> Self {
        let neighbour = Neighbour::new(own, peer);
        let mut station = Self { neighbour, now: 0, sent: Vec::new(), hops: Vec::new(), notices: Vec::new() };
        station.with(|neighbour, now, out| neighbour.start(now, out));
        station
    }

    /// Knows the gateway since now.
    fn resolved() -> Self {
        let mut station = Self::new(&[], Some(PEER));
        station.answer(GATEWAY.1);
        assert_eq!(station.hops, [Some(GATEWAY.1)]);
        assert_eq!(station.notices, [Notice::Resolved(GATEWAY.1)]);
        station.sent.clear();
        station.hops.clear();
        station.notices.clear();
        station
    }

    fn with(&mut self, act: impl FnOnce(&mut Neighbour, u64, &mut dyn FnMut(Output<'_>))) {
        let Self { neighbour, now, sent, hops, notices } = self;
        act(neighbour, *now, &mut |output| match output {
            Output::Frame(frame) => {
                assert_eq!(frame.len(), 60);
                let (packet, vlan) = parse_arp(frame).unwrap();
                assert_eq!(frame[6..12], packet.sender_mac);
                let to = *frame.first_chunk().unwrap();
                sent.push(Sent { at: *now, to, vlan, packet });
            }
            Output::NextHop(mac) => hops.push(mac),
            Output::Notice(notice) => notices.push(notice),
        });
    }

    fn until(&mut self, end: u64) {
        while let Some(due) = self.neighbour.next_due().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.with(|neighbour, now, out| neighbour.tick(now, out));
        }
        self.now = end;
    }

    fn over(&mut self, time: u64) -> Vec<Sent> {
        self.until(self.now + time);
        std::mem::take(&mut self.sent)
    }

    fn hear(&mut self, packet: Packet, vlan: Option<u16>) {
        self.with(|neighbour, now, out| neighbour.on_packet(now, &packet, vlan, out));
    }

    /// `mac` says to us that it is the gateway.
    fn answer(&mut self, mac: Mac) {
        self.hear(Packet::request(US.mac, US.ip, GATEWAY.0).reply(mac), None);
    }

    /// `mac` announces itself as the gateway.
    fn announced(&mut self, mac: Mac) {
        self.hear(Packet::request(mac, GATEWAY.0, GATEWAY.0), None);
    }
}

fn asks(to: Mac, at: u64) -> Sent {
    Sent { at, to, vlan: None, packet: Packet::request(US.mac, US.ip, GATEWAY.0) }
}

/// RFC 5227, 2.3.
#[test]
fn addresses_are_announced_twice_each_in_its_vlan() {
    let tagged = Own { vlan: Some(101), ..US };
    let mut station = Station::new(&[US, tagged], None);
    let sent = station.over(60 * S);
    let announcement =
        |at, vlan| Sent { at, to: BROADCAST, vlan, packet: Packet::request(US.mac, US.ip, US.ip) };
    assert_eq!(sent, [0, 2 * S].map(|at| [announcement(at, None), announcement(at, Some(101))]).concat());
    assert_eq!(station.neighbour.next_due(), None);
}

#[test]
fn requests_for_us_are_answered_and_no_others() {
    let tagged = Own { ip: Ipv4Addr::new(10, 0, 1, 2), mac: US.mac, vlan: Some(101) };
    let mut station = Station::new(&[US, tagged], None);
    station.over(60 * S);
    let ask = |target| Packet::request(STRANGER.1, STRANGER.0, target);
    station.hear(ask(US.ip), None);
    station.hear(ask(tagged.ip), Some(101));
    // RFC 5227, 2.1.1: a probe comes from 0.0.0.0.
    station.hear(Packet::request(STRANGER.1, Ipv4Addr::UNSPECIFIED, US.ip), None);
    let answers = station.over(S);
    assert_eq!(
        answers.iter().map(|sent| (sent.to, sent.vlan)).collect::<Vec<_>>(),
        [(STRANGER.1, None), (STRANGER.1, Some(101)), (STRANGER.1, None)]
    );
    assert_eq!(answers[0].packet, ask(US.ip).reply(US.mac));
    assert_eq!(answers[1].packet.sender_ip, tagged.ip);

    station.hear(ask(US.ip), Some(101));
    station.hear(ask(GATEWAY.0), None);
    station.hear(ask(US.ip), Some(7));
    station.hear(Packet { sender_mac: [3, 0, 0, 0, 0, 9], ..ask(US.ip) }, None);
    station.hear(Packet { sender_mac: [0; 6], ..ask(US.ip) }, None);
    station.hear(Packet::request(US.mac, US.ip, US.ip), None);
    assert_eq!(station.over(60 * S), []);
    let counters = station.neighbour.counters();
    assert_eq!((counters.requests_heard, counters.replies_sent, counters.unreadable), (3, 3, 2));
    assert_eq!((counters.other_vlan, counters.of_others, counters.conflicts), (1, 3, 0));
}

#[test]
fn a_flood_of_requests_makes_no_flood_of_replies() {
    let mut station = Station::new(&[US], None);
    station.over(60 * S);
    for _ in 0..100_000 {
        station.hear(Packet::request(STRANGER.1, STRANGER.0, US.ip), None);
        station.until(station.now + 30_000);
    }
    let counters = station.neighbour.counters();
    assert_eq!((counters.requests_heard, counters.replies_sent), (100_000, 150));
    assert_eq!(counters.replies_held, 100_000 - 150);
}

/// RFC 5227, 2.4 (c): the address is kept and defended, now and then.
#[test]
fn another_user_of_our_address_is_told_of_and_told_off() {
    let mut station = Station::new(&[US], None);
    station.over(60 * S);
    for _ in 0..200 {
        station.hear(Packet::request(STRANGER.1, US.ip, GATEWAY.0), None);
        station.hear(Packet::request(US.mac, US.ip, US.ip).reply(STRANGER.1), None);
        station.until(station.now + S / 10);
    }
    let sent = station.over(S);
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].to, sent[0].packet), (BROADCAST, Packet::request(US.mac, US.ip, US.ip)));
    assert_eq!(station.notices, [Notice::Conflict(US.ip, STRANGER.1); 2]);
    assert_eq!(station.neighbour.counters().conflicts, 400);
}

#[test]
fn the_next_hop_is_asked_for_with_growing_pauses_until_it_answers() {
    let mut station = Station::new(&[], Some(PEER));
    let asked: Vec<_> = station.over(30 * S).iter().map(|sent| (sent.to, sent.at / S)).collect();
    assert_eq!(asked, [0, 1, 2, 4, 8, 16, 24].map(|at| (BROADCAST, at)));
    assert_eq!(station.notices, [Notice::Silent(1)]);
    assert_eq!(station.hops, []);
    // Not to us, of another address, in another VLAN, or no answer at all: not believed.
    let answer = Packet::request(US.mac, US.ip, GATEWAY.0).reply(GATEWAY.1);
    station.hear(Packet { target_mac: STRANGER.1, ..answer }, None);
    station.hear(Packet { target_ip: STRANGER.0, ..answer }, None);
    station.hear(Packet { sender_ip: STRANGER.0, ..answer }, None);
    station.hear(answer, Some(7));
    station.announced(GATEWAY.1);
    assert_eq!((station.hops.len(), station.neighbour.next_hop()), (0, None));
    // But it was heard of, and is asked at once.
    assert_eq!(station.over(0), [asks(BROADCAST, 30 * S)]);
    station.hear(answer, None);
    assert_eq!(station.hops, [Some(GATEWAY.1)]);
    assert_eq!(station.neighbour.next_hop(), Some(GATEWAY.1));
    assert_eq!(station.notices, [Notice::Silent(1), Notice::Resolved(GATEWAY.1)]);
    let counters = station.neighbour.counters();
    assert_eq!((counters.believed, counters.not_believed, counters.other_vlan), (1, 3, 1));
}

#[test]
fn an_answer_before_the_question_is_not_believed() {
    let mut neighbour = Neighbour::new(&[], Some(PEER));
    let answer = Packet::request(US.mac, US.ip, GATEWAY.0).reply(GATEWAY.1);
    neighbour.on_packet(0, &answer, None, &mut |output| panic!("{output:?}"));
    assert_eq!(neighbour.next_due(), None);
}

/// RFC 1122, 2.3.2.1 (2): asked alone while it answers, and forgotten when it does not.
#[test]
fn what_is_known_is_kept_alive_and_forgotten_when_silent() {
    let mut station = Station::resolved();
    for round in 1..4 {
        assert_eq!(station.over(REFRESH), [asks(GATEWAY.1, round * REFRESH)]);
        station.answer(GATEWAY.1);
    }
    assert_eq!((station.hops.len(), station.notices.len()), (0, 0));
    // Hearing it counts, too.
    station.over(REFRESH - S);
    station.announced(GATEWAY.1);
    let heard = station.now;
    let sent = station.over(REFRESH + u64::from(PATIENCE) * S - 1);
    let expected = (0..PATIENCE)
        .map(|n| asks(if n < POLLS { GATEWAY.1 } else { BROADCAST }, heard + REFRESH + u64::from(n) * S));
    assert_eq!(sent, expected.collect::<Vec<_>>());
    assert_eq!(station.hops, []);
    assert_eq!(station.over(1).len(), 1);
    assert_eq!((&station.hops[..], &station.notices[..]), (&[None][..], &[Notice::Lost][..]));
    assert!(station.now - heard <= 60 * S);
    station.answer(GATEWAY.1);
    assert_eq!(station.hops, [None, Some(GATEWAY.1)]);
}

#[test]
fn a_claim_changes_nothing_while_the_one_that_is_known_answers() {
    let mut station = Station::resolved();
    station.over(5 * S);
    for _ in 0..200 {
        station.announced(STRANGER.1);
        station.answer(STRANGER.1);
        for sent in station.over(S / 10) {
            assert_eq!(sent.to, GATEWAY.1);
            station.answer(GATEWAY.1);
        }
    }
    assert_eq!(station.hops, []);
    assert_eq!(station.notices, [Notice::Contested(STRANGER.1); 2]);
    let counters = station.neighbour.counters();
    assert_eq!(counters.not_believed, 400);
    // Once a second at most.
    assert!((15..=22).contains(&counters.asked), "{counters:?}");
}

#[test]
fn a_next_hop_that_was_replaced_is_followed_within_two_seconds() {
    let mut station = Station::resolved();
    station.over(5 * S);
    let moved = station.now;
    station.announced(STRANGER.1);
    let sent = station.over(S);
    assert_eq!(sent, [asks(GATEWAY.1, moved), asks(BROADCAST, moved + S)]);
    station.answer(STRANGER.1);
    assert_eq!(station.hops, [Some(STRANGER.1)]);
    let changed = Notice::Changed { from: GATEWAY.1, to: STRANGER.1 };
    assert_eq!(station.notices, [Notice::Contested(STRANGER.1), changed]);
    assert_eq!(station.neighbour.next_hop(), Some(STRANGER.1));
}

#[test]
fn nothing_that_is_heard_makes_it_panic_or_talk_too_much() {
    let mut random = Random::new(3);
    let mut station = Station::new(&[US], Some(PEER));
    for _ in 0..50_000 {
        let pick = |random: &mut Random| {
            let ips = [US.ip, GATEWAY.0, STRANGER.0, Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST];
            let macs = [US.mac, GATEWAY.1, STRANGER.1, [0; 6], BROADCAST];
            (macs[random.up_to(5) as usize - 1], ips[random.up_to(5) as usize - 1])
        };
        let ((sender_mac, sender_ip), (target_mac, target_ip)) = (pick(&mut random), pick(&mut random));
        let operation = if random.up_to(2) == 1 { Operation::Request } else { Operation::Reply };
        let packet = Packet { operation, sender_mac, sender_ip, target_mac, target_ip };
        station.hear(packet, [None, None, Some(7)][random.up_to(3) as usize - 1]);
        station.until(station.now + random.up_to(4_000_000));
    }
    // 100 s, about.
    let seconds = station.now / S;
    let counters = station.neighbour.counters();
    assert!(counters.asked <= seconds + 2 && counters.replies_sent <= (seconds + 1) * u64::from(REPLIES));
    assert!(counters.announcements <= 2 + seconds / 10 + 1, "{counters:?}");
    assert!(counters.believed > 0 && counters.not_believed > 0 && counters.conflicts > 0, "{counters:?}");
}
