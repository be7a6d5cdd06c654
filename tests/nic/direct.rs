//! The driver of our own in a guest: the conformance suite of the seam on an emulated controller, with a kernel-driven NIC at
//! the other end of the cable.
//!
//! The suite runs in the guest: this very program is taken there, and told by a variable that it is there.

use std::time::{Duration, Instant};

use wirebook::nic::intel1g::{Chip, Port, PortConfig, Rx, Tx};
use wirebook::nic::vfio::VfioDevice;
use wirebook::nic::{RxDrops, TxQueue};

use crate::conformance::{Harness, Path, run_all};
use crate::guest::{Guest, LONG, Model, Nic, Options, Wire, alone, also, possible, say};
use crate::raw::Raw;

/// In the guest: address of the NIC and interface of the other side.
const INSIDE: &str = "WIREBOOK_INSIDE";

#[test]
#[ignore = "needs QEMU: make test-nic"]
fn the_direct_driver_conforms_on_an_82574() {
    conforms(Model::E1000e);
}

#[test]
#[ignore = "needs QEMU: make test-nic"]
fn the_direct_driver_conforms_on_an_82576() {
    conforms(Model::Igb);
}

/// A guest in which NIC 0 is bound to vfio-pci and NIC 1, at the other end of its cable, is an interface of the kernel, whose
/// name is returned. `None` where QEMU has no such NIC.
fn guest(name: &str, model: Model) -> Option<(Guest, String)> {
    let nics = [
        Nic { wire: Wire::Nic(1), ..Nic::new(model) },
        Nic { model: Model::Virtio, mac: [2, 0, 0, 0, 0, 1], wire: Wire::Nic(0) },
    ];
    if let Err(why) = possible(model) {
        say(&format!("SKIPPED {name}: {why}"));
        return None;
    }
    let mut guest = Guest::boot(name, &nics, &Options::default()).unwrap();
    let (nic, peer) = (guest.address(0).to_owned(), guest.address(1).to_owned());
    let interface = guest.must(&format!("ls /sys/bus/pci/devices/{peer}/virtio*/net")).trim().to_owned();
    guest.must(&format!(
        "dpdk-devbind-wrapper.sh bind {nic}; \
         [ ! -d /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/{interface}/disable_ipv6; \
         ip link set {interface} mtu 4000 promisc on up"
    ));
    Some((guest, interface))
}

/// Takes a program there.
fn take(guest: &mut Guest, program: &std::path::Path, name: &str) {
    also(&guest.host().join("root"), program, name).unwrap();
    guest.must(&format!("cp /host/root/bin/{name} /bin/"));
}

fn conforms(model: Model) {
    let _machine = alone();
    let Some((mut guest, interface)) = guest(&format!("conformance-{}", model.name()), model) else { return };
    let nic = guest.address(0).to_owned();
    take(&mut guest, &std::env::current_exe().unwrap(), "inside");
    let command = format!(
        "env {INSIDE}=\"{nic} {interface}\" inside --ignored --exact direct::inside_the_guest --nocapture"
    );
    let ended = guest.run(&command, 2 * LONG);
    say(&ended.stderr);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("reclaim, refill and warm"), "the suite did not run:\n{}", ended.stderr);
    // The device can be given back: nothing holds it any more.
    guest.must(&format!(
        "dpdk-devbind-wrapper.sh restore; readlink /sys/bus/pci/devices/{nic}/driver | grep {}",
        model.name()
    ));
}

/// The program of `benches/instructions.rs`, built as for use.
fn instructions_program() -> std::path::PathBuf {
    let built = std::process::Command::new(env!("CARGO"))
        .args(["test", "--release", "--bench", "instructions", "--no-run"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr).into_owned();
    assert!(built.status.success(), "{said}");
    // `Executable benches/instructions.rs (target/debug/deps/instructions-…)`
    let path = said.rsplit_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(path, _)| path);
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path.unwrap_or_else(|| panic!("{said}")))
}

/// The last row of the program's table, as numbers: empty poll, frames of bursts of 1, 4 and 32, a frame sent.
fn row(table: &str) -> Vec<f64> {
    let last = table.lines().rfind(|line| line.starts_with("| ")).unwrap_or_else(|| panic!("{table}"));
    last.split('|').filter_map(|cell| cell.trim().parse().ok()).collect()
}

