//! ARP and IGMP for the ports that no kernel serves: carries frames between the loop and the machines that know what to
//! say ([`super::membership`], [`super::neighbour`]), gives them the time, and writes their notices into the log.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use super::membership::{self, Membership, MembershipConfig, Speak, Wanted};
use super::neighbour::{self, Neighbour, Notice, Own, Peer};
use crate::config::{Config, Igmp, Line, PortRef, StrategyKind};
use crate::pipeline::board::Row;
use crate::pipeline::frames::{ControlEnd, PortIndex, ToLoop};
use crate::wire::ethernet::Mac;
use crate::wire::frame::{Reject, parse_arp, parse_igmp};

/// Most frames taken up in one round: what the rings hold of the shortest, about.
const MOST_FRAMES: usize = 2_048;

/// How long leaving may take: the repeats of the largest robustness, and a loop that is off its CPU.
const LEAVE: Duration = Duration::from_secs(1);

/// What one port says and hears.
#[derive(Debug)]
struct Speaker {
    port: PortIndex,
    membership: Option<Membership>,
    neighbour: Neighbour,
}

/// What the main lcore holds of the ports.
#[derive(Debug)]
pub struct PortControl {
    /// To the worker that hands frames up, and sends ours.
    end: ControlEnd,
    /// To the others, which are only told the next hop.
    others: Vec<ControlEnd>,
    speakers: Vec<Speaker>,
    began: Instant,
    started: bool,
    next_hop: NextHop,
}

/// The next hop as the log calls it, and as the loop is still to be told.
#[derive(Debug)]
struct NextHop {
    ip: Ipv4Addr,
    known: Option<Mac>,
    /// For each worker: it has not been told yet.
    untold: Vec<bool>,
}

impl PortControl {
    /// Silent until the first [`PortControl::round`]. `macs` are the ports' hardware addresses, in the order of
    /// [`Port::distinct`](crate::config::Port::distinct); `ends` lead to the workers, of which the
    /// first hands frames up. `None` without a worker.
    #[must_use]
    pub fn new(config: &Config, macs: &[Mac], mut ends: Vec<ControlEnd>) -> Option<Self> {
        if ends.is_empty() {
            return None;
        }
        let end = ends.remove(0);
        let plan = Plan { config, macs };
        let peer = plan.peer();
        let speakers = (config.port.distinct().into_iter().zip(0..))
            .map(|(port, index)| Speaker {
                port: index,
                membership: plan.membership(port),
                neighbour: Neighbour::new(
                    &plan.addresses(port),
                    peer.filter(|_| *port == config.port.orders),
                ),
            })
            .collect();
        let ip = peer.map_or(Ipv4Addr::UNSPECIFIED, |peer| peer.ip);
        let next_hop = NextHop { ip, known: None, untold: vec![false; 1 + ends.len()] };
        Some(Self { end, others: ends, speakers, began: Instant::now(), started: false, next_hop })
    }

    /// To be called every few tens of ms: takes up what the loop handed over and sends what is due.
    pub fn round(&mut self) {
        self.round_at(self.now());
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn round_at(&mut self, now: u64) {
        let Self { end, others, speakers, started, next_hop, .. } = self;
        if !*started {
            *started = true;
            for speaker in &mut *speakers {
                speaker.start(now, &mut end.down, next_hop);
            }
        }
        for _ in 0..MOST_FRAMES {
            let Some((port, frame)) = end.up.take() else { break };
            if let Some(speaker) = speakers.iter_mut().find(|speaker| speaker.port == port) {
                speaker.on_frame(now, frame, &mut end.down, next_hop);
            }
        }
        for speaker in speakers {
            speaker.tick(now, &mut end.down, next_hop);
        }
        next_hop.tell(std::iter::once(&mut end.down).chain(others.iter_mut().map(|end| &mut end.down)));
    }

    /// Leaves all groups, and returns when the loop has sent that, or cannot.
    pub fn leave(&mut self) {
        let began = Instant::now();
        let now = self.now();
        for speaker in &mut self.speakers {
            if let Some(membership) = &mut speaker.membership {
                membership.leave(now, &mut |output| said(speaker.port, output, &mut self.end.down));
            }
        }
        while began.elapsed() < LEAVE {
            let said = self.has_left() && self.end.down.is_taken();
            if said || self.end.down.is_abandoned() {
                break;
            }
            thread::sleep(Duration::from_millis(2));
            self.round();
        }
    }

    fn has_left(&self) -> bool {
        self.speakers.iter().filter_map(|speaker| speaker.membership.as_ref()).all(Membership::has_left)
    }

    /// All counters, those of two ports together.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let memberships = || self.speakers.iter().filter_map(|speaker| speaker.membership.as_ref());
        let neighbours = || self.speakers.iter().map(|speaker| &speaker.neighbour);
        let mut rows = vec![("carry_down_full", self.end.down.full())];
        rows.extend(sum(memberships().map(|membership| membership.counters().rows())));
        // The oldest that is spoken on any port.
        let version = memberships().map(|membership| u64::from(membership.version())).min();
        rows.extend(version.map(|version| ("igmp_version", version)));
        rows.extend(sum(neighbours().map(|neighbour| neighbour.counters().rows())));
        let known = neighbours().filter(|neighbour| neighbour.next_hop().is_some()).count();
        rows.push(("arp_next_hop_known", known as u64));
        rows
    }
}

