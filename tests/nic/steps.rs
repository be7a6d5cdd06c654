//! What is tried with each NIC, in this order, in one guest. A step panics with what is wrong.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Instant;

use exchange::frames::{self, Addressing, Framer};

use crate::bed::{Bed, FEED_PORT, GROUPS, Handler, Left, ORDER_PORT, RING, SYMBOLS};
use crate::cable::{Arp, Cable, GATEWAY, STRANGER, US, general_query, igmp, reported};
use crate::guest::{LONG, Model, SHORT};
use crate::table::Row;

const WRAPPER: &str = "dpdk-devbind-wrapper.sh";

/// Stray frames of each kind.
const STRAYS: u64 = 40;

/// All steps with one NIC.
pub(crate) fn all(bed: &mut Bed, row: &mut Row) {
    row.step("bind", || bind(bed));
    trade(bed, row);
    disturb(bed, row);
    row.step("restart", || restart(bed));
    row.step("restore", || restore(bed));
}

/// Our wrapper takes the NIC from the kernel.
fn bind(bed: &mut Bed) {
    let addresses = bed.addresses();
    for (address, model) in addresses.iter().zip(bed.subject.models) {
        assert_eq!(bed.driver(address), model.kernel_driver(), "the kernel's driver does not have it");
        assert_ne!(bed.interfaces(address), "", "the kernel has no interface of it");
    }
    bed.guest.must(&format!("{WRAPPER} bind {}", addresses.join(" ")));
    let status = bed.guest.must(&format!("{WRAPPER} status"));
    for (address, model) in addresses.iter().zip(bed.subject.models) {
        assert_eq!(bed.driver(address), "vfio-pci");
        assert_eq!(bed.interfaces(address), "", "the kernel has still an interface of it");
        let line =
            status.lines().find(|line| line.starts_with(address)).unwrap_or_else(|| panic!("{status}"));
        assert!(line.contains("vfio-pci") && line.contains(model.kernel_driver()), "{line}");
    }
}

/// ... and gives it back. It works: the kernel sends by it.
fn restore(bed: &mut Bed) {
    bed.guest.must(&format!("{WRAPPER} restore"));
    for (address, model) in bed.addresses().iter().zip(bed.subject.models) {
        assert_eq!(bed.driver(address), model.kernel_driver());
        let began = Instant::now();
        let interface = loop {
            let found = bed.interfaces(address);
            if let Some(name) = found.lines().find(|line| !line.is_empty() && !line.ends_with(':')) {
                break name.to_owned();
            }
            assert!(began.elapsed() < SHORT, "its interface does not come back");
        };
        bed.cable.forget();
        bed.guest.must(&format!(
            "ip link set {interface} up; ip address add {us}/24 dev {interface}; \
             for n in 1 2 3 4 5 6 7 8 9 10; do ping -c 1 -W 1 -I {interface} {gateway} >/dev/null; done 2>/dev/null &",
            us = US.1,
            gateway = GATEWAY.1
        ));
        let cable = bed.cable.clone();
        bed.guest.wait_until("request of the kernel's by it", SHORT, || {
            cable.heard().iter().any(|frame| Arp::read(frame).is_some_and(|arp| arp.sender.1 == US.1))
        });
        bed.guest.must(&format!("ip address del {}/24 dev {interface}; ip link set {interface} down", US.1));
    }
}

/// A run from its start to its clean end, with strays, queries, a market and orders.
fn trade(bed: &mut Bed, row: &mut Row) {
    bed.cable.forget();
    let Some(handler) = row.step("start", || {
        bed.open(1);
        bed.start("--arm")
    }) else {
        return;
    };
    row.step("arp", || arp(bed, &handler));
    row.step("igmp", || join_and_answer(bed));
    let filter = row.step("filter", || strays(bed, &handler));
    let legacy = row.step("receive", || {
        bed.play(6_000);
        bed.close()
    });
    let Some(left) = row.step("stop", || stop(bed, &handler, 0)) else { return };
    let heard = bed.cable.heard();
    row.step("igmp", || leave(&heard));
    if let Some(filter) = filter {
        row.step("filter", || filtered(&left, &filter));
    }
    let Some(legacy) = legacy else { return };
    row.step("receive", || {
        left.same_books(&legacy);
        for never in ["stream_gaps", "loop_rx_segmented", "loop_rx_truncated"] {
            assert_eq!(left.count(never), 0, "{never}");
        }
        assert!(left.count("line_a_packets") > 100 && left.count("line_b_packets") > 100, "both lines");
    });
    row.step("send", || {
        orders(&left, &heard);
        let positions: BTreeMap<_, _> = (legacy.positions.iter())
            .filter(|(_, shares)| *shares != 0)
            .map(|(symbol, shares)| (symbol.to_string(), *shares))
            .collect();
        assert!(!positions.is_empty(), "nothing was traded");
        assert_eq!(left.positions(), positions);
    });
}

