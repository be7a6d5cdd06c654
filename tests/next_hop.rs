//! A gateway whose hardware address is not configured: nothing leaves until ARP has told it, then orders go there, and
//! elsewhere when it moves. The test is the switch between the program and the exchange, and says who is where.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use wirebook::config::{Config, Gateway};
use wirebook::control::port::PortControl;
use wirebook::nic::replay::{End, LinkConfig, LinkRx, ReplayTx, pair};
use wirebook::nic::{RxBurst, RxQueue, TxQueue};
use wirebook::order::venue::Venue as Session;
use wirebook::pipeline::Pipeline;
use wirebook::stats::clock::Clock;
use wirebook::stop::StopFlag;
use wirebook::strategy::imbalance::Imbalance;
use wirebook::venue::{Setup, Venue, exchange_config};
use wirebook::wire::arp::{Operation, Packet};
use wirebook::wire::ethernet::{BROADCAST, Mac};
use wirebook::wire::frame::{emit_arp, parse_arp, parse_igmp, parse_udp};
use wirebook::wire::igmp::Message;
use wirebook::worker::{self, Worker, assemble};

/// ns in one step, of the exchange's time and of the loop's. The control side goes by the machine's clock.
const STEP: u64 = 100_000;

const US: Mac = [2, 0, 0, 0, 0, 2];
const GATEWAY: Mac = [2, 0, 0, 0, 0, 1];
const SPARE: Mac = [2, 0, 0, 0, 0, 7];

struct Switch {
    venue: Venue,
    venue_side: End,
    /// The switch's ends of both cables.
    to_venue: End,
    to_us: End,
    time: Rc<Cell<u64>>,
    pipeline: Pipeline<LinkRx, ReplayTx, Imbalance, Session, Rc<Cell<u64>>>,
    control: PortControl,
    gateway: Gateway,
    /// Who answers for the gateway's address.
    station: Option<Mac>,
    /// Requests for the gateway's address, and reports of groups.
    asked: u32,
    reports: u32,
    steps: u64,
}

fn send(tx: &mut impl TxQueue, frame: &[u8]) {
    let mut slot = tx.reserve().unwrap();
    slot[..frame.len()].copy_from_slice(frame);
    assert!(tx.send(slot, frame.len() as u16).is_ok());
}

impl Switch {
    fn new() -> Self {
        let text = include_str!("../config/demo.toml");
        let venue_config = Config::parse(text, "venue").unwrap();
        let text = text
            .replace("mac = \"02:00:00:00:00:01\"\n", "")
            .replace("cooldown_us = 20000", "cooldown_us = 200");
        let config = Config::parse(&text, "ours").unwrap();
        let gateway = config.gateway.clone().unwrap();
        assert_eq!(gateway.mac, None);
        let exchange = exchange_config(200_000, 40, 1, 0);
        let venue = Venue::new(&Setup::new(&venue_config, exchange, StopFlag::new())).unwrap();
        let cable = LinkConfig { ring: 4096, buffers: 8192, slot_len: 2048 };
        let (to_us, End { rx, tx }) = pair(cable);
        let (venue_side, to_venue) = pair(cable);
        let (clock, time) = (Clock::from_hz(1_000_000_000).unwrap(), Rc::new(Cell::new(0)));
        let (mut worker, mut handles) = assemble(&config, US, clock).unwrap();
        worker::attach(&config, &[US], std::slice::from_mut(&mut worker), &mut handles);
        let Worker::Imbalance(parts) = worker else { panic!("the demo trades on imbalance") };
        Self {
            venue,
            venue_side,
            to_venue,
            to_us,
            pipeline: Pipeline::with_time(*parts, vec![rx], tx, Rc::clone(&time)),
            time,
            control: handles.port.take().unwrap(),
            gateway,
            station: None,
            asked: 0,
            reports: 0,
            steps: 0,
        }
    }

