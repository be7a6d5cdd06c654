//! Ports and queues on virtual devices, without root, hugepages or hardware.
//!
//! EAL starts once in a process: one test function.
#![cfg(feature = "dpdk")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers")]

use std::{sync::mpsc, time::Duration};

use wirebook::{
    eal::{Eal, EalError},
    nic::{
        HW_STAMP, MAX_BURST, RxBurst, RxDrops, RxQueue, TxQueue,
        dpdk::{DpdkRx, DpdkTx},
    },
    pmd::{FilterInForce, PmdError, Port, PortConfig},
};

const GROUP: [u8; 6] = [0x01, 0x00, 0x5e, 0x01, 0x01, 0x01];

#[test]
fn ports() {
    let pcap = capture(&[60, 5_000, 1_514]);
    let pcap_arg = format!("--vdev=net_pcap0,rx_pcap={},tx_pcap=/dev/null", pcap.path().display());
    let args = [
        "--no-huge",
        "--no-pci",
        "--no-shconf",
        "--no-telemetry",
        "-m",
        "256",
        "-l",
        "0-1",
        "--vdev=net_ring0",
        "--vdev=net_ring1",
        "--vdev=net_ring2",
        "--vdev=net_ring3",
        "--vdev=net_null0,size=64",
        &pcap_arg,
    ];
    let eal = Eal::init(&args).unwrap();
    assert!(eal.version().starts_with("DPDK "));
    assert_eq!(eal.main_lcore().id(), 0);
    assert_eq!(eal.worker_lcores().iter().map(|l| l.id()).collect::<Vec<_>>(), [1]);
    assert!(matches!(Eal::init(&args), Err(EalError::AlreadyStarted)));

    refusals(&eal);
    loopback(&eal);
    buffers(&eal);
    null_port(&eal);
    captured_frames(&eal);
    on_a_worker(&eal);
    panics(&eal);
    end(eal);
}

fn start(eal: &Eal, name: &str) -> Port {
    Port::probe(eal, name).unwrap().start(&PortConfig::default()).unwrap()
}

fn queues(port: &Port) -> (DpdkRx, DpdkTx) {
    (port.rx_handle(0).unwrap().attach(), port.tx_handle(0).unwrap().attach())
}

/// A pcap file with frames of these lengths, byte i of a frame being i modulo 251.
fn capture(lengths: &[usize]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut writer = pcap_file::pcap::PcapWriter::new(file.reopen().unwrap()).unwrap();
    for &len in lengths {
        let data: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let packet = pcap_file::pcap::PcapPacket::new(Duration::from_secs(1), len as u32, &data);
        writer.write_packet(&packet).unwrap();
    }
    file
}

fn refusals(eal: &Eal) {
    let error = Port::probe(eal, "net_ring7").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no port 'net_ring7': EAL found net_ring0, net_ring1, net_ring2, net_ring3, net_null0, net_pcap0"
    );
    assert!(matches!(Port::probe(eal, "99"), Err(PmdError::NoPort { .. })));

    let first = Port::probe(eal, "net_ring0").unwrap();
    assert!(matches!(Port::probe(eal, "0"), Err(PmdError::PortTaken { .. })));
    let jumbo = PortConfig { mtu: 9_001, ..PortConfig::default() };
    let error = first.start(&jumbo).unwrap_err();
    assert!(matches!(error, PmdError::OutOfRange { what: "MTU", asked: 9_001, most: 9_000, .. }), "{error}");
    let none = PortConfig { rx_queues: 0, ..PortConfig::default() };
    assert!(matches!(Port::probe(eal, "0").unwrap().start(&none), Err(PmdError::OutOfRange { .. })));
}

