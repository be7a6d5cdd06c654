//! The conformance suite of the NIC seam on DPDK ports: `net_ring`, which turns what is sent back to its receiver, and two
//! `net_memif` ports that face each other and copy frames between them as a NIC does. The latter twice: the second time, two
//! share the near port, and the one under test is not the one that receives.
//!
//! EAL starts once in a process: one test function.
#![cfg(feature = "dpdk")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod conformance;

use std::time::{Duration, Instant};

use conformance::{Harness, run_all};
use wirebook::eal::Eal;
use wirebook::nic::dpdk::{DpdkRx, DpdkTx, FanRx};
use wirebook::nic::{RxBurst, RxQueue, TxQueue};
use wirebook::pmd::{Port, PortConfig};

/// Frames that may be under way: less than any ring here holds.
const IN_FLIGHT: usize = 64;

/// How long frames on their way may take.
const PATIENCE: Duration = Duration::from_millis(20);

fn start(eal: &Eal, name: &str) -> (Port, DpdkRx, DpdkTx) {
    let port = Port::probe(eal, name).unwrap().start(&PortConfig::default()).unwrap();
    let (rx, tx) = (port.rx_handle(0).unwrap().attach(), port.tx_handle(0).unwrap().attach());
    (port, rx, tx)
}

fn transmit(tx: &mut DpdkTx, frame: &[u8]) {
    let mut slot = tx.reserve().expect("a transmit buffer");
    slot[..frame.len()].copy_from_slice(frame);
    assert!(tx.send(slot, u16::try_from(frame.len()).unwrap()).is_ok(), "the ring is full");
}

/// Takes what comes until nothing has come for [`PATIENCE`].
fn drain(rx: &mut DpdkRx) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut last = Instant::now();
    while last.elapsed() < PATIENCE {
        let burst = rx.poll();
        for at in 0..burst.len() {
            frames.push(burst.frame(at).bytes.to_vec());
            last = Instant::now();
        }
    }
    frames
}

/// A port that receives what it sends.
struct Ring {
    port: Port,
    rx: DpdkRx,
    tx: DpdkTx,
}

impl Harness for Ring {
    type Rx = DpdkRx;
    type Tx = DpdkTx;

    fn name(&self) -> &'static str {
        "net_ring"
    }
    fn queues(&mut self) -> (&mut DpdkRx, &mut DpdkTx) {
        (&mut self.rx, &mut self.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        transmit(&mut self.tx, frame);
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        drain(&mut self.rx)
    }
    fn max_frame(&self) -> usize {
        1_514
    }
    fn in_flight(&self) -> usize {
        IN_FLIGHT
    }
    fn tx_buffers(&self) -> Option<usize> {
        self.port.tx_buffers(0).map(|(_, all)| all as usize)
    }
}

/// One of two ports; the other is the network.
struct Memif {
    port: Port,
    near: (DpdkRx, DpdkTx),
    far: (DpdkRx, DpdkTx),
}

impl Harness for Memif {
    type Rx = DpdkRx;
    type Tx = DpdkTx;

    fn name(&self) -> &'static str {
        "net_memif"
    }
    fn queues(&mut self) -> (&mut DpdkRx, &mut DpdkTx) {
        (&mut self.near.0, &mut self.near.1)
    }
    fn inject(&mut self, frame: &[u8]) {
        transmit(&mut self.far.1, frame);
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        drain(&mut self.far.0)
    }
    fn max_frame(&self) -> usize {
        1_514
    }
    fn in_flight(&self) -> usize {
        IN_FLIGHT
    }
    fn tx_buffers(&self) -> Option<usize> {
        self.port.tx_buffers(0).map(|(_, all)| all as usize)
    }
}

/// The same, where the near port is shared: one receives from its queue, the other gets all of it too.
struct Shared {
    port: Port,
    receives: FanRx,
    near: (FanRx, DpdkTx),
    far: (DpdkRx, DpdkTx),
}

impl Harness for Shared {
    type Rx = FanRx;
    type Tx = DpdkTx;

    fn name(&self) -> &'static str {
        "net_memif, shared"
    }
    fn queues(&mut self) -> (&mut FanRx, &mut DpdkTx) {
        (&mut self.near.0, &mut self.near.1)
    }
    fn inject(&mut self, frame: &[u8]) {
        // The driver gives its queue buffers when it is polled.
        assert!(self.receives.poll().is_empty());
        transmit(&mut self.far.1, frame);
        let began = Instant::now();
        while self.receives.poll().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(1), "a frame was lost");
        }
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        drain(&mut self.far.0)
    }
    fn max_frame(&self) -> usize {
        1_514
    }
    fn in_flight(&self) -> usize {
        IN_FLIGHT
    }
    fn tx_buffers(&self) -> Option<usize> {
        self.port.tx_buffers(0).map(|(_, all)| all as usize)
    }
}

#[test]
fn dpdk_ports_conform() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("memif.sock");
    let memif = |index: u32, role: &str| {
        let (id, socket) = (index / 2, socket.display());
        format!("--vdev=net_memif{index},role={role},id={id},socket={socket},socket-abstract=no")
    };
    let args = [
        "--no-huge".to_owned(),
        "--no-pci".to_owned(),
        "--no-shconf".to_owned(),
        "--no-telemetry".to_owned(),
        "-m".to_owned(),
        "256".to_owned(),
        "-l".to_owned(),
        "0".to_owned(),
        "--vdev=net_ring0".to_owned(),
        memif(0, "server"),
        memif(1, "client"),
        memif(2, "server"),
        memif(3, "client"),
    ];
    let eal = Eal::init(&args).unwrap();
    let (port, rx, tx) = start(&eal, "net_ring0");
    run_all(&mut Ring { port, rx, tx });

    let (far_port, far_rx, far_tx) = start(&eal, "net_memif0");
    let (port, rx, tx) = start(&eal, "net_memif1");
    for side in [&far_port, &port] {
        side.wait_for_link(Duration::from_secs(10)).unwrap();
    }
    run_all(&mut Memif { port, near: (rx, tx), far: (far_rx, far_tx) });

    let (far_port, far_rx, far_tx) = start(&eal, "net_memif2");
    let config = PortConfig { shared_with: 1, ..PortConfig::default() };
    let port = Port::probe(&eal, "net_memif3").unwrap().start(&config).unwrap();
    for side in [&far_port, &port] {
        side.wait_for_link(Duration::from_secs(10)).unwrap();
    }
    let [receives, rx] = port.fan(2).unwrap().try_into().unwrap();
    let near = (rx.attach(), port.tx_handle(0).unwrap().attach());
    let far = (far_rx, far_tx);
    let mut shared = Shared { port, receives: receives.attach(), near, far };
    run_all(&mut shared);
    // All that came was shared, nothing was missed, and every buffer is back.
    let counted = shared.near.0.shared();
    assert!(counted.taken > 1_000 && counted.missed == 0, "{counted:?}");
    let (free, all) = shared.port.rx_buffers(0).unwrap();
    // Those in the port's own ring are not free.
    assert!(free >= all - u32::from(shared.port.config().rx_descriptors), "{free} of {all}");
}
