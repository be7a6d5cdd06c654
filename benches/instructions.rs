//! How many instructions a poll, a received frame and a sent frame take: counted one by one, not timed.
//!
//! The processor's trap flag stops the program after each instruction, and a signal handler counts the stops. The number is exact,
//! the same on every run and on every machine with the same code, also in an emulator. It says nothing of what an instruction
//! costs: a doorbell is one, and so is a cache miss. An iteration of a repeated string instruction counts as one.
//!
//! `cargo test --release --bench instructions` counts on this machine: our own driver over plain memory (the program plays the
//! device between the counted parts), and DPDK's net_ring and net_null. On a NIC (`make bench-instructions` has emulated ones in
//! a guest): `instructions direct PCI INTERFACE` and `instructions dpdk PCI INTERFACE`, the interface being the kernel's at the
//! other end of the cable.
//!
//! What is counted: `RxQueue::poll`, taking address and length of each frame, dropping the burst; and `TxQueue::reserve`, then
//! `send`. Arming descriptors, doorbells, and giving back of buffers are included, as means over many bursts.
#![allow(unsafe_code, reason = "single steps, and memory that plays a device")]
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a bench prints its table, or fails")]

#[path = "instructions/plain.rs"]
mod plain;
#[path = "../tests/nic/raw.rs"]
mod raw;
#[path = "instructions/step.rs"]
mod step;

use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

use raw::Raw;
use step::instructions;
use wirebook::nic::intel1g::{Chip, Port, PortConfig};
use wirebook::nic::vfio::VfioDevice;
use wirebook::nic::{RxBurst, RxQueue, TxQueue};

/// Frames of a burst, and how many bursts are counted.
const BURSTS: [(usize, usize); 3] = [(1, 128), (4, 64), (32, 16)];

/// Frames sent and counted: several times round the ring.
const SENDS: usize = 1_024;

/// Bytes of a frame, without FCS.
const LEN: usize = 60;

/// What happens outside of what is counted.
trait World<R, T> {
    /// Makes the next poll find `count` frames.
    fn feed(&mut self, rx: &mut R, tx: &mut T, count: usize);
    /// Takes away what was sent.
    fn after_send(&mut self, rx: &mut R);
    /// Bursts of any size can be made.
    fn sizes(&self) -> bool {
        true
    }
}

/// Counts on one pair of queues, and prints one row.
fn measure<R: RxQueue, T: TxQueue>(name: &str, rx: &mut R, tx: &mut T, world: &mut impl World<R, T>) {
    let empty = empty_poll(rx);
    row(name, empty, rx, tx, world);
}

/// The same where an empty poll had to be counted elsewhere.
fn row<R: RxQueue, T: TxQueue>(name: &str, empty: u64, rx: &mut R, tx: &mut T, world: &mut impl World<R, T>) {
    let mut cells = vec![name.to_owned(), empty.to_string()];
    for (size, samples) in BURSTS {
        if !world.sizes() && size != 32 {
            cells.push("–".to_owned());
            continue;
        }
        let per_burst = received(rx, tx, world, size, samples);
        cells.push(format!("{:.1}", per_burst / size as f64));
    }
    cells.push(format!("{:.1}", sent(rx, tx, world)));
    println!("| {} |", cells.join(" | "));
}

fn empty_poll<R: RxQueue>(rx: &mut R) -> u64 {
    let once = |rx: &mut R| {
        instructions(|| {
            let burst = rx.poll();
            black_box(burst.len());
        })
    };
    for _ in 0..8 {
        once(rx);
    }
    let counts: Vec<u64> = (0..9).map(|_| once(rx)).collect();
    assert!(counts.iter().all(|count| *count == counts[0]), "an empty poll is always the same: {counts:?}");
    counts[0]
}

