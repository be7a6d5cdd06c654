//! A PCI device in user space, through the kernel's VFIO: registers mapped, memory shared behind the IOMMU, reset on the way
//! in and on the way out. No DPDK, no other library.
//!
//! What the kernel wants, in this order: a *container* (an address space for devices), the device's *group* (devices that the
//! IOMMU cannot tell apart) put into it, an IOMMU model chosen, then the device itself. Memory is mapped for the device at
//! addresses of our choice, and it reaches nothing else. Closing the files undoes all of it, also when a process is killed.
//!
//! Source: the kernel's documentation of VFIO (`Documentation/driver-api/vfio.rst`) and `linux/vfio.h`.
#![allow(unsafe_code, reason = "registers, shared memory and ioctls")]

use std::ffi::CString;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::str::FromStr;

use super::intel1g::{Device, Window};

mod ioctl;
mod refusal;
mod sysfs;

pub use refusal::VfioError;

use ioctl::Ioctl;

/// Where the device sees the shared memory. Above 4 GiB, where neither message-signalled interrupts (0xfee0_0000) nor the
/// ranges that firmware keeps for itself lie.
const IOVA: u64 = 1 << 32;

/// The size of the pages that the shared memory consists of.
const HUGE: usize = 2 << 20;

/// A PCI address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bdf {
    domain: u16,
    bus: u8,
    device: u8,
    function: u8,
}

impl FromStr for Bdf {
    type Err = String;

    /// `0000:01:00.0`, or `01:00.0` in domain 0.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no PCI address: write it like 0000:01:00.0");
        let (rest, function) = text.rsplit_once('.').ok_or_else(wrong)?;
        let (rest, device) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let (domain, bus) = rest.rsplit_once(':').unwrap_or(("0", rest));
        let hex = |digits: &str, most: u16| {
            let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            u16::from_str_radix(digits, 16).ok().filter(|value| plain && *value <= most)
        };
        let part = |digits, most| hex(digits, most).ok_or_else(wrong);
        Ok(Self {
            domain: part(domain, u16::MAX)?,
            bus: part(bus, 0xff)? as u8,
            device: part(device, 0x1f)? as u8,
            function: part(function, 7)? as u8,
        })
    }
}

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, bus, device, function } = self;
        write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
    }
}