fn loopback(eal: &Eal) {
    let port = start(eal, "net_ring0");
    assert_eq!(port.info().driver, "net_ring");
    assert!(port.wait_for_link(Duration::from_secs(1)).unwrap().up);

    assert_eq!(port.rx_handle(1).unwrap_err().to_string(), "port net_ring0 has no receive queue 1");
    let (mut rx, mut tx) = queues(&port);
    assert!(matches!(port.rx_handle(0), Err(PmdError::QueueTaken { .. })));
    assert!(matches!(port.tx_handle(0), Err(PmdError::QueueTaken { .. })));

    assert!(rx.poll().is_empty());
    for i in 0..40_u8 {
        let mut slot = tx.reserve().unwrap();
        assert!(slot.len() >= 1_514);
        slot[..100].fill(i);
        tx.send(slot, 60 + u16::from(i)).unwrap();
    }
    let mut seen = 0_u8;
    for expected in [MAX_BURST, 40 - MAX_BURST, 0] {
        let burst = rx.poll();
        assert_eq!(burst.len(), expected);
        for i in 0..burst.len() {
            let frame = burst.frame(i);
            assert_eq!(frame.bytes.len(), 60 + usize::from(seen));
            assert!(frame.bytes[..60].iter().all(|b| *b == seen));
            assert_eq!((frame.flags, frame.stamp), (0, 0));
            seen += 1;
        }
    }
    assert_eq!(seen, 40);

    // An order can leave while frames are borrowed, and the frames stay as they are.
    let slot = tx.reserve().unwrap();
    assert_eq!(tx.send(slot, 77).map_err(drop), Ok(()));
    let burst = rx.poll();
    let slot = tx.reserve().unwrap();
    tx.send(slot, 78).unwrap();
    assert_eq!(burst.frame(0).bytes.len(), 77);
    drop(burst);
    assert_eq!(rx.poll().frame(0).bytes.len(), 78);

    // Lengths that cannot be sent hand the slot back.
    let slot = tx.reserve().unwrap();
    let slot = tx.send(slot, 0).unwrap_err();
    let longest = slot.len() as u16;
    let slot = tx.send(slot, longest + 1).unwrap_err();
    tx.send(slot, longest).unwrap();
    assert_eq!(rx.poll().frame(0).bytes.len(), usize::from(longest));

    // A slot of another port's queue is refused: its buffer belongs to another pool.
    let other = start(eal, "net_ring3");
    let mut other_tx = other.tx_handle(0).unwrap().attach();
    let foreign = other_tx.reserve().unwrap();
    drop(tx.send(foreign, 60).unwrap_err());

    tx.warm();
    tx.reclaim();

    let stats = port.stats().unwrap();
    assert_eq!((stats.rx_frames, stats.tx_frames, stats.tx_errors), (43, 43, 0));
    let xstats = port.xstats().unwrap();
    assert!(xstats.contains(&("rx_good_packets".into(), 43)), "{xstats:?}");

    // Which filter is in force is said, narrowest first.
    assert_eq!(port.set_multicast(&[GROUP, GROUP]).unwrap(), FilterInForce::AllMulticast);
    assert!(matches!(port.set_multicast(&[[2, 0, 0, 0, 0, 1]]), Err(PmdError::NotMulticast { .. })));

    // A queue whose owner is gone can be taken again; a port with queues out does not close.
    drop((rx, tx));
    let (rx, tx) = queues(&port);
    assert!(matches!(port.close(), Err(PmdError::QueuesInUse { .. })));
    drop((rx, tx));
    // It closed with its last queue.
    assert!(matches!(Port::probe(eal, "net_ring0"), Err(PmdError::NoPort { .. })));
}

/// Nothing that is dropped, sent or refused loses a buffer, and an empty pool is back-pressure.
fn buffers(eal: &Eal) {
    let port = start(eal, "net_ring2");
    let (mut rx, mut tx) = queues(&port);
    let (free, all) = port.tx_buffers(0).unwrap();
    assert_eq!(free, all);

    let slots: Vec<_> = std::iter::from_fn(|| tx.reserve()).collect();
    assert_eq!(slots.len(), all as usize);
    assert_eq!(port.tx_buffers(0).unwrap().0, 0);
    assert!(tx.reserve().is_none());
    drop(slots);
    assert_eq!(port.tx_buffers(0).unwrap().0, all);

    // Fill the ring until it hands a slot back, then drain it.
    let mut sent = 0;
    let refused = loop {
        let slot = tx.reserve().unwrap();
        match tx.send(slot, 60) {
            Ok(()) => sent += 1,
            Err(slot) => break slot,
        }
    };
    assert_eq!(port.tx_buffers(0).unwrap().0, all - sent - 1);
    // Handed back whole: it can be sent as soon as there is room.
    let first = rx.poll().len() as u32;
    assert_eq!(first as usize, MAX_BURST);
    tx.send(refused, 60).unwrap();
    let mut received = first;
    loop {
        let burst = rx.poll();
        received += burst.len() as u32;
        if burst.is_empty() {
            break;
        }
    }
    assert_eq!(received, sent + 1);
    assert_eq!(port.tx_buffers(0).unwrap().0, all);

    // A slot may outlive its queue and its port's handle: the port stays until it is gone.
    let slot = tx.reserve().unwrap();
    drop((rx, tx));
    assert!(matches!(port.close(), Err(PmdError::QueuesInUse { .. })));
    assert!(Port::probe(eal, "net_ring2").is_err_and(|e| matches!(e, PmdError::PortTaken { .. })));
    drop(slot);
    assert!(Port::probe(eal, "net_ring2").is_err_and(|e| matches!(e, PmdError::NoPort { .. })));
}

