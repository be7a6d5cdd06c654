//! One port shared by several: every frame comes to each of them once, in the order of its queue; no buffer is lost,
//! whoever is done last or gone first; who is too slow misses frames, and it alone.
//!
//! EAL starts once in a process: one test function. `net_ring` turns what is sent on a queue back to the queue of the same
//! number.
#![cfg(feature = "dpdk")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wirebook::eal::Eal;
use wirebook::nic::dpdk::{DpdkTx, FanHandle, FanRx};
use wirebook::nic::{MAX_BURST, RxBurst, RxQueue, RxShared, TxQueue};
use wirebook::pmd::{Flow, PmdError, Port, PortConfig, Steering};

#[test]
fn sharing() {
    let args = [
        "--no-huge",
        "--no-pci",
        "--no-shconf",
        "--no-telemetry",
        "-m",
        "512",
        "-l",
        "0",
        "--vdev=net_ring0",
        "--vdev=net_ring1",
        "--vdev=net_ring2",
        "--vdev=net_ring3",
        "--vdev=net_ring4",
    ];
    let eal = Eal::init(&args).unwrap();
    refusals(&eal);
    everybody_gets_everything(&eal);
    the_slow_one_misses(&eal);
    between_threads(&eal);
}

fn start(eal: &Eal, name: &str, queues: u16, lcores: u16) -> Port {
    let config = PortConfig {
        rx_queues: queues,
        tx_queues: queues,
        shared_with: lcores - 1,
        rx_descriptors: 64,
        ..PortConfig::default()
    };
    Port::probe(eal, name).unwrap().start(&config).unwrap()
}

fn attach(port: &Port, lcores: u16) -> Vec<FanRx> {
    port.fan(lcores).unwrap().into_iter().map(FanHandle::attach).collect()
}

fn send(tx: &mut DpdkTx, number: u64) {
    let mut slot = tx.reserve().unwrap();
    slot[..8].copy_from_slice(&number.to_be_bytes());
    tx.send(slot, 60).unwrap();
}

/// The numbers of one poll.
fn poll(rx: &mut FanRx) -> Vec<u64> {
    let burst = rx.poll();
    (0..burst.len()).map(|at| u64::from_be_bytes(*burst.frame(at).bytes.first_chunk().unwrap())).collect()
}

/// All that has come; the others poll too, so that everything is shared.
fn drain(parts: &mut [FanRx]) -> Vec<Vec<u64>> {
    let mut all = vec![Vec::new(); parts.len()];
    loop {
        let before: usize = all.iter().map(Vec::len).sum();
        for _ in 0..2 {
            for (part, got) in parts.iter_mut().zip(&mut all) {
                got.extend(poll(part));
            }
        }
        if before == all.iter().map(Vec::len).sum::<usize>() {
            return all;
        }
    }
}

fn assert_all_free(port: &Port, queues: u16) {
    for queue in 0..queues {
        let (free, all) = port.tx_buffers(queue).unwrap();
        assert_eq!(free, all, "transmit queue {queue} of {}", port.name());
    }
}

fn refusals(eal: &Eal) {
    let port = start(eal, "net_ring0", 2, 2);
    for lcores in [1, 3] {
        let error = port.fan(lcores).unwrap_err();
        assert!(matches!(error, PmdError::OutOfRange { least: 2, most: 2, .. }), "{error}");
    }
    let parts = port.fan(2).unwrap();
    assert!(matches!(port.fan(2), Err(PmdError::QueueTaken { .. })));
    drop(parts);
    let _again = port.fan(2).unwrap();
    // This device steers nothing.
    let flow = Flow { to: "239.1.1.1:26400".parse().unwrap(), tagged: false, queue: 1 };
    assert_eq!(port.steer(&[flow]), Steering::Device);
    let error = Port::probe(eal, "net_ring3").unwrap();
    let most = error.info().max_rx_queues;
    let error = error.start(&PortConfig { rx_queues: most + 1, ..PortConfig::default() }).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("receive queues {} is outside", most + 1)), "{text}");
}

