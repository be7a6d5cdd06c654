//! Rings: wrap, order of arming, overrun, doorbells; hostile descriptors; filters; counters; the end.

use std::mem;
use std::time::Duration;

use wirebook::nic::intel1g::{Chip, Filter, Port, PortConfig};
use wirebook::nic::{
    IP_CSUM_BAD, IP_CSUM_GOOD, L4_CSUM_BAD, L4_CSUM_GOOD, MAX_BURST, RxBurst, RxQueue, TxQueue,
};

use super::model::{MAC, Model};
use super::{Bench, CONFIG};

/// A frame to the port whose payload is `number`.
fn frame(number: u32) -> Vec<u8> {
    let mut bytes = vec![0; 60];
    bytes[..6].copy_from_slice(&MAC);
    bytes[14..18].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[14..18].try_into().unwrap())
}

/// The numbers of all frames that wait.
fn drain(bench: &mut Bench) -> Vec<u32> {
    let mut numbers = Vec::new();
    // An empty burst does not mean that nothing is left: all of it may have been refused.
    for _ in 0..64 {
        let burst = bench.rx.poll();
        numbers.extend((0..burst.len()).map(|i| number(burst.frame(i).bytes)));
    }
    numbers
}

/// Status word: DD and EOP, with a length.
fn whole(len: u64) -> u64 {
    3 | len << 32
}

#[test]
fn the_ring_wraps_many_times_at_every_offset() {
    let mut bench = Bench::new(Chip::I82574, PortConfig { rx_descriptors: 32, ..CONFIG });
    let mut next = 0;
    for size in (1..=20).cycle().take(2_000) {
        let want: Vec<_> = (next..next + size).collect();
        for n in &want {
            assert!(bench.model.deliver(&frame(*n)));
        }
        assert_eq!(drain(&mut bench), want);
        next += size;
    }
    bench.check();
}

/// One descriptor is never the device's, or head = tail would say that there is none.
#[test]
fn an_overrun_is_counted_by_the_device_and_passes() {
    let mut bench = Bench::new(Chip::I82574, PortConfig { rx_descriptors: 32, ..CONFIG });
    let taken = (0..40).filter(|n| bench.model.deliver(&frame(*n))).count();
    assert_eq!(taken, 31);
    assert_eq!(drain(&mut bench), (0..31).collect::<Vec<_>>());
    assert_eq!(bench.port.stats().rx_missed, 9);
    // And the ring is whole again.
    assert_eq!((0..40).filter(|n| bench.model.deliver(&frame(*n))).count(), 31);
    assert_eq!(drain(&mut bench).len(), 31);
    bench.check();
}

#[test]
fn what_is_borrowed_is_not_the_devices() {
    let mut bench = Bench::new(Chip::I82574, PortConfig { rx_descriptors: 32, ..CONFIG });
    for n in 0..31 {
        assert!(bench.model.deliver(&frame(n)));
    }
    let burst = bench.rx.poll();
    assert_eq!(burst.len(), 31);
    // The ring is full: nothing may come in while the burst is out, whatever is tried.
    assert!(!bench.model.deliver(&frame(99)));
    assert_eq!(
        (0..31).map(|i| number(burst.frame(i).bytes)).collect::<Vec<_>>(),
        (0..31).collect::<Vec<_>>()
    );
    drop(burst);
    assert!(bench.model.deliver(&frame(99)));
    assert_eq!(drain(&mut bench), [99]);
    bench.check();
}

#[test]
fn a_burst_is_at_most_max_burst_and_the_rest_stays() {
    let mut bench = Bench::new(Chip::I82574, CONFIG);
    for n in 0..100 {
        assert!(bench.model.deliver(&frame(n)));
    }
    let mut sizes = Vec::new();
    for _ in 0..5 {
        sizes.push(bench.rx.poll().len());
    }
    assert_eq!(sizes, [MAX_BURST, MAX_BURST, MAX_BURST, 4, 0]);
    bench.check();
}

