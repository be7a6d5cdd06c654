//! ARP and IGMP for the ports that no kernel serves: carries frames between the loop and the machines that know what to
//! say ([`super::membership`], [`super::neighbour`]), gives them the time, and writes their notices into the log.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use super::membership::{self, Membership, MembershipConfig, Speak, Wanted};
use super::neighbour::{self, Neighbour, Notice, Own, Peer};
use crate::config::{Config, Igmp, StrategyKind};
use crate::pipeline::board::Row;
use crate::pipeline::frames::{self, ControlEnd, FEED_PORT, ORDER_PORT, PortIndex, ToLoop};
use crate::pipeline::worker::{Handles, Worker};
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
    end: ControlEnd,
    speakers: Vec<Speaker>,
    began: Instant,
    started: bool,
    next_hop: NextHop,
}

/// The next hop as the log calls it, and as the loop is still to be told.
#[derive(Debug)]
struct NextHop {
    ip: Ipv4Addr,
    untold: Option<Option<Mac>>,
}

/// Puts `worker` on ports that have the hardware addresses `macs`, first that of the feed port, then that of the port
/// that orders leave by; the same twice where that is one port.
pub fn attach(config: &Config, macs: [Mac; 2], worker: &mut Worker, handles: &mut Handles) {
    let (carrier, end) = frames::link();
    let order_mac = config.gateway.and_then(|gateway| gateway.local_mac).unwrap_or(macs[1]);
    worker.on_ports(carrier, [macs[0], order_mac], config.gateway.and_then(|gateway| gateway.mac));
    handles.port = Some(PortControl::new(config, macs, end));
}

impl PortControl {
    /// Silent until the first [`PortControl::round`].
    #[must_use]
    pub fn new(config: &Config, macs: [Mac; 2], end: ControlEnd) -> Self {
        let one_port = config.port.feed == config.port.orders;
        let (on_feed, mut on_orders, peer) = addresses(config, macs);
        let membership = membership(config, macs[0]);
        let mut speakers = Vec::new();
        if one_port {
            // One address may be named twice; the gateway's section may give it a hardware address of its own.
            on_orders.extend(on_feed);
            on_orders.sort_by_key(|own| (own.ip, own.vlan));
            on_orders.dedup_by_key(|own| (own.ip, own.vlan));
            let neighbour = Neighbour::new(&on_orders, peer);
            speakers.push(Speaker { port: FEED_PORT, membership, neighbour });
        } else {
            speakers.push(Speaker { port: FEED_PORT, membership, neighbour: Neighbour::new(&on_feed, None) });
            let neighbour = Neighbour::new(&on_orders, peer);
            speakers.push(Speaker { port: ORDER_PORT, membership: None, neighbour });
        }
        let ip = peer.map_or(Ipv4Addr::UNSPECIFIED, |peer| peer.ip);
        Self { end, speakers, began: Instant::now(), started: false, next_hop: NextHop { ip, untold: None } }
    }

    /// To be called every few tens of ms: takes up what the loop handed over and sends what is due.
    pub fn round(&mut self) {
        self.round_at(self.now());
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn round_at(&mut self, now: u64) {
        let Self { end, speakers, started, next_hop, .. } = self;
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
        next_hop.tell(&mut end.down);
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
        rows.extend(memberships().map(|membership| ("igmp_version", u64::from(membership.version()))));
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
        neighbour::Output::NextHop(mac) => next_hop.untold = Some(mac),
        neighbour::Output::Notice(notice) => next_hop.log(notice),
    }
}

impl NextHop {
    /// Tells the loop; where there is no room, in the next round.
    fn tell(&mut self, down: &mut ToLoop) {
        if let Some(mac) = self.untold
            && down.next_hop(mac)
        {
            self.untold = None;
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

/// Our addresses on the feed port and on the port that orders leave by, and whom to resolve on the latter.
fn addresses(config: &Config, macs: [Mac; 2]) -> (Vec<Own>, Vec<Own>, Option<Peer>) {
    let lines = std::iter::once(&config.feed.line_a).chain(config.feed.line_b.as_ref());
    let on_feed = lines.filter_map(|line| Some(Own { ip: config.port.ip?, mac: macs[0], vlan: line.vlan }));
    let on_feed = on_feed.fold(Vec::new(), |mut all, own| {
        if !all.contains(&own) {
            all.push(own);
        }
        all
    });
    let Some(gateway) = &config.gateway else { return (on_feed, Vec::new(), None) };
    let from = Own { ip: gateway.local_ip, mac: gateway.local_mac.unwrap_or(macs[1]), vlan: gateway.vlan };
    let to_resolve = gateway.mac.is_none() && config.strategy.kind != StrategyKind::None;
    let peer = Peer { ip: gateway.next_hop.unwrap_or(gateway.ip), vlan: gateway.vlan, from };
    (on_feed, vec![from], to_resolve.then_some(peer))
}

/// What is joined on the feed port, if anything.
fn membership(config: &Config, mac: Mac) -> Option<Membership> {
    let speak = match config.port.igmp {
        Igmp::Off => return None,
        Igmp::Auto => Speak::Auto,
        Igmp::V3 => Speak::V3,
        Igmp::V2 => Speak::V2,
    };
    let one_port = config.port.feed == config.port.orders;
    let of_orders = config.gateway.filter(|_| one_port).map(|gateway| gateway.local_ip);
    let lines = std::iter::once(&config.feed.line_a).chain(config.feed.line_b.as_ref());
    let [a, b, c, d, e, f] = mac;
    Some(Membership::new(&MembershipConfig {
        mac,
        ip: config.port.ip.or(of_orders).unwrap_or(Ipv4Addr::UNSPECIFIED),
        speak,
        robustness: config.port.igmp_robustness,
        wanted: lines
            .map(|line| Wanted { group: line.group, vlan: line.vlan, source: line.source })
            .collect(),
        // Hosts that start together shall not speak together; what distinguishes them is their address.
        seed: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
    }))
}

#[cfg(test)]
mod tests;
