//! Against scripted time, rule by rule.

use super::*;
use crate::wire::checksum;
use crate::wire::frame::parse_igmp;
use crate::wire::igmp::emit_v2_query;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const MAC: Mac = [2, 0, 0, 0, 0, 2];
const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const QUERIER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
const A: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
const B: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 2);
const ALL: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const SENDER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 9);

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    V1(Ipv4Addr),
    V2(Ipv4Addr),
    Leave(Ipv4Addr),
    V3(Vec<(RecordKind, Ipv4Addr, Vec<Ipv4Addr>)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    at: u64,
    vlan: Option<u16>,
    dst: Ipv4Addr,
    said: Said,
}

struct Host {
    membership: Membership,
    now: u64,
    sent: Vec<Sent>,
    versions: Vec<u8>,
}

fn read(at: u64, frame: &[u8]) -> Sent {
    assert!((60..=1_514).contains(&frame.len()));
    let packet = parse_igmp(frame).unwrap();
    let ip_at = if packet.vlan.is_some() { 18 } else { 14 };
    // RFC 2236, 2, and RFC 3376, 4: TTL 1 and router alert.
    assert_eq!((frame[ip_at], frame[ip_at + 8]), (0x46, 1));
    assert_eq!(frame[ip_at + 20..ip_at + 24], [0x94, 4, 0, 0]);
    assert_eq!(frame[..6], crate::wire::ethernet::multicast_mac(packet.dst));
    assert_eq!((&frame[6..12], packet.src), (&MAC[..], IP));
    let said = match packet.message.unwrap() {
        Message::V1Report(group) => Said::V1(group),
        Message::V2Report(group) => Said::V2(group),
        Message::Leave(group) => Said::Leave(group),
        Message::V3Report(records) => {
            Said::V3(records.map(|r| (r.kind.unwrap(), r.group, r.sources.collect())).collect())
        }
        message => panic!("{message:?}"),
    };
    match &said {
        Said::V1(group) | Said::V2(group) => assert_eq!(packet.dst, *group),
        Said::Leave(_) => assert_eq!(packet.dst, ALL_ROUTERS),
        Said::V3(_) => assert_eq!(packet.dst, ALL_V3_ROUTERS),
    }
    Sent { at, vlan: packet.vlan, dst: packet.dst, said }
}

impl Host {
    fn new(speak: Speak, wanted: &[Wanted]) -> Self {
        let config =
            MembershipConfig { mac: MAC, ip: IP, speak, robustness: 2, wanted: wanted.to_vec(), seed: 1 };
        Self { membership: Membership::new(&config), now: 0, sent: Vec::new(), versions: Vec::new() }
    }

    /// Joined, with all unsolicited reports behind it.
    fn joined(speak: Speak, wanted: &[Wanted]) -> Self {
        let mut host = Self::new(speak, wanted);
        host.with(|membership, now, out| membership.join(now, out));
        host.until(100 * S);
        host.sent.clear();
        host
    }

