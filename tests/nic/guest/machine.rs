//! What a guest is made of: QEMU's arguments, and the little that differs between guests.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

pub(super) const QEMU: &str = "qemu-system-x86_64";

/// Where the first NIC stands on the root bus; the others follow.
const FIRST_SLOT: usize = 0x10;

/// A NIC that QEMU emulates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// 82574L
    E1000e,
    /// 82576
    Igb,
    /// 82540EM
    E1000,
    /// virtio-net, modern, behind the IOMMU
    Virtio,
    Vmxnet3,
}

impl Model {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::E1000e => "e1000e",
            Self::Igb => "igb",
            Self::E1000 => "e1000",
            Self::Virtio => "virtio",
            Self::Vmxnet3 => "vmxnet3",
        }
    }

    /// Its driver in the kernel, as sysfs names it: that of a virtio NIC's PCI side is the bus driver.
    pub(crate) const fn kernel_driver(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-pci",
            _ => self.name(),
        }
    }

    const fn module(self) -> &'static str {
        match self {
            Self::Virtio => "virtio_net",
            _ => self.name(),
        }
    }

    const fn device(self) -> &'static str {
        match self {
            Self::Virtio => "virtio-net-pci,disable-legacy=on,iommu_platform=on",
            _ => self.name(),
        }
    }
}

/// What is at the other end of a NIC's cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// The host: see [`super::Guest::wire`].
    Host,
    /// NIC number so many of the same guest, whose wire names this one.
    Nic(usize),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Nic {
    pub(crate) model: Model,
    pub(crate) mac: [u8; 6],
    pub(crate) wire: Wire,
}

impl Nic {
    /// Wired to the host, with the usual address of the handler in our tests.
    pub(crate) const fn new(model: Model) -> Self {
        Self { model, mac: [2, 0, 0, 0, 0, 2], wire: Wire::Host }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// An emulated IOMMU, and a kernel that uses it.
    pub(crate) iommu: bool,
    /// Pages of 2 MiB. With 0 hugetlbfs is not mounted either.
    pub(crate) hugepages: u32,
    /// vfio-pci is loaded.
    pub(crate) vfio: bool,
    /// The kernel's drivers of the NICs are loaded.
    pub(crate) kernel_drivers: bool,
    /// All NICs stand behind one PCI bridge, and so in one IOMMU group. For e1000, e1000e and virtio.
    pub(crate) one_group: bool,
    /// Two NUMA nodes, with a CPU and half of the memory each. The NICs' is not said.
    pub(crate) two_nodes: bool,
    /// A kernel interface `lan` (10.0.2.15) besides, by which the guest reaches the host's sockets at 10.0.2.2.
    pub(crate) lan: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            iommu: true,
            hugepages: 96,
            vfio: true,
            kernel_drivers: true,
            one_group: false,
            two_nodes: false,
            lan: false,
        }
    }
}

impl Options {
    /// What the guest does before its first command.
    pub(super) fn start_script(&self, nics: &[Nic]) -> String {
        let mut script = String::new();
        if self.lan {
            // Before others of its kind come; it stands where no NIC under test does.
            script.push_str("modprobe virtio_net\n");
            script.push_str("for i in /sys/bus/pci/devices/0000:00:1f.7/virtio*/net/*; do ip link set ${i##*/} name lan; done\n");
            script.push_str("ip address add 10.0.2.15/24 dev lan; ip link set lan up\n");
        }
        if self.kernel_drivers {
            for nic in nics {
                let _ = writeln!(script, "modprobe {}", nic.model.module());
            }
        }
        if self.vfio {
            script.push_str("modprobe vfio_iommu_type1; modprobe vfio-pci\n");
        }
        if self.hugepages > 0 {
            script.push_str("mount -t hugetlbfs huge /dev/hugepages\n");
        }
        script
    }
}

/// The version of QEMU here, its first number; `None` where there is no QEMU.
fn qemu_major() -> Option<u32> {
    static MAJOR: OnceLock<Option<u32>> = OnceLock::new();
    *MAJOR.get_or_init(|| {
        let said = Command::new(QEMU).arg("--version").output().ok()?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        said.split("version ").nth(1)?.split('.').next()?.parse().ok()
    })
}