fn everybody_gets_everything(eal: &Eal) {
    const LCORES: u16 = 3;
    let port = start(eal, "net_ring1", 2, LCORES);
    let mut txs: Vec<_> = (0..2).map(|queue| port.tx_handle(queue).unwrap().attach()).collect();
    let mut parts = attach(&port, LCORES);
    let sent: Vec<u64> = (0..50).collect();
    // Even ones to one queue, odd ones to the other; the third lcore has none.
    for number in &sent {
        send(&mut txs[(*number % 2) as usize], *number);
    }
    for got in drain(&mut parts) {
        for queue in 0..2 {
            let of_queue = |numbers: &[u64]| -> Vec<u64> {
                numbers.iter().copied().filter(|number| number % 2 == queue).collect()
            };
            assert_eq!(of_queue(&got), of_queue(&sent));
        }
    }
    let counted: Vec<_> = parts.iter().map(RxQueue::shared).collect();
    let taken = |taken| RxShared { taken, missed: 0 };
    assert_eq!(counted, [taken(25), taken(25), taken(50)]);
    assert_all_free(&port, 2);

    // Held by the others: not free before the last lets go.
    send(&mut txs[0], 7);
    let (first, rest) = parts.split_at_mut(1);
    let burst = first[0].poll();
    assert_eq!(burst.len(), 1);
    drop(burst);
    let (free, all) = port.tx_buffers(0).unwrap();
    assert_eq!(free, all - 1);
    let [second, third] = rest else { panic!("there are three") };
    let burst = second.poll();
    assert_eq!(burst.frame(0).bytes[7], 7);
    assert_eq!(poll(third), [7]);
    assert_eq!(port.tx_buffers(0).unwrap().0, all - 1);
    assert_eq!(burst.frame(0).bytes[7], 7, "still what it was");
    drop(burst);
    assert_all_free(&port, 2);

    // On their way when their receiver goes, and when the one that shared them does.
    for number in 0..10 {
        send(&mut txs[0], number);
    }
    assert_eq!(poll(&mut parts[0]).len(), 10);
    drop(parts.remove(0));
    drop(parts.pop());
    assert_eq!(poll(&mut parts[0]), (0..10).collect::<Vec<_>>());
    drop(parts);
    assert_all_free(&port, 2);
}

fn the_slow_one_misses(eal: &Eal) {
    let port = start(eal, "net_ring2", 1, 3);
    let room = u64::from(port.config().rx_descriptors.next_power_of_two());
    let mut tx = port.tx_handle(0).unwrap().attach();
    let mut parts = attach(&port, 3);
    let (mut quick, mut next) = (Vec::new(), 0);
    let sent = room + 3 * MAX_BURST as u64 + 5;
    while next < sent {
        for _ in 0..(sent - next).min(20) {
            send(&mut tx, next);
            next += 1;
        }
        assert!(!poll(&mut parts[0]).is_empty());
        quick.extend(poll(&mut parts[1]));
    }
    quick.extend(poll(&mut parts[1]));
    assert_eq!(quick, (0..sent).collect::<Vec<_>>());
    // The third one stood still: it has as many as its ring holds, the first ones, and knows how many it has not.
    let mut slow = Vec::new();
    loop {
        let got = poll(&mut parts[2]);
        if got.is_empty() {
            break;
        }
        slow.extend(got);
    }
    assert_eq!(slow, (0..room).collect::<Vec<_>>());
    let counted: Vec<_> = parts.iter().map(RxQueue::shared).collect();
    assert_eq!(counted[1], RxShared { taken: sent, missed: 0 });
    assert_eq!(counted[2], RxShared { taken: room, missed: sent - room });
    assert_all_free(&port, 1);
}

/// Two threads read the same frames at the same time; a third sends.
fn between_threads(eal: &Eal) {
    const FRAMES: u64 = 200_000;
    let port = start(eal, "net_ring4", 1, 2);
    let mut tx = port.tx_handle(0).unwrap().attach();
    let [receives, other] = port.fan(2).unwrap().try_into().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut rx = other.attach();
            let (mut seen, mut last) = (0, None);
            loop {
                let ended = done.load(Ordering::Acquire);
                let numbers = poll(&mut rx);
                if ended && numbers.is_empty() {
                    return (seen, rx.shared());
                }
                for number in numbers {
                    assert!(last.is_none_or(|last| number > last), "{number} after {last:?}");
                    last = Some(number);
                    seen += 1;
                }
            }
        });
        let mut rx = receives.attach();
        let (mut sent, mut next) = (0, 0);
        while next < FRAMES {
            while sent < FRAMES && sent < next + 30 {
                send(&mut tx, sent);
                sent += 1;
            }
            for number in poll(&mut rx) {
                assert_eq!(number, next);
                next += 1;
            }
        }
        done.store(true, Ordering::Release);
        let (seen, shared) = reader.join().unwrap();
        assert_eq!((seen, shared.taken), (shared.taken, seen));
        assert_eq!(seen + shared.missed, FRAMES);
    });
    assert_all_free(&port, 1);
}