/// Mean per burst.
fn received<R: RxQueue, T: TxQueue>(
    rx: &mut R,
    tx: &mut T,
    world: &mut impl World<R, T>,
    size: usize,
    samples: usize,
) -> f64 {
    let (mut total, mut taken, mut tries) = (0, 0, 0);
    while taken < samples {
        tries += 1;
        assert!(tries < 4 * samples + 100, "frames do not come in bursts of {size}");
        world.feed(rx, tx, size);
        let mut frames = 0;
        let count = instructions(|| {
            let burst = rx.poll();
            frames = burst.len();
            for i in 0..frames {
                let frame = burst.frame(i);
                black_box((frame.bytes.as_ptr(), frame.bytes.len()));
            }
        });
        // The first burst of a size resolves symbols and touches new memory.
        if frames == size && tries > 4 {
            total += count;
            taken += 1;
        }
        // Late ones of a burst that came in parts.
        while world.sizes() && !rx.poll().is_empty() {}
    }
    total as f64 / samples as f64
}

/// Mean per frame.
fn sent<R: RxQueue, T: TxQueue>(rx: &mut R, tx: &mut T, world: &mut impl World<R, T>) -> f64 {
    let mut total = 0;
    for i in 0..SENDS + SENDS / 4 {
        let mut done = false;
        let count = instructions(|| {
            if let Some(slot) = tx.reserve() {
                done = tx.send(slot, LEN as u16).is_ok();
            }
        });
        assert!(done, "no buffer, or no room in the ring, at frame {i}");
        // The first ones fill the ring, before buffers come back.
        if i >= SENDS / 4 {
            total += count;
        }
        world.after_send(rx);
    }
    total as f64 / SENDS as f64
}

/// A cable with a kernel's interface at the other end.
struct Cable {
    peer: Raw,
    frame: Vec<u8>,
}

impl Cable {
    fn new(interface: &str, mac: [u8; 6]) -> Self {
        let mut frame = vec![0; LEN];
        frame[..6].copy_from_slice(&mac);
        // From nobody in particular, of a local experiment's EtherType.
        frame[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
        Self { peer: Raw::open(interface), frame }
    }
}

impl<R, T> World<R, T> for Cable {
    fn feed(&mut self, _: &mut R, _: &mut T, count: usize) {
        for _ in 0..count {
            self.peer.send(&self.frame);
        }
        // There is no way to ask whether they are there that is not a poll.
        thread::sleep(Duration::from_millis(100));
    }
    fn after_send(&mut self, _: &mut R) {
        while self.peer.receive().is_some() {}
    }
}

fn direct(nic: &str, interface: &str) -> Result<(), Box<dyn Error>> {
    let config = PortConfig { rx_descriptors: 256, tx_descriptors: 256, mtu: 1_500 };
    let device = VfioDevice::open(nic.parse()?, config.memory(), |id| Chip::of(id).is_some())?;
    let chip = Chip::of(device.id()).ok_or("no controller that is known")?;
    let port = Port::start(device, chip, &config)?;
    assert!(port.wait_for_link(Duration::from_secs(20)).up, "no link");
    let (rx, tx) = port.queues()?;
    let (mut rx, mut tx) = (rx.attach(), tx.attach());
    let mut cable = Cable::new(interface, port.mac());
    measure(&format!("direct, {chip}"), &mut rx, &mut tx, &mut cable);
    Ok(())
}

/// Our own driver over plain memory.
fn on_memory() -> Result<(), Box<dyn Error>> {
    let config = PortConfig { rx_descriptors: 256, tx_descriptors: 256, mtu: 1_500 };
    let device = plain::Plain::new(config.memory());
    let port = Port::start(device.clone(), Chip::I82574, &config)?;
    let (rx, tx) = port.queues()?;
    measure("direct, on plain memory", &mut rx.attach(), &mut tx.attach(), &mut plain::Far::new(device));
    Ok(())
}

#[cfg(feature = "dpdk")]
mod dpdk {
    use super::{Cable, LEN, World, empty_poll, measure, row};
    use std::error::Error;
    use std::time::Duration;
    use wirebook::eal::Eal;
    use wirebook::nic::dpdk::{DpdkRx, DpdkTx};
    use wirebook::nic::{RxQueue, TxQueue};
    use wirebook::pmd::{Port, PortConfig};