fn on_a_worker(eal: &Eal) {
    let worker = eal.worker_lcores()[0];
    let (sender, receiver) = mpsc::channel();
    eal.launch(worker, move || sender.send(wirebook::eal::Lcore::current()).unwrap()).unwrap();
    assert_eq!(receiver.recv().unwrap(), Some(worker));
    eal.wait().unwrap();
    assert!(matches!(eal.launch(eal.main_lcore(), || {}), Err(EalError::NoSuchWorker(_))));
}

/// A port that always has frames: bursts are full, buffers come back.
fn null_port(eal: &Eal) {
    let port = start(eal, "net_null0");
    let (mut rx, mut tx) = queues(&port);
    let (_, all) = port.rx_buffers(0).unwrap();
    for _ in 0..1_000 {
        let burst = rx.poll();
        assert_eq!(burst.len(), MAX_BURST);
        assert_eq!(burst.frame(MAX_BURST - 1).bytes.len(), 64);
    }
    assert_eq!(port.rx_buffers(0).unwrap().0, all);
    for _ in 0..10 {
        let slot = tx.reserve().unwrap();
        tx.send(slot, 60).unwrap();
    }
    assert_eq!(port.stats().unwrap().tx_frames, 10);
    drop((rx, tx));
    port.close().unwrap();
}

/// Frames beyond the MTU come in several buffers: dropped and counted, the others untouched and in order. The driver
/// stamps its frames.
fn captured_frames(eal: &Eal) {
    let port = start(eal, "net_pcap0");
    let mut rx = port.rx_handle(0).unwrap().attach();
    let mut lengths = Vec::new();
    for _ in 0..4 {
        let burst = rx.poll();
        for i in 0..burst.len() {
            let frame = burst.frame(i);
            assert!(frame.bytes.iter().zip(0..).all(|(b, at)| *b == (at % 251) as u8));
            assert_ne!(frame.flags & HW_STAMP, 0);
            assert_ne!(frame.stamp, 0);
            lengths.push(frame.bytes.len());
        }
    }
    assert_eq!(lengths, [60, 1_514]);
    assert_eq!(rx.drops(), RxDrops { segmented: 1, truncated: 0 });
    let (free, all) = port.rx_buffers(0).unwrap();
    assert_eq!(free, all);
    drop(rx);
    port.close().unwrap();
}

/// The worker's panic is told, and the lcore works again.
fn panics(eal: &Eal) {
    let worker = eal.worker_lcores()[0];
    eal.launch(worker, || panic!("on purpose: the test looks for it")).unwrap();
    assert!(matches!(eal.wait(), Err(EalError::WorkerPanicked(at)) if at == worker));
    eal.launch(worker, || {}).unwrap();
    eal.wait().unwrap();
}

/// EAL ends when its last share is gone, and a port that outlives it still works.
fn end(eal: Eal) {
    let port = start(&eal, "net_ring1");
    let stop = eal.stop_flag().clone();
    let worker = eal.worker_lcores()[0];
    let loop_stop = stop.clone();
    let handle = port.rx_handle(0).unwrap();
    eal.launch(worker, move || {
        let mut rx = handle.attach();
        while !loop_stop.is_set() {
            assert!(rx.poll().is_empty());
        }
    })
    .unwrap();
    assert!(eal.is_running(worker));
    assert!(matches!(eal.launch(worker, || {}), Err(EalError::Busy(_))));
    // Sets the flag and waits for the worker.
    drop(eal);
    assert!(stop.is_set());
    assert!(port.link().unwrap().up);
    port.close().unwrap();
}