    fn with(&mut self, act: impl FnOnce(&mut Membership, u64, &mut dyn FnMut(Output<'_>))) {
        let Self { membership, now, sent, versions } = self;
        act(membership, *now, &mut |output| match output {
            Output::Frame(frame) => sent.push(read(*now, frame)),
            Output::Version { version, .. } => versions.push(version),
        });
    }

    /// Lives until `end`, looking at the clock whenever something is due.
    fn until(&mut self, end: u64) {
        while let Some(due) = self.membership.next_due().filter(|due| *due <= end) {
            assert!(due >= self.now, "{due} was due before {}", self.now);
            self.now = due;
            self.with(|membership, now, out| membership.tick(now, out));
        }
        self.now = end;
    }

    /// Lives on for `time` and tells what was sent meanwhile.
    fn over(&mut self, time: u64) -> Vec<Sent> {
        self.until(self.now + time);
        std::mem::take(&mut self.sent)
    }

    fn hear(&mut self, vlan: Option<u16>, dst: Ipv4Addr, message: &[u8]) {
        let packet = IgmpPacket { vlan, src: QUERIER, dst, message: Message::parse(message) };
        self.with(|membership, now, out| membership.on_packet(now, &packet, out));
    }

    fn query(&mut self, message: &[u8], group: Ipv4Addr) {
        self.hear(None, if group == ALL { ALL_SYSTEMS } else { group }, message);
    }

    fn left(&mut self) -> Vec<Sent> {
        self.with(|membership, now, out| membership.leave(now, out));
        self.over(2 * S)
    }
}

fn wanted(group: Ipv4Addr) -> Wanted {
    Wanted { group, vlan: None, source: None }
}

fn of(group: Ipv4Addr, source: Ipv4Addr) -> Wanted {
    Wanted { source: Some(source), ..wanted(group) }
}

/// `tenths`: 0 makes it a query of version 1.
fn v2(group: Ipv4Addr, tenths: u8) -> Vec<u8> {
    let mut message = vec![0; 8];
    emit_v2_query(&mut message, group, tenths).unwrap();
    message
}

fn v3(group: Ipv4Addr, tenths: u8, sources: &[Ipv4Addr]) -> Vec<u8> {
    let mut message = vec![0x11, tenths, 0, 0];
    message.extend(group.octets());
    message.extend([2, 125]);
    message.extend((sources.len() as u16).to_be_bytes());
    message.extend(sources.iter().flat_map(Ipv4Addr::octets));
    let sum = checksum::of(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

fn state(kind: RecordKind, group: Ipv4Addr, sources: &[Ipv4Addr]) -> Said {
    Said::V3(vec![(kind, group, sources.to_vec())])
}

fn said(sent: &[Sent]) -> Vec<Said> {
    sent.iter().map(|sent| sent.said.clone()).collect()
}

/// RFC 3376, 5.1: at once, and robustness − 1 repeats, each within the unsolicited report interval of 1 s.
#[test]
fn version_3_joins_all_groups_in_one_report_and_repeats_it() {
    let mut host = Host::new(Speak::Auto, &[wanted(A), wanted(B), wanted(A)]);
    host.with(|membership, now, out| membership.join(now, out));
    let sent = host.over(60 * S);
    let join = Said::V3(vec![
        (RecordKind::ChangeToExclude, A, Vec::new()),
        (RecordKind::ChangeToExclude, B, Vec::new()),
    ]);
    assert_eq!(said(&sent), [join.clone(), join]);
    assert_eq!(sent[0].at, 0);
    assert!(0 < sent[1].at && sent[1].at <= S, "{sent:?}");
    // RFC 3376, 5.1: leaving is a change too.
    let leave = Said::V3(vec![
        (RecordKind::ChangeToInclude, A, Vec::new()),
        (RecordKind::ChangeToInclude, B, Vec::new()),
    ]);
    assert!(!host.membership.has_left());
    let sent = host.left();
    assert_eq!(said(&sent), [leave.clone(), leave]);
    assert!(sent[1].at - sent[0].at <= 100 * MS);
    assert!(host.membership.has_left());
    assert_eq!(host.membership.counters().reports_sent, 4);
    assert_eq!(host.membership.counters().leaves_sent, 2);
}

/// RFC 3376, 5.1: INCLUDE() to INCLUDE(S) is ALLOW(S), and back BLOCK(S).
#[test]
fn a_group_with_senders_is_asked_for_with_them() {
    let mut host = Host::new(Speak::V3, &[of(A, SENDER), of(A, OTHER), of(A, SENDER)]);
    host.with(|membership, now, out| membership.join(now, out));
    let sent = host.over(S);
    assert_eq!(sent[0].said, state(RecordKind::AllowNewSources, A, &[SENDER, OTHER]));
    assert_eq!(host.left()[0].said, state(RecordKind::BlockOldSources, A, &[SENDER, OTHER]));
    // Wanted whole by one line and from one sender by the other: wanted whole.
    let mut host = Host::new(Speak::V3, &[of(A, SENDER), wanted(A)]);
    host.with(|membership, now, out| membership.join(now, out));
    assert_eq!(host.sent[0].said, state(RecordKind::ChangeToExclude, A, &[]));
}

/// RFC 2236, 3: at once, repeated within 10 s, each report to its group; a leave to all routers, once.
#[test]
fn version_2_joins_and_leaves_group_by_group() {
    let mut host = Host::new(Speak::V2, &[of(A, SENDER), wanted(B)]);
    host.with(|membership, now, out| membership.join(now, out));
    let sent = host.over(60 * S);
    assert_eq!(said(&sent), [Said::V2(A), Said::V2(B), Said::V2(A), Said::V2(B)]);
    assert!(sent[1].at == 0 && sent[2].at > 0 && sent[3].at <= 10 * S, "{sent:?}");
    assert_eq!(said(&host.left()), [Said::Leave(A), Said::Leave(B)]);
    assert!(host.membership.has_left());
}

/// RFC 3376, 5.2: one answer for all groups, at a random moment within the response time.
#[test]
fn general_queries_of_version_3_are_answered_once_and_in_time() {
    let mut host = Host::joined(Speak::Auto, &[wanted(A), of(B, SENDER)]);
    let whole = Said::V3(vec![
        (RecordKind::ModeIsExclude, A, Vec::new()),
        (RecordKind::ModeIsInclude, B, vec![SENDER]),
    ]);
    let mut moments = Vec::new();
    for _ in 0..50 {
        let asked = host.now;
        host.query(&v3(ALL, 100, &[]), ALL);
        let sent = host.over(20 * S);
        assert_eq!(said(&sent), std::slice::from_ref(&whole));
        assert!(asked < sent[0].at && sent[0].at <= asked + 10 * S);
        moments.push((sent[0].at - asked) / S);
    }
    moments.sort_unstable();
    moments.dedup();
    assert!(moments.len() > 5, "answers are not spread over the response time: {moments:?}");

    // Rule 1: what is pending and sooner answers the second query as well.
    host.query(&v3(ALL, 1, &[]), ALL);
    host.query(&v3(ALL, 255, &[]), ALL);
    host.query(&v3(A, 255, &[]), A);
    assert_eq!(said(&host.over(4_000 * S)), [whole]);
}

/// RFC 3376, 5.2, rules 3 to 5.
#[test]
fn queries_about_groups_and_senders_are_answered_for_what_is_wanted() {
    use RecordKind::{ModeIsExclude, ModeIsInclude};
    let mut host = Host::joined(Speak::V3, &[of(A, SENDER), wanted(B)]);
    let mut answer = |queries: &[Vec<u8>], group| {
        for query in queries {
            host.query(query, group);
        }
        said(&host.over(60 * S))
    };
    assert_eq!(answer(&[v3(A, 10, &[])], A), [state(ModeIsInclude, A, &[SENDER])]);
    assert_eq!(answer(&[v3(B, 10, &[])], B), [state(ModeIsExclude, B, &[])]);
    // INCLUDE(A) asked about B: their intersection; none: silence. EXCLUDE() asked about B: B.
    assert_eq!(answer(&[v3(A, 10, &[OTHER, SENDER])], A), [state(ModeIsInclude, A, &[SENDER])]);
    assert_eq!(answer(&[v3(A, 10, &[OTHER])], A), []);
    assert_eq!(answer(&[v3(B, 10, &[OTHER])], B), [state(ModeIsInclude, B, &[OTHER])]);
    // Rule 4: asked about the whole group before or after, the whole is said, once.
    assert_eq!(answer(&[v3(B, 10, &[OTHER]), v3(B, 10, &[])], B), [state(ModeIsExclude, B, &[])]);
    assert_eq!(answer(&[v3(B, 10, &[]), v3(B, 10, &[OTHER])], B), [state(ModeIsExclude, B, &[])]);
    // Rule 5: senders add up.
    assert_eq!(
        answer(&[v3(B, 10, &[OTHER]), v3(B, 10, &[SENDER, OTHER])], B),
        [state(ModeIsInclude, B, &[OTHER, SENDER])]
    );
    // More senders than are remembered, in one query or in many: the whole is said.
    let many: Vec<_> = (0..80).map(|last| Ipv4Addr::new(10, 2, 0, last)).collect();
    assert_eq!(answer(&[v3(B, 10, &many)], B), [state(ModeIsExclude, B, &[])]);
    let halves = [v3(B, 10, &many[..40]), v3(B, 10, &many[40..])];
    assert_eq!(answer(&halves, B), [state(ModeIsExclude, B, &[])]);
    assert_eq!(answer(&[v3(Ipv4Addr::new(239, 9, 9, 9), 10, &[])], Ipv4Addr::new(239, 9, 9, 9)), []);
    let counters = host.membership.counters();
    assert_eq!((counters.group_queries, counters.of_others), (14, 1));
}

/// RFC 2236, 3: a delay that runs is replaced only where it exceeds the new response time.
#[test]
fn delays_of_version_2_are_shortened_and_never_prolonged() {
    let mut host = Host::joined(Speak::V2, &[wanted(A), wanted(B)]);
    for _ in 0..50 {
        let asked = host.now;
        host.query(&v2(ALL, 200), ALL);
        host.query(&v2(B, 2), B);
        host.query(&v2(ALL, 250), ALL);
        let mut sent = host.over(60 * S);
        sent.sort_by_key(|sent| sent.dst);
        assert_eq!(said(&sent), [Said::V2(A), Said::V2(B)]);
        assert!(sent[0].at <= asked + 20 * S);
        assert!(asked < sent[1].at && sent[1].at <= asked + 200 * MS);
    }
}

/// RFC 3376, 7.2.1: the querier's version for as long as it is heard, and 260 s more; a change cancels what is pending.
#[test]
fn an_older_querier_is_spoken_to_in_its_version() {
    let mut host = Host::joined(Speak::Auto, &[wanted(A)]);
    assert_eq!(host.membership.version(), 3);
    host.query(&v3(ALL, 255, &[]), ALL);
    // Not general: it says nothing about the querier's version.
    host.query(&v2(A, 255), A);
    assert!(host.versions.is_empty());
    host.query(&v2(ALL, 100), ALL);
    assert_eq!((host.membership.version(), &host.versions[..]), (2, &[2][..]));
    assert_eq!(said(&host.over(20 * S)), [Said::V2(A)]);
    // Queries of version 3 change nothing, and are answered in version 2.
    host.query(&v3(ALL, 100, &[]), ALL);
    host.query(&v3(A, 100, &[SENDER]), A);
    assert_eq!(said(&host.over(20 * S)), [Said::V2(A)]);
    // Version 1 is older still, and knows no leave.
    let heard = host.now;
    host.query(&v2(ALL, 0), ALL);
    assert_eq!(said(&host.over(20 * S)), [Said::V1(A)]);
    host.query(&v2(ALL, 0), ALL);
    assert_eq!(host.versions, [2, 1]);
    host.until(heard + 260 * S);
    assert_eq!(host.versions, [2, 1]);
    host.until(heard + 290 * S);
    assert_eq!((host.membership.version(), &host.versions[..]), (3, &[2, 1, 3][..]));
    host.sent.clear();
    host.query(&v2(ALL, 0), ALL);
    assert_eq!(host.left(), []);
    assert!(host.membership.has_left());
}

#[test]
fn a_fixed_version_is_kept() {
    let mut host = Host::joined(Speak::V3, &[wanted(A)]);
    for old in [v2(ALL, 0), v2(ALL, 50)] {
        host.query(&old, ALL);
        assert_eq!(said(&host.over(20 * S)), [state(RecordKind::ModeIsExclude, A, &[])]);
    }
    let mut host = Host::joined(Speak::V2, &[wanted(A)]);
    host.query(&v3(ALL, 50, &[]), ALL);
    assert_eq!(said(&host.over(20 * S)), [Said::V2(A)]);
    // RFC 2236, 4.
    host.query(&v2(ALL, 0), ALL);
    assert_eq!(said(&host.over(20 * S)), [Said::V1(A)]);
    assert_eq!(host.versions, [1]);
}

#[test]
fn each_vlan_is_an_interface_of_its_own() {
    let in_vlan = |vlan, group| Wanted { vlan: Some(vlan), ..wanted(group) };
    let mut host = Host::new(Speak::Auto, &[in_vlan(101, A), in_vlan(102, B)]);
    host.with(|membership, now, out| membership.join(now, out));
    let join = |group| state(RecordKind::ChangeToExclude, group, &[]);
    let at_once: Vec<_> = host.sent.iter().map(|sent| (sent.vlan, sent.said.clone())).collect();
    assert_eq!(at_once, [(Some(101), join(A)), (Some(102), join(B))]);
    host.over(10 * S);
    host.hear(Some(102), ALL_SYSTEMS, &v2(ALL, 10));
    host.hear(None, ALL_SYSTEMS, &v2(ALL, 10));
    host.hear(Some(7), ALL_SYSTEMS, &v2(ALL, 10));
    let sent = host.over(10 * S);
    assert_eq!(
        sent.iter().map(|sent| (sent.vlan, sent.said.clone())).collect::<Vec<_>>(),
        [(Some(102), Said::V2(B))]
    );
    host.hear(Some(101), ALL_SYSTEMS, &v3(ALL, 10, &[]));
    assert_eq!(host.over(10 * S)[0].said, state(RecordKind::ModeIsExclude, A, &[]));
    assert_eq!(host.membership.counters().other_vlan, 2);
    assert_eq!(host.membership.version(), 2);
}

#[test]
fn what_is_not_for_us_is_counted_and_not_answered() {
    let mut host = Host::joined(Speak::Auto, &[wanted(A), wanted(ALL_SYSTEMS)]);
    host.hear(None, A, &v3(ALL, 10, &[]));
    host.hear(None, Ipv4Addr::new(10, 0, 0, 77), &v3(A, 10, &[]));
    assert_eq!(host.over(60 * S), []);
    assert_eq!(host.membership.counters().misdirected, 2);
    // RFC 3376, 4.1.12: any address of ours is right. And 224.0.0.1 is never reported (RFC 3376, 5).
    host.hear(None, IP, &v3(ALL, 10, &[]));
    assert_eq!(said(&host.over(60 * S)), [state(RecordKind::ModeIsExclude, A, &[])]);
    let mut report = vec![0; 8];
    emit_v2_report(&mut report, A).unwrap();
    host.hear(None, A, &report);
    host.hear(None, A, &[0x16, 0, 0, 0, 0, 0, 0, 0]);
    host.hear(None, A, &[0xFF, 0, 0, 0xFF]);
    let counters = host.membership.counters();
    assert_eq!((counters.of_others, counters.unreadable), (1, 2));
    // Whoever has left is not there any more, and who has never joined has nothing to leave.
    host.query(&v3(ALL, 10, &[]), ALL);
    assert_eq!(host.left().len(), 2);
    host.query(&v3(ALL, 10, &[]), ALL);
    assert_eq!(host.over(60 * S), []);
    assert_eq!(Host::new(Speak::Auto, &[wanted(A)]).left(), []);
}

#[test]
fn a_flood_of_queries_makes_no_flood_of_reports() {
    for speak in [Speak::V3, Speak::V2, Speak::Auto] {
        let mut host = Host::joined(speak, &[wanted(A), wanted(B)]);
        let began = host.now;
        for i in 0..100_000_u64 {
            host.until(began + i * 100_000);
            let (message, group) = match i % 5 {
                0 => (v3(ALL, 0, &[]), ALL),
                1 => (v3(A, 0, &[OTHER]), A),
                2 => (v3(B, 0, &[]), B),
                // 0: version 1, and now and then version 2.
                _ => (v2(ALL, (i / 25_000) as u8 % 2), ALL),
            };
            host.query(&message, group);
        }
        let reports = host.over(20 * S).len();
        // 10 s of ten answers a second of each of three timers.
        assert!((1..=310).contains(&reports), "{speak:?}: {reports}");
        assert!(speak == Speak::Auto || host.membership.counters().answers_held > 0, "{speak:?}");
    }
}

#[test]
fn nothing_that_is_heard_makes_it_panic() {
    let mut random = Random::new(42);
    for speak in [Speak::V3, Speak::V2, Speak::Auto] {
        let mut host = Host::joined(speak, &[wanted(A), of(B, SENDER)]);
        let messages = [v3(ALL, 1, &[]), v3(A, 9, &[OTHER, SENDER]), v2(B, 3), v2(ALL, 0)];
        for _ in 0..20_000 {
            let mut message = messages[random.up_to(4) as usize - 1].clone();
            for _ in 0..random.up_to(3) {
                let at = random.up_to(message.len() as u64) as usize - 1;
                message[at] = random.up_to(256) as u8;
            }
            message.truncate(random.up_to(message.len() as u64 + 4) as usize);
            if random.up_to(4) > 1 && message.len() >= 8 {
                message[2..4].fill(0);
                let sum = checksum::of(&message);
                message[2..4].copy_from_slice(&sum.to_be_bytes());
            }
            let dst = [ALL_SYSTEMS, A, B, IP][random.up_to(4) as usize - 1];
            host.hear(None, dst, &message);
            host.over(random.up_to(50 * MS));
        }
        let counters = host.membership.counters();
        assert!(counters.unreadable > 1_000 && counters.general_queries > 100, "{counters:?}");
    }
}
