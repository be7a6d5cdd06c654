//! VFIO's requests and their structures, after `linux/vfio.h`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// A request number: type `;`, base 100, no direction and no size in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ioctl(libc::Ioctl);

const fn request(number: libc::Ioctl) -> Ioctl {
    Ioctl((b';' as libc::Ioctl) << 8 | (100 + number))
}

impl Ioctl {
    pub(super) const GET_API_VERSION: Self = request(0);
    pub(super) const CHECK_EXTENSION: Self = request(1);
    pub(super) const SET_IOMMU: Self = request(2);
    pub(super) const GROUP_GET_STATUS: Self = request(3);
    pub(super) const GROUP_SET_CONTAINER: Self = request(4);
    pub(super) const GROUP_GET_DEVICE_FD: Self = request(6);
    pub(super) const DEVICE_GET_INFO: Self = request(7);
    pub(super) const DEVICE_GET_REGION_INFO: Self = request(8);
    pub(super) const DEVICE_RESET: Self = request(11);
    pub(super) const IOMMU_MAP_DMA: Self = request(13);
    pub(super) const IOMMU_UNMAP_DMA: Self = request(14);

    /// With a plain number, or the address of a terminated string that outlives the call.
    pub(super) fn plain(self, file: &impl AsFd, argument: libc::c_ulong) -> io::Result<i32> {
        // SAFETY: the requests that take a number read nothing else; GROUP_GET_DEVICE_FD reads a terminated string.
        checked(unsafe { libc::ioctl(file.as_fd().as_raw_fd(), self.0, argument) })
    }

    /// With a structure, which the kernel reads and may fill in.
    pub(super) fn with<T: Argument>(self, file: &impl AsFd, mut argument: T) -> io::Result<(i32, T)> {
        // SAFETY: `Argument` is implemented for the structures of these requests only; `argsz` in them says how long they are.
        let rc = unsafe { libc::ioctl(file.as_fd().as_raw_fd(), self.0, &raw mut argument) };
        checked(rc).map(|rc| (rc, argument))
    }
}

fn checked(rc: i32) -> io::Result<i32> {
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(rc) }
}

/// What the requests take.
pub(super) trait Argument: Copy {}
impl Argument for i32 {}

pub(super) const API_VERSION: i32 = 0;
pub(super) const TYPE1V2_IOMMU: libc::c_ulong = 3;
pub(super) const GROUP_VIABLE: u32 = 1 << 0;
pub(super) const DMA_READ: u32 = 1 << 0;
pub(super) const DMA_WRITE: u32 = 1 << 1;

/// Regions of a PCI device.
pub(super) const BAR0: u32 = 0;
pub(super) const CONFIG: u32 = 7;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GroupStatus {
    pub(super) argsz: u32,
    pub(super) flags: u32,
}
impl Argument for GroupStatus {}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeviceInfo {
    argsz: u32,
    flags: u32,
    num_regions: u32,
    num_irqs: u32,
}
impl Argument for DeviceInfo {}

impl DeviceInfo {
    pub(super) fn of(device: &impl AsFd) -> io::Result<Self> {
        let asked = Self { argsz: size_of::<Self>() as u32, ..Self::default() };
        Ok(Ioctl::DEVICE_GET_INFO.with(device, asked)?.1)
    }

    /// The kernel can reset it.
    pub(super) fn resets(&self) -> bool {
        self.flags & 1 != 0
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RegionInfo {
    argsz: u32,
    flags: u32,
    index: u32,
    cap_offset: u32,
    pub(super) size: u64,
    pub(super) offset: u64,
}
impl Argument for RegionInfo {}

impl RegionInfo {
    pub(super) fn of(device: &impl AsFd, index: u32) -> io::Result<Self> {
        let asked = Self { argsz: size_of::<Self>() as u32, index, ..Self::default() };
        Ok(Ioctl::DEVICE_GET_REGION_INFO.with(device, asked)?.1)
    }

    /// It can be read, written and mapped.
    pub(super) fn maps(&self) -> bool {
        self.flags & 0b111 == 0b111
    }
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DmaMap {
    pub(super) argsz: u32,
    pub(super) flags: u32,
    pub(super) vaddr: u64,
    pub(super) iova: u64,
    pub(super) size: u64,
}
impl Argument for DmaMap {}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DmaUnmap {
    pub(super) argsz: u32,
    pub(super) flags: u32,
    pub(super) iova: u64,
    pub(super) size: u64,
}
impl Argument for DmaUnmap {}

// The kernel checks `argsz` against these.
const _: () = assert!(size_of::<GroupStatus>() == 8);
const _: () = assert!(size_of::<DeviceInfo>() == 16);
const _: () = assert!(size_of::<RegionInfo>() == 32);
const _: () = assert!(size_of::<DmaMap>() == 32);
const _: () = assert!(size_of::<DmaUnmap>() == 24);
