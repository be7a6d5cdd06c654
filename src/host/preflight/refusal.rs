//! The reasons, each one line with its remedy.

use crate::host::cpus::CpuSet;

/// One reason why EAL cannot start, or finds no port, with these arguments here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No hugepages of any size are reserved.
    #[error(
        "no hugepages are reserved: `{}` as root, or run with --no-huge -m 256", reserve(*pages)
    )]
    NoHugepages {
        /// How many 2 MiB pages would do.
        pages: u64,
    },
    /// Hugepages exist, too few are free.
    #[error(
        "{free_mib} MiB of hugepages are free and {wanted_mib} MiB are wanted: end what holds them, reserve more in \
         /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, or lower -m"
    )]
    TooFewHugepages {
        /// Free, all sizes together.
        free_mib: u64,
        /// `-m`, or the least that makes sense.
        wanted_mib: u64,
    },
    /// Nowhere to put hugepage files.
    #[error("hugetlbfs is not mounted{at}: `{MOUNT}` as root, or run with --in-memory")]
    NoHugetlbfs {
        /// ` at DIR` when `--huge-dir` names one.
        at: String,
    },
    /// The mount is there and not writable by this user.
    #[error(
        "no right to write to the hugepages in {dir}: run as root, mount it with uid=, or run with --in-memory"
    )]
    HugetlbfsNotWritable {
        /// The mount point.
        dir: String,
    },
    /// Options of EAL that exclude each other.
    #[error("{first} and {second} exclude each other: leave out {second}")]
    Conflict {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// The lcore list cannot be read.
    #[error("{option} '{value}' is not a list of lcores: write it like {example}")]
    LcoreSyntax {
        /// As given.
        option: &'static str,
        /// As given.
        value: String,
        /// A form that this option takes.
        example: &'static str,
    },
    /// A CPU that is not online.
    #[error("{option} asks for CPU {cpu}, this machine has {online} online: choose among those")]
    CpuOffline {
        /// As given.
        option: &'static str,
        /// The first that is missing.
        cpu: u32,
        /// What there is.
        online: CpuSet,
    },
    /// A CPU that this process may not run on.
    #[error(
        "{option} asks for CPU {cpu}, this process may run only on {allowed} (taskset or cgroup cpuset): choose among \
         those, or widen the set"
    )]
    CpuNotAllowed {
        /// As given.
        option: &'static str,
        /// The first that is not allowed.
        cpu: u32,
        /// What is allowed.
        allowed: CpuSet,
    },
    /// `--main-lcore` is not one of the lcores.
    #[error("--main-lcore {main} is not among the lcores {lcores}: choose one of those")]
    MainLcore {
        /// As given.
        main: String,
        /// Those there are.
        lcores: CpuSet,
    },
    /// Another primary process has this prefix.
    #[error("file prefix '{prefix}' is in use by {owner}: end it, or run with --file-prefix=OTHER")]
    PrefixBusy {
        /// The prefix.
        prefix: String,
        /// `process 1234 (name)`.
        owner: String,
    },
    /// The driver of a virtual device, of a bus or of the buffer pools is not installed.
    #[error("{what} needs {library}, which is not in {dir}: `apt install {package}`")]
    NoDriver {
        /// Whose driver.
        what: String,
        /// The plugin's file name.
        library: String,
        /// EAL's plugin directory.
        dir: String,
        /// Debian's name of the package that has it.
        package: String,
    },
    /// The driver is not part of a statically linked program.
    #[error("{what} needs the driver {driver}, which is not linked into this program: it has {linked}")]
    NotLinked {
        /// Whose driver.
        what: String,
        /// Its name.
        driver: String,
        /// Those that are.
        linked: String,
    },
    /// `-a` names a device that is not there.
    #[error("-a {address}: no such PCI device: `lspci -D` lists those there are")]
    NoPciDevice {
        /// Domain:bus:device.function.
        address: String,
    },
    /// `-a` names a device without a driver.
    #[error("-a {address}: bound to no driver: `{}` gives it to vfio-pci", bind(address))]
    PciUnbound {
        /// Domain:bus:device.function.
        address: String,
    },
    /// `-a` names a device that the kernel drives.
    #[error(
        "-a {address}: bound to the kernel driver {driver}{interface}: \
         `{}` gives it to vfio-pci",
        bind(address)
    )]
    PciKernelDriver {
        /// Domain:bus:device.function.
        address: String,
        /// Such as `ixgbe`.
        driver: String,
        /// ` (interface NAME)` where it has one.
        interface: String,
    },
    /// A device that is not with vfio-pci, on a machine where it cannot be.
    #[error(
        "-a {address}: {state}, and there is no IOMMU for vfio-pci: switch on VT-d (Intel) or AMD-Vi in the BIOS and \
         boot with intel_iommu=on iommu=pt (AMD: iommu=pt), then `tools/dpdk-devbind-wrapper.sh bind {address}`"
    )]
    NoIommu {
        /// Domain:bus:device.function.
        address: String,
        /// `bound to …`.
        state: String,
    },
    /// The device's IOMMU group has devices that the kernel drives.
    #[error(
        "-a {address}: VFIO hands out whole IOMMU groups only, and group {group} also has {others}: \
         `tools/dpdk-devbind-wrapper.sh bind` those as well, or move the card to another slot"
    )]
    GroupNotViable {
        /// Domain:bus:device.function.
        address: String,
        /// Its IOMMU group.
        group: String,
        /// `0000:01:00.1 (igb)`, …
        others: String,
    },
    /// No module that maps memory for VFIO.
    #[error("-a {address}: VFIO cannot map memory, the module vfio_iommu_type1 is not loaded: `{TYPE1}`")]
    NoVfioType1 {
        /// Domain:bus:device.function.
        address: String,
    },
    /// VFIO's file is not there.
    #[error(
        "-a {address}: {file} is not there: give it to the container (--device {file}), or mount devtmpfs on /dev"
    )]
    NoVfioFile {
        /// Domain:bus:device.function.
        address: String,
        /// Below /dev/vfio.
        file: String,
    },
    /// VFIO's file belongs to somebody else.
    #[error("-a {address}: no right to open {file}: run as root, or `chown USER {file}` as root")]
    VfioNotPermitted {
        /// Domain:bus:device.function.
        address: String,
        /// Below /dev/vfio.
        file: String,
    },
    /// Another process has the device, or another of its group.
    #[error("-a {address}: IOMMU group {group} is held by {owner}: end it, or choose another port")]
    DeviceHeld {
        /// Domain:bus:device.function.
        address: String,
        /// Its IOMMU group.
        group: String,
        /// `process 1234 (name)`.
        owner: String,
    },
    /// VFIO locks what a device may reach, and this user may not lock so much.
    #[error(
        "-a {address}: this user may lock {limit_mib} MiB of memory and VFIO locks {wanted_mib} MiB: `ulimit -l \
         unlimited` (limits.conf: memlock; systemd: LimitMEMLOCK=infinity), or run as root"
    )]
    MemoryLock {
        /// Domain:bus:device.function.
        address: String,
        /// RLIMIT_MEMLOCK.
        limit_mib: u64,
        /// `-m`, or the least that makes sense.
        wanted_mib: u64,
    },
    /// A device that DPDK reaches through its kernel driver only, and that driver does not have it.
    #[error("-a {address}: {state}, and DPDK works through its kernel driver: {fix}")]
    Bifurcated {
        /// Domain:bus:device.function.
        address: String,
        /// `bound to …`.
        state: String,
        /// What to type.
        fix: String,
    },
}