/// What the direct driver is for: fewer instructions than DPDK's on the same NIC, on every way.
#[test]
#[ignore = "needs QEMU: make bench-instructions"]
fn fewer_instructions_than_dpdks_drivers() {
    let program = instructions_program();
    let _machine = alone();
    for model in [Model::E1000e, Model::Igb] {
        let Some((mut guest, interface)) = guest(&format!("instructions-{}", model.name()), model) else {
            continue;
        };
        let nic = guest.address(0).to_owned();
        take(&mut guest, &program, "instructions");
        let mut count = |driver: &str| {
            let ended = guest.run(&format!("instructions {driver} {nic} {interface}"), 3 * LONG);
            assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
            say(&ended.stdout);
            row(&ended.stdout)
        };
        let (ours, theirs) = (count("direct"), count("dpdk"));
        assert_eq!((ours.len(), theirs.len()), (5, 5), "{ours:?} {theirs:?}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!(ours < theirs, "{ours} is not less than {theirs}");
        }
    }
}

/// A port of the direct driver, and the raw socket at the other end of its cable.
struct Cable {
    port: Port<VfioDevice>,
    rx: Rx<VfioDevice>,
    tx: Tx<VfioDevice>,
    peer: Raw,
}

/// What ends a batch: a local experiment's EtherType.
const MARK: [u8; 2] = [0x88, 0xb5];

impl Cable {
    fn is_mark(frame: &[u8]) -> bool {
        frame.get(12..14) == Some(&MARK)
    }
}

impl Harness for Cable {
    type Rx = Rx<VfioDevice>;
    type Tx = Tx<VfioDevice>;

    fn name(&self) -> &'static str {
        match self.port.chip() {
            Chip::I82574 => "direct 82574L",
            Chip::I82576 => "direct 82576",
        }
    }
    fn queues(&mut self) -> (&mut Rx<VfioDevice>, &mut Tx<VfioDevice>) {
        (&mut self.rx, &mut self.tx)
    }
    fn inject(&mut self, frame: &[u8]) {
        self.peer.send(frame);
    }
    /// Frames stay in order: when a last one of our own has arrived, all have.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut mark = self.tx.reserve().expect("a transmit buffer");
        mark[..60].fill(0xff);
        mark[12..14].copy_from_slice(&MARK);
        assert!(self.tx.send(mark, 60).is_ok());
        let mut frames = Vec::new();
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            assert!(Instant::now() < end, "no end after {} frames", frames.len());
            match self.peer.receive() {
                Some(frame) if Self::is_mark(&frame) => break,
                Some(frame) => frames.push(frame),
                None => std::thread::yield_now(),
            }
        }
        // The device's report may come after the frame.
        while self.tx.buffers().0 < self.tx.buffers().1 {
            assert!(Instant::now() < end, "transmit buffers do not come back: {:?}", self.tx.buffers());
            self.tx.reclaim();
        }
        frames
    }
    fn max_frame(&self) -> usize {
        1_514
    }
    fn in_flight(&self) -> usize {
        48
    }
    fn tx_buffers(&self) -> Option<usize> {
        Some(self.tx.buffers().1)
    }
    fn rx_path(&self) -> Path {
        Path { dst_mac: self.port.mac(), ..Path::default() }
    }
    fn inject_undeliverable(&mut self) -> Option<RxDrops> {
        // Two buffers' worth.
        self.peer.send(&[&self.port.mac()[..], &[0; 3_000]].concat());
        Some(RxDrops { segmented: 1, truncated: 0 })
    }
}

#[test]
#[ignore = "for the guest; does nothing elsewhere"]
fn inside_the_guest() {
    let Ok(place) = std::env::var(INSIDE) else { return };
    let (nic, interface) = place.split_once(' ').expect("an address and an interface");
    let config = PortConfig { rx_descriptors: 128, tx_descriptors: 64, mtu: 1_500 };
    let device =
        VfioDevice::open(nic.parse().unwrap(), config.memory(), |id| Chip::of(id).is_some()).unwrap();
    let chip = Chip::of(device.id()).unwrap();
    let port = Port::start(device, chip, &config).unwrap();
    assert!(port.wait_for_link(Duration::from_secs(20)).up, "no link");
    let (rx, tx) = port.queues().unwrap();
    let mut cable = Cable { rx: rx.attach(), tx: tx.attach(), port, peer: Raw::open(interface) };
    settle(&mut cable);
    run_all(&mut cable);
    let stats = cable.port.stats();
    assert!(stats.rx_frames > 20_000 && stats.tx_frames > 20_000 && stats.rx_missed == 0, "{stats:?}");
}

/// Lets pass what the kernel says when an interface comes up.
fn settle(cable: &mut Cable) {
    use wirebook::nic::{RxBurst as _, RxQueue as _};
    let mut last = Instant::now();
    while last.elapsed() < Duration::from_millis(500) {
        if !cable.rx.poll().is_empty() {
            last = Instant::now();
        }
    }
}
