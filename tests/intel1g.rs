//! The driver of our own for Intel's gigabit controllers, on a model of the device: conformance with the seam, the life of its
//! rings, and a device that does not tell the truth.
#![allow(unsafe_code, reason = "the model is a device: it shares raw memory with the driver")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
#[path = "intel1g/model.rs"]
mod model;
#[path = "intel1g/rings.rs"]
mod rings;

use conformance::{Harness, Path, run_all};
use model::{MAC, Model};
use wirebook::nic::intel1g::{Chip, Port, PortConfig, Rx, Tx};
use wirebook::nic::{RxBurst as _, RxDrops, RxQueue};

const CONFIG: PortConfig = PortConfig { rx_descriptors: 128, tx_descriptors: 64, mtu: 1_500 };

/// A port on a model, and the model's other side.
struct Bench {
    port: Port<Model>,
    rx: Rx<Model>,
    tx: Tx<Model>,
    model: Model,
    name: &'static str,
}

impl Bench {
    fn new(chip: Chip, config: PortConfig) -> Self {
        let model = Model::new(chip, config.memory());
        let port = Port::start(model.clone(), chip, &config).unwrap();
        let (rx, tx) = port.queues().unwrap();
        let name = if chip == Chip::I82574 { "direct 82574L" } else { "direct 82576" };
        Self { port, rx: rx.attach(), tx: tx.attach(), model, name }
    }

    /// No driver may end with these.
    fn check(&self) {
        let faults = &self.model.state().faults;
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

impl Harness for Bench {
    type Rx = Rx<Model>;
    type Tx = Tx<Model>;

    fn name(&self) -> &'static str {
        self.name
    }
    fn queues(&mut self) -> (&mut Rx<Model>, &mut Tx<Model>) {
        (&mut self.rx, &mut self.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        assert!(self.model.deliver(frame), "the ring took no frame of {} bytes", frame.len());
    }
    fn sent(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.model.state().sent)
    }
    fn max_frame(&self) -> usize {
        1_522
    }
    fn in_flight(&self) -> usize {
        60
    }
    fn tx_buffers(&self) -> Option<usize> {
        Some(63)
    }
    fn rx_path(&self) -> Path {
        Path { dst_mac: MAC, ..Path::default() }
    }
    fn inject_undeliverable(&mut self) -> Option<RxDrops> {
        // Three buffers' worth, and a device that states more bytes than it may write.
        self.inject(&[&MAC[..], &[0; 5_000]].concat());
        self.model.deliver_raw(&[0xee; 64], 3 | 0xffff << 32);
        Some(RxDrops { segmented: 1, truncated: 1 })
    }
}

#[test]
fn the_82574_conforms() {
    let mut bench = Bench::new(Chip::I82574, CONFIG);
    run_all(&mut bench);
    bench.check();
}

#[test]
fn the_82576_conforms() {
    let mut bench = Bench::new(Chip::I82576, CONFIG);
    run_all(&mut bench);
    bench.check();
}

#[test]
fn queues_stay_on_their_thread_and_handles_may_travel() {
    assert_not_send!(Rx<Model>);
    assert_not_send!(Tx<Model>);
    let bench = Bench::new(Chip::I82574, CONFIG);
    assert!(bench.port.queues().is_err(), "queues exist once");
    let model = Model::new(Chip::I82574, CONFIG.memory());
    let port = Port::start(model, Chip::I82574, &CONFIG).unwrap();
    let (rx, _tx) = port.queues().unwrap();
    std::thread::spawn(move || assert!(rx.attach().poll().is_empty())).join().unwrap();
}