fn stop(bed: &mut Bed, handler: &Handler, code: i32) -> Left {
    let left = bed.stop(handler);
    assert_eq!(left.ended.code, Some(code), "{}{}", left.ended.stdout, left.ended.stderr);
    left
}

/// It asks for the gateway, and answers who asks for it, and only then.
fn arp(bed: &mut Bed, handler: &Handler) {
    bed.said(handler, "the next hop is known");
    let ask = |target_ip| Arp { operation: 1, sender: STRANGER, target_mac: [0; 6], target_ip }.frame();
    let expected = Arp { operation: 2, sender: US, target_mac: STRANGER.0, target_ip: STRANGER.1 };
    bed.cable.put(&ask(Ipv4Addr::new(10, 0, 0, 3)));
    bed.cable.put(&ask(US.1));
    let answers = |cable: &Cable| {
        let heard: Vec<_> = cable.heard().iter().filter_map(|frame| Arp::read(frame)).collect();
        heard.into_iter().filter(|arp| arp.operation == 2).collect::<Vec<_>>()
    };
    let cable = bed.cable.clone();
    bed.guest.wait_until("answer to ARP", SHORT, || !answers(&cable).is_empty());
    assert_eq!(answers(&bed.cable), [expected]);
}

/// Both groups are reported, and again when somebody asks.
fn join_and_answer(bed: &mut Bed) {
    let cable = bed.cable.clone();
    let all = |kinds| {
        move |cable: &Cable| GROUPS.iter().all(|group| reported(&cable.heard(), kinds).contains(group))
    };
    // The first reports change the state, from which it follows; an answer states it.
    let (joined, answered) = (all([4, 4]), all([2, 2]));
    bed.guest.wait_until("reports of both groups", SHORT, || joined(&cable));
    bed.cable.put_everywhere(&general_query());
    bed.guest.wait_until("answer to a general query", SHORT, || answered(&cable));
}

fn leave(heard: &[Vec<u8>]) {
    let left = reported(heard, [3, 3]);
    assert!(GROUPS.iter().all(|group| left.contains(group)), "left {left:?}");
    let reports = heard.iter().filter_map(|frame| igmp(frame));
    assert!(reports.count() >= 3, "joined, answered and left");
}

/// What was sent to see what comes through.
struct Filter {
    /// What the log says is in force.
    exact: bool,
}

/// Frames to a group that nobody joined and to somebody else's address.
fn strays(bed: &mut Bed, handler: &Handler) -> Filter {
    let log = handler.process.stderr();
    let line =
        log.lines().find(|line| line.contains("filter=")).unwrap_or_else(|| panic!("no filter: {log}"));
    let mut group =
        Addressing::multicast(STRANGER.0, STRANGER.1, Ipv4Addr::new(239, 9, 9, 77), FEED_PORT, None);
    group.src_port = 9;
    let station = Addressing { dst_mac: [2, 0, 0, 0, 0, 0x77], dst: Ipv4Addr::new(10, 0, 0, 0x77), ..group };
    for to in [group, station] {
        let mut framer = Framer::new(to);
        for _ in 0..STRAYS {
            bed.cable.put(framer.frame(&[0; 64]).unwrap());
        }
    }
    Filter { exact: line.contains("exact") }
}

/// Where the NIC filters exactly, no stray group came through; otherwise each was counted. No NIC here takes frames for
/// another station.
fn filtered(left: &Left, filter: &Filter) {
    let groups = left.count("route_other_group");
    let expected = if filter.exact { 0 } else { STRAYS };
    assert_eq!(groups, expected, "strays of another group (exact: {})", filter.exact);
    assert_eq!(left.count("route_other_station"), 0, "strays for another station");
}