fn sum<const N: usize>(tables: impl Iterator<Item = [Row; N]>) -> impl Iterator<Item = Row> {
    let total = tables.reduce(|mut total, table| {
        for ((_, sum), (_, value)) in total.iter_mut().zip(table) {
            *sum += value;
        }
        total
    });
    total.into_iter().flatten()
}

impl Speaker {
    fn start(&mut self, now: u64, down: &mut ToLoop, next_hop: &mut NextHop) {
        let port = self.port;
        if let Some(membership) = &mut self.membership {
            membership.join(now, &mut |output| said(port, output, down));
        }
        self.neighbour.start(now, &mut |output| heard(port, output, down, next_hop));
    }

    fn on_frame(&mut self, now: u64, frame: &[u8], down: &mut ToLoop, next_hop: &mut NextHop) {
        let port = self.port;
        if let Some((packet, vlan)) = parse_arp(frame) {
            let out = &mut |output: neighbour::Output<'_>| heard(port, output, down, next_hop);
            return self.neighbour.on_packet(now, &packet, vlan, out);
        }
        match (parse_igmp(frame), &mut self.membership) {
            (Ok(packet), Some(membership)) => {
                membership.on_packet(now, &packet, &mut |output| said(port, output, down));
            }
            (Err(Reject::OtherEtherType), _) => self.neighbour.on_unreadable(),
            (Err(_), Some(membership)) => membership.on_unreadable(),
            (_, None) => {}
        }
    }

    fn tick(&mut self, now: u64, down: &mut ToLoop, next_hop: &mut NextHop) {
        let port = self.port;
        if let Some(membership) = &mut self.membership {
            membership.tick(now, &mut |output| said(port, output, down));
        }
        self.neighbour.tick(now, &mut |output| heard(port, output, down, next_hop));
    }
}

/// What IGMP wants done.
fn said(port: PortIndex, output: membership::Output<'_>, down: &mut ToLoop) {
    match output {
        // A frame that finds no room is lost as on a wire, and counted: everything is repeated or asked for again.
        membership::Output::Frame(frame) => _ = down.send(port, frame),
        membership::Output::Version { vlan, version } => {
            tracing::info!(vlan, version, "IGMP: speaking the querier's version");
        }
    }
}

/// What ARP wants done.
fn heard(port: PortIndex, output: neighbour::Output<'_>, down: &mut ToLoop, next_hop: &mut NextHop) {
    match output {
        neighbour::Output::Frame(frame) => _ = down.send(port, frame),
        neighbour::Output::NextHop(mac) => next_hop.set(mac),
        neighbour::Output::Notice(notice) => next_hop.log(notice),
    }
}

impl NextHop {
    fn set(&mut self, mac: Option<Mac>) {
        self.known = mac;
        self.untold.fill(true);
    }