/// Whether QEMU has this NIC.
pub(crate) fn possible(model: Model) -> Result<(), String> {
    let Some(major) = qemu_major() else { return Err(format!("no {QEMU}: run tools/setup.sh nic")) };
    // The datagram backend is of 7.2.
    let least = if model == Model::Igb { 8 } else { 7 };
    if major < least { Err(format!("not possible with QEMU {major}: {least} is needed")) } else { Ok(()) }
}

/// Where NIC `index` is plugged in, as QEMU's bus and slot, and as the guest's kernel names it.
fn plug(nics: &[Nic], options: &Options, index: usize) -> (String, String) {
    if options.one_group {
        return (format!("bus=bridge,addr={:#x}", index + 1), format!("0000:01:{:02x}.0", index + 1));
    }
    if nics[index].model == Model::Igb {
        // It wants a slot of PCI Express; the firmware numbers the buses behind the ports in their order.
        let bus = nics[..=index].iter().filter(|nic| nic.model == Model::Igb).count();
        return (format!("bus=port{index}"), format!("0000:{bus:02x}:00.0"));
    }
    let slot = FIRST_SLOT + index;
    (format!("bus=pcie.0,addr={slot:#x}"), format!("0000:00:{slot:02x}.0"))
}

/// The PCI addresses of the NICs.
pub(super) fn addresses(nics: &[Nic], options: &Options) -> Vec<String> {
    (0..nics.len()).map(|index| plug(nics, options, index).1).collect()
}

pub(super) fn arguments(
    nics: &[Nic],
    options: &Options,
    place: &Path,
    directory: &Path,
    sockets: &Path,
) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut add = |words: &str| all.extend(words.split(' ').map(str::to_owned));
    let shown = |path: &Path| path.display().to_string();
    add("-machine q35 -accel tcg,thread=multi -cpu max -smp 2 -m 1G -nodefaults -display none -no-reboot");
    if options.two_nodes {
        for node in 0..2 {
            add(&format!("-object memory-backend-ram,id=memory{node},size=512M"));
            add(&format!("-numa node,nodeid={node},cpus={node},memdev=memory{node}"));
        }
    }
    add(&format!(
        "-kernel {} -initrd {}",
        shown(&place.join("vmlinuz")),
        shown(&place.join("initramfs.cpio"))
    ));
    // The kernel gives up where its timer seems to stand still, which it does on a host that is busy.
    let mut line = format!(
        "console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check hugepages={}",
        options.hugepages
    );
    if options.iommu {
        // First of all devices: those before it would be outside of it.
        add("-device intel-iommu,intremap=on");
        line.push_str(" intel_iommu=on iommu=pt");
    }
    add("-serial");
    add(&format!("file:{}", shown(&directory.join("console"))));
    add(&format!("-chardev socket,id=bell,server=on,wait=off,path={}", shown(&sockets.join("bell"))));
    add("-serial chardev:bell");
    add(&format!("-chardev socket,id=monitor,server=on,wait=off,path={}", shown(&sockets.join("monitor"))));
    add("-mon chardev=monitor,mode=readline");
    add(&format!("-fsdev local,id=host,security_model=none,path={}", shown(&directory.join("host"))));
    add("-device virtio-9p-pci,fsdev=host,mount_tag=host,bus=pcie.0,addr=0x8");
    if options.lan {
        add("-netdev user,id=lan -device virtio-net-pci,netdev=lan,romfile=,bus=pcie.0,addr=0x1f.7");
    }
    if options.one_group {
        add("-device pcie-pci-bridge,id=bridge,bus=pcie.0,addr=0x1e");
    }
    for (index, nic) in nics.iter().enumerate() {
        let (here, there) = match nic.wire {
            Wire::Host => (format!("n{index}.guest"), format!("n{index}.host")),
            Wire::Nic(other) => (format!("n{index}.guest"), format!("n{other}.guest")),
        };
        add(&format!(
            "-netdev dgram,id=n{index},local.type=unix,local.path={},remote.type=unix,remote.path={}",
            shown(&sockets.join(here)),
            shown(&sockets.join(there))
        ));
        if nic.model == Model::Igb && !options.one_group {
            add(&format!(
                "-device pcie-root-port,id=port{index},chassis={},bus=pcie.0,addr={:#x}",
                index + 1,
                FIRST_SLOT + index
            ));
        }
        let [a, b, c, d, e, f] = nic.mac;
        add(&format!(
            "-device {},netdev=n{index},mac={a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x},romfile=,{}",
            nic.model.device(),
            plug(nics, options, index).0
        ));
    }
    all.extend(["-append".to_owned(), line]);
    all
}