/// A doorbell costs more than a frame: one for many, and yet the device never runs dry.
#[test]
fn doorbells_are_few() {
    let mut bench = Bench::new(Chip::I82574, CONFIG);
    let before = bench.model.state().tail_writes;
    for n in 0..1_000 {
        assert!(bench.model.deliver(&frame(n)));
        assert_eq!(drain(&mut bench), [n]);
    }
    assert_eq!(bench.model.state().tail_writes - before, 1_000 / 32);
    bench.check();
}

#[test]
fn a_forgotten_burst_costs_nothing_for_long() {
    let mut bench = Bench::new(Chip::I82574, PortConfig { rx_descriptors: 32, ..CONFIG });
    for n in 0..10 {
        assert!(bench.model.deliver(&frame(n)));
    }
    mem::forget(bench.rx.poll());
    assert!(bench.model.deliver(&frame(10)));
    assert_eq!(drain(&mut bench), [10]);
    assert_eq!((0..40).filter(|n| bench.model.deliver(&frame(*n))).count(), 31, "all buffers are back");
    bench.check();
}

#[test]
fn odd_descriptors_are_counted_and_the_rest_arrives() {
    let mut bench = Bench::new(Chip::I82576, CONFIG);
    let good = frame(7);
    let model = bench.model.clone();
    let honest = || assert!(model.deliver(&good));
    honest();
    // No bytes; one byte more than a buffer has; the most that can be said; damaged in each way that the word can say.
    model.deliver_raw(&good, whole(0));
    honest();
    model.deliver_raw(&good, whole(2_049));
    model.deliver_raw(&good, whole(0xffff));
    honest();
    for bit in [24, 25, 26, 28, 31] {
        model.deliver_raw(&good, whole(60) | 1 << bit);
    }
    // A frame in three buffers whose end would pass for a frame of its own.
    for status in [1, 1, 3] {
        model.deliver_raw(&good, status | 60 << 32);
    }
    honest();
    assert_eq!(drain(&mut bench), [7, 7, 7, 7]);
    let counters = bench.rx.counters();
    assert_eq!((counters.empty, counters.overlong, counters.damaged, counters.segmented), (1, 2, 5, 1));
    let drops = bench.rx.drops();
    assert_eq!((drops.segmented, drops.truncated), (1, 8));
    // The longest that a buffer takes is no lie.
    model.deliver_raw(&[0x5a; 2_048], whole(2_048));
    let burst = bench.rx.poll();
    assert_eq!((burst.len(), burst.frame(0).bytes), (1, &[0x5a; 2_048][..]));
    drop(burst);
    bench.check();
}

/// A frame in several buffers may begin in one poll and end in another.
#[test]
fn a_long_frame_may_straddle_two_polls() {
    let mut bench = Bench::new(Chip::I82574, CONFIG);
    bench.model.deliver_raw(&frame(1), 1 | 2_048 << 32);
    assert!(bench.rx.poll().is_empty());
    bench.model.deliver_raw(&frame(2), whole(60));
    assert!(bench.model.deliver(&frame(3)));
    assert_eq!(drain(&mut bench), [3]);
    assert_eq!(bench.rx.counters().segmented, 1);
    bench.check();
}

/// One that never ends keeps the ring going all the same.
#[test]
fn an_endless_frame_starves_nobody() {
    let mut bench = Bench::new(Chip::I82574, PortConfig { rx_descriptors: 32, ..CONFIG });
    for _ in 0..1_000 {
        bench.model.deliver_raw(&frame(0), 1 | 2_048 << 32);
        assert!(bench.rx.poll().is_empty());
    }
    bench.model.deliver_raw(&frame(0), whole(1));
    assert!(bench.model.deliver(&frame(8)));
    assert_eq!(drain(&mut bench), [8]);
    assert_eq!(bench.rx.counters().segmented, 1);
    bench.check();
}

#[test]
fn checksum_verdicts_reach_the_frame() {
    let mut bench = Bench::new(Chip::I82574, CONFIG);
    assert!(bench.model.deliver(&frame(0)));
    bench.model.deliver_raw(&frame(1), whole(60) | 1 << 6 | 1 << 5 | 1 << 30 | 1 << 29);
    bench.model.deliver_raw(&frame(2), whole(60));
    let burst = bench.rx.poll();
    let flags: Vec<_> = (0..3).map(|i| burst.frame(i).flags).collect();
    assert_eq!(flags, [IP_CSUM_GOOD | L4_CSUM_GOOD, IP_CSUM_BAD | L4_CSUM_BAD, 0]);
}