    /// Tells the loops; where there is no room, in the next round.
    fn tell<'d>(&mut self, downs: impl Iterator<Item = &'d mut ToLoop>) {
        for (untold, down) in self.untold.iter_mut().zip(downs) {
            *untold = *untold && !down.next_hop(self.known);
        }
    }

    fn log(&self, notice: Notice) {
        let ip = self.ip;
        match notice {
            Notice::Resolved(mac) => tracing::info!(%ip, mac = hex(mac), "ARP: the next hop is known"),
            Notice::Silent(times) => {
                tracing::warn!(%ip, times, "ARP: the next hop does not answer: no order leaves");
            }
            Notice::Changed { from, to } => {
                tracing::warn!(%ip, from = hex(from), to = hex(to), "ARP: the next hop is another station now");
            }
            Notice::Lost => {
                tracing::error!(%ip, "ARP: the next hop no longer answers: no order leaves");
            }
            Notice::Contested(mac) => tracing::warn!(
                %ip,
                claimed_by = hex(mac),
                "ARP: another station claims to be the next hop: asking the one that is known"
            ),
            Notice::Conflict(ip, mac) => {
                tracing::error!(%ip, used_by = hex(mac), "ARP: another station uses our address");
            }
        }
    }
}

fn hex(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// What the configuration says of each port.
struct Plan<'c> {
    config: &'c Config,
    macs: &'c [Mac],
}

impl Plan<'_> {
    fn mac(&self, port: &PortRef) -> Mac {
        self.macs.get(usize::from(self.config.port.place(port))).copied().unwrap_or_default()
    }

    /// The lines that come by `port`.
    fn lines(&self, port: &PortRef) -> Vec<&Line> {
        let Config { port: ports, feed, .. } = self.config;
        let a = (*port == ports.feed).then_some(&feed.line_a);
        let b = feed.line_b.as_ref().filter(|_| *port == ports.line_b);
        a.into_iter().chain(b).collect()
    }

    /// Our address beside the gateway's section.
    fn ip(&self, port: &PortRef) -> Option<Ipv4Addr> {
        let ports = &self.config.port;
        let a = ports.ip.filter(|_| *port == ports.feed);
        a.or(ports.line_b_ip.filter(|_| *port == ports.line_b))
    }

    fn gateway(&self, port: &PortRef) -> Option<Own> {
        let gateway = self.config.gateway.as_ref().filter(|_| *port == self.config.port.orders)?;
        let mac = gateway.local_mac.unwrap_or_else(|| self.mac(port));
        Some(Own { ip: gateway.local_ip, mac, vlan: gateway.vlan })
    }

    /// Our addresses on `port`. One may be named twice; the gateway's section, which comes first, may give it a hardware
    /// address of its own.
    fn addresses(&self, port: &PortRef) -> Vec<Own> {
        let on_lines = (self.lines(port).into_iter())
            .filter_map(|line| Some(Own { ip: self.ip(port)?, mac: self.mac(port), vlan: line.vlan }));
        let mut all: Vec<_> = self.gateway(port).into_iter().chain(on_lines).collect();
        all.sort_by_key(|own| (own.ip, own.vlan));
        all.dedup_by_key(|own| (own.ip, own.vlan));
        all
    }

    /// Whom to resolve on the port that orders leave by.
    fn peer(&self) -> Option<Peer> {
        let gateway = self.config.gateway.as_ref()?;
        let to_resolve = gateway.mac.is_none() && self.config.strategy.kind != StrategyKind::None;
        let from = self.gateway(&self.config.port.orders).filter(|_| to_resolve)?;
        Some(Peer { ip: gateway.next_hop.unwrap_or(gateway.ip), vlan: gateway.vlan, from })
    }

    /// What is joined on `port`, if anything.
    fn membership(&self, port: &PortRef) -> Option<Membership> {
        let speak = match self.config.port.igmp {
            Igmp::Off => return None,
            Igmp::Auto => Speak::Auto,
            Igmp::V3 => Speak::V3,
            Igmp::V2 => Speak::V2,
        };
        let lines = self.lines(port);
        if lines.is_empty() {
            return None;
        }
        let mac = self.mac(port);
        let [a, b, c, d, e, f] = mac;
        let of_orders = self.gateway(port).map(|own| own.ip);
        Some(Membership::new(&MembershipConfig {
            mac,
            ip: self.ip(port).or(of_orders).unwrap_or(Ipv4Addr::UNSPECIFIED),
            speak,
            robustness: self.config.port.igmp_robustness,
            wanted: (lines.iter())
                .map(|line| Wanted { group: line.group, vlan: line.vlan, source: line.source })
                .collect(),
            // Hosts that start together shall not speak together; what distinguishes them is their address.
            seed: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
        }))
    }
}

#[cfg(test)]
mod tests;