const MOUNT: &str = "mkdir -p /dev/hugepages && mount -t hugetlbfs none /dev/hugepages";
const TYPE1: &str = "modprobe vfio_iommu_type1";

fn reserve(pages: u64) -> String {
    format!("echo {pages} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
}

fn bind(address: &str) -> String {
    format!("tools/dpdk-devbind-wrapper.sh bind {address}")
}

impl Refusal {
    /// Which check it fails: its row of the [`catalogue`](crate::host::catalogue).
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::NoHugepages { .. } | Self::TooFewHugepages { .. } => "hugepages",
            Self::NoHugetlbfs { .. } | Self::HugetlbfsNotWritable { .. } => "hugetlbfs",
            Self::Conflict { .. } => "options",
            Self::LcoreSyntax { .. }
            | Self::CpuOffline { .. }
            | Self::CpuNotAllowed { .. }
            | Self::MainLcore { .. } => "lcores",
            Self::PrefixBusy { .. } => "prefix.busy",
            Self::NoDriver { .. } | Self::NotLinked { .. } => "pmd",
            Self::NoPciDevice { .. } => "port.present",
            Self::PciUnbound { .. } | Self::PciKernelDriver { .. } | Self::Bifurcated { .. } => "port.driver",
            Self::NoIommu { .. } => "iommu",
            Self::GroupNotViable { .. } => "iommu.group",
            Self::NoVfioType1 { .. } | Self::NoVfioFile { .. } | Self::VfioNotPermitted { .. } => "vfio",
            Self::DeviceHeld { .. } => "port.held",
            Self::MemoryLock { .. } => "memlock",
        }
    }

    /// The shell line that mends it until reboot, where one line does and nothing has to be decided first.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        match self {
            Self::NoHugepages { pages } => Some(reserve(*pages)),
            Self::NoHugetlbfs { at } if at.is_empty() => Some(MOUNT.to_owned()),
            Self::PciUnbound { address } => Some(bind(address)),
            // One with an interface may be in use: that is for the operator to see.
            Self::PciKernelDriver { address, interface, .. } if interface.is_empty() => Some(bind(address)),
            Self::NoVfioType1 { .. } => Some(TYPE1.to_owned()),
            _ => None,
        }
    }
}

/// What EAL starts with all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// The device is at one processor, the lcores at another.
    #[error(
        "-a {address} is on NUMA node {device_node} and the lcores are on node {lcore_nodes}: every frame crosses from \
         one to the other; choose lcores among {better} (-l), and hugepages there"
    )]
    NumaNode {
        /// Domain:bus:device.function.
        address: String,
        /// The device's.
        device_node: u32,
        /// The lcores', `0, 1`.
        lcore_nodes: String,
        /// The CPUs of the device's node.
        better: CpuSet,
    },
}
