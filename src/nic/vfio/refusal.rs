//! Why a device cannot be had, each in one line with its remedy.

use std::io;

use super::Bdf;

/// Why a device could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VfioError {
    /// No device has that address.
    #[error("{bdf}: no such PCI device: `lspci -D` lists those there are")]
    NoDevice {
        /// As asked for.
        bdf: Bdf,
    },
    /// No driver has it.
    #[error("{bdf}: bound to no driver: `tools/dpdk-devbind-wrapper.sh bind {bdf}` gives it to vfio-pci")]
    Unbound {
        /// As asked for.
        bdf: Bdf,
    },
    /// Another driver has it.
    #[error(
        "{bdf}: bound to the driver {driver}{interface}: `tools/dpdk-devbind-wrapper.sh bind {bdf}` gives it to vfio-pci"
    )]
    OtherDriver {
        /// As asked for.
        bdf: Bdf,
        /// Such as `e1000e`.
        driver: String,
        /// ` (interface NAME)` where it has one.
        interface: String,
    },
    /// The driver does not know this kind of device.
    #[error(
        "{bdf}: {:04x}:{:04x} is no controller that the direct driver knows (82574L, 82576): use DPDK, with -a {bdf}",
        id.0, id.1
    )]
    UnknownDevice {
        /// As asked for.
        bdf: Bdf,
        /// PCI vendor and device numbers.
        id: (u16, u16),
    },
    /// The machine has no IOMMU, or it is off.
    #[error(
        "{bdf}: in no IOMMU group: switch the IOMMU on in the firmware (VT-d, AMD-Vi) and boot with intel_iommu=on iommu=pt"
    )]
    NoIommu {
        /// As asked for.
        bdf: Bdf,
    },
    /// The kernel's VFIO is not there.
    #[error("/dev/vfio/vfio: {source}{}", match .source.kind() {
        io::ErrorKind::PermissionDenied => ": run as root, or give this user the right to it",
        _ => ": `modprobe vfio-pci vfio_iommu_type1`",
    })]
    NoVfio {
        /// What the kernel said.
        source: io::Error,
    },
    /// VFIO has no IOMMU model that we use.
    #[error("VFIO has no type 1 IOMMU: `modprobe vfio_iommu_type1`")]
    NoType1,
    /// The group's file cannot be opened.
    #[error("{bdf}: /dev/vfio/{group}: {source}{}", match .source.raw_os_error() {
        Some(libc::EBUSY) => ": another program has the device, or one of its group: end it (`fuser /dev/vfio/*` names it)",
        Some(libc::EACCES | libc::EPERM) => ": run as root, or give this user the right to it (chown)",
        _ => ": is the device still bound to vfio-pci?",
    })]
    Group {
        /// As asked for.
        bdf: Bdf,
        /// Its IOMMU group.
        group: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// Devices that the IOMMU cannot tell apart belong to other drivers.
    #[error(
        "{bdf}: its IOMMU group {group} is not viable: bind its other devices to vfio-pci too ({others}), or put the card \
         into another slot"
    )]
    NotViable {
        /// As asked for.
        bdf: Bdf,
        /// Its IOMMU group.
        group: u32,
        /// Addresses and drivers of those.
        others: String,
    },
    /// Not enough hugepages.
    #[error(
        "{pages} hugepages of 2 MiB are not free ({source}): \
         `echo {pages} > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages` as root, or more if others use them"
    )]
    NoHugepages {
        /// How many are needed.
        pages: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// The memory could not be shared with the device.
    #[error("{bdf}: {mib} MiB could not be shared with it: {source}{}", match .source.raw_os_error() {
        Some(libc::ENOMEM) => ": raise the limit of locked memory (`ulimit -l`), or run as root",
        _ => "",
    })]
    Memory {
        /// As asked for.
        bdf: Bdf,
        /// How much.
        mib: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// The registers are not where they should be.
    #[error("{bdf}: BAR 0 cannot be mapped or is too short ({len} bytes): is it really such a controller?")]
    Registers {
        /// As asked for.
        bdf: Bdf,
        /// Its length.
        len: usize,
    },
    /// The kernel refused a step.
    #[error("{bdf}: could not {step}: {source}")]
    Step {
        /// As asked for.
        bdf: Bdf,
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}