    /// Some steps; the hardware addresses that datagrams went to meanwhile.
    fn run(&mut self, steps: u64) -> Vec<Mac> {
        let mut orders = Vec::new();
        for _ in 0..steps {
            self.steps += 1;
            self.time.set(self.steps * STEP);
            let End { rx, tx } = &mut self.venue_side;
            while self.venue.pump(rx, tx, self.steps * STEP) {}
            let burst = self.to_venue.rx.poll();
            for at in 0..burst.len() {
                send(&mut self.to_us.tx, burst.frame(at).bytes);
            }
            drop(burst);
            while self.pipeline.poll() {}
            self.pipeline.tick(self.steps * STEP);
            self.take_ours(&mut orders);
            self.control.round();
        }
        orders
    }

    fn take_ours(&mut self, orders: &mut Vec<Mac>) {
        let burst = self.to_us.rx.poll();
        for at in 0..burst.len() {
            let frame = burst.frame(at).bytes;
            if let Some((packet, _)) = parse_arp(frame) {
                let asked = packet.operation == Operation::Request && packet.target_ip == self.gateway.ip;
                self.asked += u32::from(asked);
                // A request to one station is heard by no other.
                let heard = |mac: &Mac| frame[..6] == BROADCAST || frame[..6] == *mac;
                if let Some(mac) = self.station.filter(heard)
                    && asked
                {
                    let mut reply = [0; 60];
                    emit_arp(&mut reply, US, None, &packet.reply(mac)).unwrap();
                    send(&mut self.to_us.tx, &reply);
                }
            } else if let Ok(packet) = parse_igmp(frame) {
                assert!(matches!(packet.message, Ok(Message::V3Report(_))), "{packet:?}");
                self.reports += 1;
            } else {
                orders.push(parse_udp(frame, 0).unwrap().dst_mac);
                send(&mut self.to_venue.tx, frame);
            }
        }
    }

    /// Goes on until orders go to `mac`.
    fn until_orders_go_to(&mut self, mac: Mac) -> Vec<Mac> {
        let mut all = Vec::new();
        for _ in 0..2_000 {
            all.extend(self.run(10));
            if all.last() == Some(&mac) {
                return all;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("no order went to {mac:02x?} but to {all:02x?}");
    }
}

#[test]
fn no_order_leaves_before_the_next_hop_is_known_and_then_all_go_there() {
    let mut switch = Switch::new();
    // The strategy would trade, and may not.
    assert_eq!(switch.run(4_000), [] as [Mac; 0]);
    let tally = switch.pipeline.tally();
    let refused = tally.risk.rows().iter().find(|(name, _)| *name == "refused_session").unwrap().1;
    assert!(refused > 0, "the strategy wanted nothing: this shows nothing");
    assert_eq!((tally.session.enters, tally.session.heartbeats), (0, 0));

    // Asked again, and answered.
    switch.station = Some(GATEWAY);
    let orders = switch.until_orders_go_to(GATEWAY);
    assert!(orders.iter().all(|mac| *mac == GATEWAY), "{orders:02x?}");

    // A spare takes over and says so: one request to the one that was known, then one to all.
    switch.station = Some(SPARE);
    let mut frame = [0; 60];
    let ip = switch.gateway.ip;
    emit_arp(&mut frame, BROADCAST, None, &Packet::request(SPARE, ip, ip)).unwrap();
    send(&mut switch.to_us.tx, &frame);
    let orders = switch.until_orders_go_to(SPARE);
    let moved = orders.iter().position(|mac| *mac == SPARE).unwrap();
    assert!(
        orders[..moved].iter().all(|mac| *mac == GATEWAY) && orders[moved..].iter().all(|mac| *mac == SPARE)
    );
    assert!(switch.run(2_000).iter().all(|mac| *mac == SPARE));
    assert!(switch.asked >= 4 && switch.reports >= 1, "{} asked, {} reports", switch.asked, switch.reports);
    let tally = switch.pipeline.tally();
    assert_eq!((tally.carried.ring_full, tally.carried.unsent, tally.session.gaps), (0, 0, 0));
}