/// A mapping of this process, undone on drop.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is a range of addresses that is valid in every thread; what is done with it is its users' business.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes: of `file` from `offset`, or of fresh hugepages.
    fn new(len: usize, file: Option<(&OwnedFd, i64)>) -> io::Result<Self> {
        let (flags, fd, offset) = match file {
            Some((fd, offset)) => (libc::MAP_SHARED, fd.as_raw_fd(), offset),
            // Populated now: every page is there before the first frame.
            None => (
                libc::MAP_PRIVATE
                    | libc::MAP_ANONYMOUS
                    | libc::MAP_HUGETLB
                    | libc::MAP_HUGE_2MB
                    | libc::MAP_POPULATE,
                -1,
                0,
            ),
        };
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice disturbs nothing.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, fd, offset) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(Self { base, len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, unmapped once; the owner's users are gone (`VfioDevice`'s fields say in which order).
        let _ = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// A PCI device that is ours: mapped registers and shared memory.
///
/// Dropping it resets the device, takes the memory from it, and closes it. A driver stops the device before that.
#[derive(Debug)]
pub struct VfioDevice {
    bdf: Bdf,
    id: (u16, u16),
    numa_node: Option<u32>,
    registers: Mapping,
    memory: Mapping,
    // Closed in this order: a group stays busy while its device is open.
    device: OwnedFd,
    _group: File,
    container: File,
    resets: bool,
}

impl VfioDevice {
    /// Opens the device, resets it, and shares `memory` bytes of hugepages with it. `known` says whether the driver knows a
    /// device of that vendor and number.
    ///
    /// # Errors
    /// [`VfioError`]: what is missing, in one line with its remedy. Nothing of the device was changed then.
    pub fn open(bdf: Bdf, memory: usize, known: impl Fn((u16, u16)) -> bool) -> Result<Self, VfioError> {
        let found = sysfs::look(Path::new("/"), bdf)?;
        if !known(found.id) {
            return Err(VfioError::UnknownDevice { bdf, id: found.id });
        }
        // The memory first: no page of it depends on the device, and most failures are here.
        let len = memory.next_multiple_of(HUGE);
        let memory =
            Mapping::new(len, None).map_err(|source| VfioError::NoHugepages { pages: len / HUGE, source })?;

        let container = open("/dev/vfio/vfio").map_err(|source| VfioError::NoVfio { source })?;
        let path = format!("/dev/vfio/{}", found.group);
        let group = open(&path).map_err(|source| VfioError::Group { bdf, group: found.group, source })?;
        let device = attach(bdf, found.group, &container, &group)?;

        let region = ioctl::RegionInfo::of(&device, ioctl::BAR0)
            .map_err(|source| step(bdf, "describe BAR 0", source))?;
        let bar_len = usize::try_from(region.size).unwrap_or(0);
        if !region.maps() || bar_len < REGISTERS {
            return Err(VfioError::Registers { bdf, len: bar_len });
        }
        let registers = Mapping::new(bar_len, Some((&device, region.offset as i64)))
            .map_err(|source| step(bdf, "map BAR 0", source))?;

        let resets = ioctl::DeviceInfo::of(&device).is_ok_and(|info| info.resets());
        let this = Self {
            bdf,
            id: found.id,
            numa_node: found.numa_node,
            registers,
            memory,
            device,
            _group: group,
            container,
            resets,
        };
        this.reset();
        this.map_memory()?;
        this.set_bus_master(true)?;
        Ok(this)
    }

    /// Its address.
    #[must_use]
    pub fn bdf(&self) -> Bdf {
        self.bdf
    }

    /// PCI vendor and device numbers.
    #[must_use]
    pub fn id(&self) -> (u16, u16) {
        self.id
    }

    /// Where it is plugged in; `None` where the machine has no such notion.
    #[must_use]
    pub fn numa_node(&self) -> Option<u32> {
        self.numa_node
    }

    /// The function-level reset, where the device has one; a driver's own reset follows anyway.
    fn reset(&self) {
        if self.resets
            && let Err(why) = Ioctl::DEVICE_RESET.plain(&self.device, 0)
        {
            tracing::warn!(device = %self.bdf, "the kernel could not reset it: {why}");
        }
    }

    fn map_memory(&self) -> Result<(), VfioError> {
        let map = ioctl::DmaMap {
            argsz: size_of::<ioctl::DmaMap>() as u32,
            flags: ioctl::DMA_READ | ioctl::DMA_WRITE,
            vaddr: self.memory.base.as_ptr() as u64,
            iova: IOVA,
            size: self.memory.len as u64,
        };
        Ioctl::IOMMU_MAP_DMA.with(&self.container, map).map(drop).map_err(|source| VfioError::Memory {
            bdf: self.bdf,
            mib: self.memory.len >> 20,
            source,
        })
    }

    /// Lets the device read and write memory by itself, or stops that (command register of the configuration space).
    fn set_bus_master(&self, on: bool) -> Result<(), VfioError> {
        const COMMAND: u64 = 4;
        const MEMORY_SPACE: u16 = 1 << 1;
        const BUS_MASTER: u16 = 1 << 2;
        let failed = |source| step(self.bdf, "enable bus mastering", source);
        let config = ioctl::RegionInfo::of(&self.device, ioctl::CONFIG).map_err(failed)?;
        let file = File::from(self.device.try_clone().map_err(failed)?);
        let mut command = [0; 2];
        file.read_exact_at(&mut command, config.offset + COMMAND).map_err(failed)?;
        let set = u16::from_le_bytes(command) & !BUS_MASTER | MEMORY_SPACE | if on { BUS_MASTER } else { 0 };
        file.write_all_at(&set.to_le_bytes(), config.offset + COMMAND).map_err(failed)
    }
}

/// Registers reach that far at least.
const REGISTERS: usize = 0x1_0000;

fn open(path: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

fn step(bdf: Bdf, step: &'static str, source: io::Error) -> VfioError {
    VfioError::Step { bdf, step, source }
}

/// Container and group to an open device.
fn attach(bdf: Bdf, number: u32, container: &File, group: &File) -> Result<OwnedFd, VfioError> {
    let version = Ioctl::GET_API_VERSION
        .plain(container, 0)
        .map_err(|source| step(bdf, "ask for VFIO's version", source))?;
    let has_type1 = Ioctl::CHECK_EXTENSION.plain(container, ioctl::TYPE1V2_IOMMU).unwrap_or(0);
    if version != ioctl::API_VERSION || has_type1 != 1 {
        return Err(VfioError::NoType1);
    }
    let status = Ioctl::GROUP_GET_STATUS
        .with(group, ioctl::GroupStatus { argsz: size_of::<ioctl::GroupStatus>() as u32, flags: 0 })
        .map_err(|source| step(bdf, "ask for its group's state", source))?
        .1;
    if status.flags & ioctl::GROUP_VIABLE == 0 {
        let others = sysfs::strangers(Path::new("/"), number, bdf);
        return Err(VfioError::NotViable { bdf, group: number, others });
    }
    Ioctl::GROUP_SET_CONTAINER
        .with(group, container.as_raw_fd())
        .map_err(|source| step(bdf, "put its group into a container", source))?;
    Ioctl::SET_IOMMU
        .plain(container, ioctl::TYPE1V2_IOMMU)
        .map_err(|source| step(bdf, "set up the IOMMU", source))?;
    let name = CString::new(bdf.to_string()).unwrap_or_default();
    let fd = Ioctl::GROUP_GET_DEVICE_FD
        .plain(group, name.as_ptr() as libc::c_ulong)
        .map_err(|source| step(bdf, "open", source))?;
    // SAFETY: the kernel has just made this file descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

impl Drop for VfioDevice {
    fn drop(&mut self) {
        // No more accesses, then a reset: after that the memory may go. The kernel takes it from the device with the container.
        if let Err(why) = self.set_bus_master(false) {
            tracing::warn!("{why}");
        }
        self.reset();
        let unmap = ioctl::DmaUnmap {
            argsz: size_of::<ioctl::DmaUnmap>() as u32,
            flags: 0,
            iova: IOVA,
            size: self.memory.len as u64,
        };
        let _ = Ioctl::IOMMU_UNMAP_DMA.with(&self.container, unmap);
    }
}

// SAFETY: hugepages, anonymous and therefore zeroed, mapped until `memory` is dropped, which moving the device does not do;
// nobody else has the mapping.
unsafe impl Device for VfioDevice {
    #[inline(always)]
    fn read(&self, register: u32) -> u32 {
        debug_assert!(register as usize + 4 <= REGISTERS);
        // SAFETY: registers are aligned and within BAR 0, whose length was checked. Volatile: a register is no memory.
        unsafe { self.registers.base.as_ptr().cast::<u32>().add(register as usize / 4).read_volatile() }
    }

    #[inline(always)]
    fn write(&self, register: u32, value: u32) {
        debug_assert!(register as usize + 4 <= REGISTERS);
        // The device must see memory before the register. x86 keeps stores in order, to uncached memory too, so this fence
        // only binds the compiler; a port to ARM needs `dmb oshst` here.
        std::sync::atomic::fence(std::sync::atomic::Ordering::Release);
        // SAFETY: as in `read`.
        unsafe {
            self.registers.base.as_ptr().cast::<u32>().add(register as usize / 4).write_volatile(value);
        }
    }

    #[inline(always)]
    fn window(&self) -> Window {
        Window { base: self.memory.base, iova: IOVA, len: self.memory.len }
    }
}

#[cfg(test)]
mod tests;