#[test]
fn a_device_that_reports_late_holds_back_and_recovers() {
    let mut bench = Bench::new(Chip::I82574, CONFIG);
    bench.model.state().mute = true;
    for round in 0..3 {
        for n in 0..63 {
            let mut slot = bench.tx.reserve().unwrap_or_else(|| panic!("buffer {n} of round {round}"));
            slot[..60].copy_from_slice(&frame(round * 100 + n));
            assert!(bench.tx.send(slot, 60).is_ok());
        }
        assert!(bench.tx.reserve().is_none(), "all are under way");
        assert_eq!(bench.tx.reclaim(), 0);
        bench.model.report();
        assert_eq!(bench.tx.reclaim(), 63);
        bench.model.state().mute = true;
    }
    let sent: Vec<_> = bench.model.state().sent.iter().map(|bytes| number(bytes)).collect();
    let want: Vec<_> = (0..3).flat_map(|round| (0..63).map(move |n| round * 100 + n)).collect();
    assert_eq!(sent, want);
    bench.check();
}

/// Nobody calls `reclaim` on a loop that is never idle.
#[test]
fn sending_goes_on_without_reclaim() {
    let mut bench = Bench::new(Chip::I82574, CONFIG);
    for n in 0..10_000 {
        let mut slot = bench.tx.reserve().unwrap();
        slot[..60].copy_from_slice(&frame(n));
        assert!(bench.tx.send(slot, 60).is_ok());
    }
    let sent: Vec<_> = bench.model.state().sent.iter().map(|bytes| number(bytes)).collect();
    assert_eq!(sent, (0..10_000).collect::<Vec<_>>());
    bench.check();
}

#[test]
fn slots_are_sent_in_the_order_of_the_calls_whatever_the_order_of_reserving() {
    let mut bench = Bench::new(Chip::I82576, CONFIG);
    let mut slots: Vec<_> = (0..8).map(|_| bench.tx.reserve().unwrap()).collect();
    for (n, slot) in (0..).zip(&mut slots) {
        slot[..60].copy_from_slice(&frame(n));
    }
    slots.remove(3);
    slots.reverse();
    for slot in slots {
        assert!(bench.tx.send(slot, 60).is_ok());
    }
    let sent: Vec<_> = bench.model.state().sent.iter().map(|bytes| number(bytes)).collect();
    assert_eq!(sent, [7, 6, 5, 4, 2, 1, 0]);
    bench.tx.reclaim();
    assert_eq!(bench.tx.buffers(), (63, 63));
    bench.check();
}

#[test]
fn a_slot_of_another_port_is_handed_back() {
    let mut one = Bench::new(Chip::I82574, CONFIG);
    let mut other = Bench::new(Chip::I82574, CONFIG);
    let slot = one.tx.reserve().unwrap();
    assert!(other.tx.send(slot, 60).is_err());
    assert_eq!((one.tx.buffers(), other.tx.buffers()), ((63, 63), (63, 63)));
}

/// Slots may outlive the queue and the port; the memory outlives them all.
#[test]
fn the_device_stops_when_the_last_share_is_gone() {
    let mut bench = Bench::new(Chip::I82574, CONFIG);
    let mut slot = bench.tx.reserve().unwrap();
    let Bench { port, rx, tx, model, .. } = bench;
    drop((port, rx, tx));
    assert_ne!(model.register(0x0100) & 2, 0, "a slot is out");
    slot[..4].copy_from_slice(b"late");
    drop(slot);
    assert_eq!(
        (model.register(0x0100), model.register(0x0400) & 2),
        (0, 0),
        "receiver and transmitter are off"
    );
    assert_eq!(model.state().resets, 2);
    assert!(!model.deliver(&frame(0)));
    assert!(model.state().faults.is_empty());
}