    fn config() -> PortConfig {
        PortConfig { rx_descriptors: 256, tx_descriptors: 256, stamps: false, ..PortConfig::default() }
    }

    /// What is sent is received.
    struct Ring;

    impl World<DpdkRx, DpdkTx> for Ring {
        fn feed(&mut self, _: &mut DpdkRx, tx: &mut DpdkTx, count: usize) {
            for _ in 0..count {
                let slot = tx.reserve().expect("a buffer");
                assert!(tx.send(slot, LEN as u16).is_ok());
            }
        }
        fn after_send(&mut self, rx: &mut DpdkRx) {
            drop(rx.poll());
        }
    }

    /// Every poll brings 32 frames, and what is sent is gone.
    struct Null;

    impl World<DpdkRx, DpdkTx> for Null {
        fn feed(&mut self, _: &mut DpdkRx, _: &mut DpdkTx, _: usize) {}
        fn after_send(&mut self, _: &mut DpdkRx) {}
        fn sizes(&self) -> bool {
            false
        }
    }

    fn queues(port: &Port) -> Result<(DpdkRx, DpdkTx), Box<dyn Error>> {
        Ok((port.rx_handle(0)?.attach(), port.tx_handle(0)?.attach()))
    }

    pub(super) fn virtual_devices() -> Result<(), Box<dyn Error>> {
        let eal = Eal::init(&[
            "--no-huge",
            "--no-pci",
            "--no-shconf",
            "--no-telemetry",
            "-m",
            "256",
            "-l",
            "0",
            "--vdev=net_ring0",
            "--vdev=net_null0,no-rx=1",
            "--vdev=net_null1,size=60",
        ])?;
        let start = |name| Port::probe(&eal, name)?.start(&config());
        let (ring, silent, null) = (start("net_ring0")?, start("net_null0")?, start("net_null1")?);
        let (mut rx, mut tx) = queues(&ring)?;
        measure("DPDK, net_ring", &mut rx, &mut tx, &mut Ring);
        let empty = empty_poll(&mut silent.rx_handle(0)?.attach());
        let (mut rx, mut tx) = queues(&null)?;
        row("DPDK, net_null", empty, &mut rx, &mut tx, &mut Null);
        Ok(())
    }

    pub(super) fn nic(nic: &str, interface: &str) -> Result<(), Box<dyn Error>> {
        let eal = Eal::init(&["--in-memory", "--no-telemetry", "-m", "64", "-l", "0", "-a", nic])?;
        let port = Port::probe(&eal, nic)?.start(&config())?;
        port.wait_for_link(Duration::from_secs(20))?;
        let (mut rx, mut tx) = queues(&port)?;
        let mut cable = Cable::new(interface, port.mac());
        measure(&format!("{}, {}", eal.version(), port.info().driver), &mut rx, &mut tx, &mut cable);
        Ok(())
    }
}

const USAGE: &str = "instructions [direct PCI INTERFACE | dpdk PCI INTERFACE]";

fn main() -> Result<(), Box<dyn Error>> {
    // cargo adds --bench.
    let args: Vec<_> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    println!("instructions, by single steps ({} a step's own are taken off)", step::own());
    println!("| | empty poll | a frame of 1 | a frame of 4 | a frame of 32 | send |");
    println!("|---|---|---|---|---|---|");
    match words[..] {
        [] => {
            on_memory()?;
            #[cfg(feature = "dpdk")]
            dpdk::virtual_devices()?;
            Ok(())
        }
        ["direct", nic, interface] => direct(nic, interface),
        #[cfg(feature = "dpdk")]
        ["dpdk", nic, interface] => dpdk::nic(nic, interface),
        _ => Err(USAGE.into()),
    }
}