/// Every datagram to the gateway comes from us, each byte around its payload is what the exchange's own encoder puts there
/// (checksums too), and there are as many as the handler counted. That the payloads are good, the exchange's positions say.
fn orders(left: &Left, heard: &[Vec<u8>]) {
    let mut datagrams = 0;
    for frame in heard {
        match frames::parse(frame) {
            Ok(datagram) => {
                let to = datagram.to;
                assert_eq!(
                    (to.dst_mac, to.dst, to.dst_port),
                    (GATEWAY.0, GATEWAY.1, ORDER_PORT),
                    "{frame:02x?}"
                );
                assert_eq!((to.src_mac, to.src, to.src_port), (US.0, US.1, 31_000), "{frame:02x?}");
                let mut framer = Framer::new(to);
                let encoded = framer.frame(datagram.payload).unwrap();
                // Not every NIC pads short ones.
                let shorter = encoded.len().min(frame.len());
                assert_eq!(frame[..shorter], encoded[..shorter]);
                assert!(encoded[shorter..].iter().chain(&frame[shorter..]).all(|byte| *byte == 0));
                datagrams += 1;
            }
            Err(frames::Bad::Other) => {}
            Err(why) => panic!("{why:?}: {frame:02x?}"),
        }
    }
    let counted = ["session_enters", "session_replaces", "session_cancels", "session_heartbeats"];
    assert_eq!(
        datagrams,
        counted.iter().map(|name| left.count(name)).sum::<u64>(),
        "datagrams to the gateway"
    );
    for happened in ["desk_orders_sent", "orders_accepted", "orders_executed"] {
        assert!(left.count(happened) > 0, "{happened}");
    }
    for never in ["replies_unknown", "session_gaps", "desk_orders_unsent"] {
        assert_eq!(left.count(never), 0, "{never}");
    }
}

/// The cable is pulled out; then the program stands still while the feed goes on. Each time something is missed, seen,
/// and mended.
fn disturb(bed: &mut Bed, row: &mut Row) {
    let Some(handler) = row.step("start", || {
        bed.open(2);
        bed.start("")
    }) else {
        return;
    };
    row.step("flap", || {
        bed.play(1_500);
        bed.guest.set_link(0, false);
        bed.said(&handler, "link down");
        bed.play(1_500);
        bed.guest.set_link(0, true);
        bed.said(&handler, "link up again");
        if bed.subject.models.len() == 1 {
            bed.said(&handler, "recovered");
        }
    });
    let mut overrun = None;
    row.step("overrun", || {
        // What was lost may be there again before the books are in doubt: then nothing has to recover.
        let mending = ["recovered", "filled in"];
        let mended = handler.said(&mending);
        let (lost, sent) = bed.cable.lost_and_sent();
        bed.guest.signal(&handler.process, "STOP");
        bed.cable.lossy(true);
        let cable = bed.cable.clone();
        // The ring, what QEMU and the socket hold, and as many more.
        bed.until(
            "overrun",
            || false,
            |_| {
                let (now_lost, now_sent) = cable.lost_and_sent();
                now_lost - lost > RING || now_sent - sent > 8 * RING
            },
        );
        bed.guest.signal(&handler.process, "CONT");
        bed.said_times(&handler, &mending, mended + 1);
        bed.cable.lossy(false);
        overrun = Some(bed.cable.lost_and_sent().0 - lost);
    });
    let legacy = row.step("flap", || {
        bed.play(500);
        bed.close()
    });
    let Some(left) = row.step("stop", || stop(bed, &handler, 0)) else { return };
    let Some(legacy) = legacy else { return };
    row.step("flap", || {
        assert_eq!(left.count("link_losses"), 1);
        // The other line had it all, where it came by another NIC.
        assert!(left.count("stream_overdue") + left.count("stream_gaps") > 0 || bed.subject.models.len() > 1);
        left.same_books(&legacy);
    });
    if let Some(lost_before) = overrun {
        row.step("overrun", || {
            // This one loses frames as hardware does; the others make the sender wait, which then loses them.
            let missed =
                if bed.subject.models == [Model::Vmxnet3] { left.count("rx_missed") } else { lost_before };
            assert!(missed > 0, "nothing was lost");
            left.same_books(&legacy);
        });
    }
}

/// Killed without a chance to clean up, and started again at once, in the middle of the day.
fn restart(bed: &mut Bed) {
    bed.open(3);
    let handler = bed.start("");
    bed.play(1_500);
    bed.guest.signal(&handler.process, "KILL");
    assert_eq!(bed.guest.end(&handler.process, LONG).code, Some(137));
    // The feed goes on, and nobody takes it.
    bed.cable.lossy(true);
    let handler = bed.start("");
    bed.cable.lossy(false);
    bed.said(&handler, &format!("live={SYMBOLS} recovering=0 stale=0"));
    bed.play(1_500);
    let legacy = bed.close();
    let left = stop(bed, &handler, 0);
    left.same_books(&legacy);
    assert!(left.count("repair_done") + left.count("stream_recovered") > 0, "where do its books come from?");
}
