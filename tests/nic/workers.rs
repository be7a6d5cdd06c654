//! Two workers on a NIC that spreads what it receives over its queues, as its driver does it.

use std::collections::BTreeMap;

use crate::bed::{Bed, Subject};
use crate::guest::{Model, alone, possible, say};

#[test]
#[ignore = "needs QEMU: make test-nic"]
fn two_workers_share_a_nic() {
    let _machine = alone();
    if let Err(why) = possible(Model::Igb) {
        return say(&format!("SKIPPED two_workers_share_a_nic: {why}"));
    }
    let mut bed = Bed::boot(Subject::new("igb-workers", &[Model::Igb])).unwrap_or_else(|why| panic!("{why}"));
    // The guest has two CPUs: the second worker shares one with the control thread.
    (bed.lcores, bed.more) = ("--lcores=0@0,1@1,2@0", "[lcores]\nworkers = [1, 2]\n");
    let address = bed.addresses().remove(0);
    bed.guest.must(&format!("dpdk-devbind-wrapper.sh bind {address}"));
    bed.open(1);
    let handler = bed.start("--arm");
    bed.said_times(&handler, &["polling"], 2);
    let log = handler.process.stderr();
    let steering = log.lines().find(|line| line.contains("steering=")).unwrap_or_else(|| panic!("{log}"));
    assert!(steering.contains("queues=2"), "{steering}");
    bed.said(&handler, "the next hop is known");
    bed.play(6_000);
    let legacy = bed.close();
    let left = bed.stop(&handler);
    assert_eq!(left.ended.code, Some(0), "{}{}", left.ended.stdout, left.ended.stderr);
    left.same_books(&legacy);
    let of = |name: &str| [0, 1].map(|at| left.of_worker(at, name));
    for happened in ["desk_orders_sent", "orders_accepted"] {
        assert!(of(happened).iter().all(|count| *count > 0), "{happened}: {:?}", of(happened));
    }
    // All that came was seen by both, whoever received it.
    let (frames, shared) = (of("loop_frames"), of("loop_rx_shared"));
    assert_eq!(frames[0], frames[1], "{shared:?}");
    assert_eq!(shared[0] + shared[1], frames[0], "{shared:?}");
    for never in ["stream_gaps", "loop_rx_missed", "replies_unknown", "session_gaps"] {
        assert_eq!(left.count(never), 0, "{never}");
    }
    let positions: BTreeMap<_, _> = (legacy.positions.iter())
        .filter(|(_, shares)| *shares != 0)
        .map(|(symbol, shares)| (symbol.to_string(), *shares))
        .collect();
    assert_eq!(left.positions(), positions);
    let of_card = steering.split("steering=").nth(1).unwrap_or_default();
    say(&format!(
        "igb, two workers: {of_card}; frames by worker {:?}",
        [frames[0] - shared[0], frames[1] - shared[1]]
    ));
}