#[test]
fn few_groups_are_filtered_exactly() {
    let mut bench = Bench::new(Chip::I82574, CONFIG);
    let group = |n: u8| [0x01, 0x00, 0x5e, 0x01, 0x01, n];
    let to = |mac: [u8; 6]| [&mac[..], &[0; 54]].concat();
    assert!(!bench.model.deliver(&to(group(1))), "nothing was asked for");
    let groups: Vec<_> = (1..=15).chain([1, 2]).map(group).collect();
    assert_eq!(bench.port.set_multicast(&groups).unwrap(), Filter::Exact);
    for n in 0..=255 {
        assert_eq!(bench.model.deliver(&to(group(n))), (1..=15).contains(&n), "group {n}");
        drain(&mut bench);
    }
    bench.check();
}

#[test]
fn many_groups_pass_by_hash_and_that_is_said() {
    let mut bench = Bench::new(Chip::I82574, CONFIG);
    let group = |n: u8| [0x01, 0x00, 0x5e, 0x00, n, n];
    let groups: Vec<_> = (1..=100).map(group).collect();
    let filter = bench.port.set_multicast(&groups).unwrap();
    assert_eq!(filter, Filter::Hash { hashed: 85 });
    assert!(filter.to_string().contains("85 groups by hash"));
    for n in 1..=100 {
        assert!(bench.model.deliver(&[&group(n)[..], &[0; 54]].concat()), "group {n}");
        drain(&mut bench);
    }
    // A later list replaces the former one, hashes included.
    assert_eq!(bench.port.set_multicast(&[group(1)]).unwrap(), Filter::Exact);
    assert!(!bench.model.deliver(&[&group(100)[..], &[0; 54]].concat()));
    bench.port.set_promiscuous(true);
    assert!(bench.model.deliver(&[&group(100)[..], &[0; 54]].concat()));
    assert!(bench.model.deliver(&[0x02; 60]), "another station's");
    assert!(bench.port.set_multicast(&[[0x02, 0, 0, 0, 0, 1]]).is_err());
    bench.check();
}

#[test]
fn broadcasts_and_own_frames_come_others_do_not() {
    let mut bench = Bench::new(Chip::I82576, CONFIG);
    assert!(bench.model.deliver(&[0xff; 60]));
    assert!(bench.model.deliver(&frame(1)));
    assert!(!bench.model.deliver(&[0x02; 60]));
    assert_eq!(bench.rx.poll().len(), 2);
}

#[test]
fn counters_grow_and_the_link_is_told() {
    let bench = Bench::new(Chip::I82574, CONFIG);
    assert_eq!(bench.port.mac(), MAC);
    for n in 0..3 {
        assert!(bench.model.deliver(&frame(n)));
        // The device's counters clear when they are read; ours do not.
        assert_eq!(bench.port.stats().rx_frames, u64::from(n) + 1);
    }
    assert!(bench.port.wait_for_link(Duration::ZERO).up);
    bench.model.set_link(false);
    let link = bench.port.wait_for_link(Duration::from_millis(30));
    assert!(!link.up);
    bench.model.set_link(true);
    let link = bench.port.link();
    assert_eq!((link.up, link.speed_mbps, link.full_duplex), (true, 1_000, true));
}

#[test]
fn a_phy_that_waits_is_told_to_negotiate() {
    let model = Model::new(Chip::I82576, CONFIG.memory());
    model.set_link(false);
    let port = Port::start(model, Chip::I82576, &CONFIG).unwrap();
    assert!(port.link().up);
}

#[test]
fn a_device_that_is_gone_is_refused() {
    struct Gone(Model);
    // SAFETY: the window is the model's.
    unsafe impl wirebook::nic::intel1g::Device for Gone {
        fn read(&self, _: u32) -> u32 {
            u32::MAX
        }
        fn write(&self, _: u32, _: u32) {}
        fn window(&self) -> wirebook::nic::intel1g::Window {
            self.0.window()
        }
    }
    let gone = Gone(Model::new(Chip::I82574, CONFIG.memory()));
    let why = Port::start(gone, Chip::I82574, &CONFIG).err().unwrap();
    assert!(why.to_string().contains("does not answer"), "{why}");
}
