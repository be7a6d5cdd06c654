//! What a VI is made of, each part given back when it is dropped.
#![allow(unsafe_code, reason = "ef_vi is a C library")]

use std::ffi::{CString, c_int};
use std::io;
use std::ptr::{self, NonNull};

use efvi_sys as sys;

use super::super::Memory;
use super::Filter;

/// Why an interface could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum EfviError {
    /// The character device of Onload's drivers.
    #[error("ef_vi: /dev/sfc_char cannot be opened: {why}\n  {}", remedy_of_driver(why))]
    Driver {
        /// What the kernel said.
        why: io::Error,
    },
    /// The name of the interface.
    #[error("ef_vi: there is no interface {name:?}\n  write one that `ip link` shows: --nic efvi:eth0")]
    NoInterface {
        /// As written.
        name: String,
    },
    /// A step that the library or the driver refused.
    #[error("ef_vi on {interface}: cannot {step}: {why}\n  {}", remedy_of(why))]
    Call {
        /// The interface.
        interface: String,
        /// What was tried.
        step: &'static str,
        /// What was said.
        why: io::Error,
    },
}

fn remedy_of_driver(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::NotFound => {
            "load Onload's drivers: `modprobe sfc_char`, or `onload_tool reload` for all of them"
        }
        io::ErrorKind::PermissionDenied => "run as root, or let this user open /dev/sfc_char",
        _ => "look at the kernel's log: dmesg",
    }
}

fn remedy_of(why: &io::Error) -> &'static str {
    match why.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "run as root; `dmesg` may say what is not licensed",
        Some(libc::ENODEV | libc::ENXIO | libc::EOPNOTSUPP) => {
            "use the interface of a Solarflare NIC itself, not a VLAN or a bond on it, whose driver is `sfc`"
        }
        Some(libc::ELIBACC | libc::ENOEXEC) => {
            "the drivers are of another Onload than libciul: use those of one release"
        }
        Some(libc::ENOMEM) => "raise the limit of locked memory (`ulimit -l`), or reserve huge pages",
        Some(libc::ENOSPC | libc::EBUSY | libc::EEXIST) => {
            "another program has it: `onload_stackdump` lists them"
        }
        _ => "look at the kernel's log: dmesg",
    }
}

/// A result of the library: negative numbers are errors.
fn check(rc: c_int) -> Result<(), io::Error> {
    if rc < 0 { Err(io::Error::from_raw_os_error(-rc)) } else { Ok(()) }
}

/// An open driver.
pub(super) struct Driver {
    handle: sys::ef_driver_handle,
}

impl Driver {
    pub(super) fn open() -> Result<Self, EfviError> {
        let mut handle = -1;
        // SAFETY: fills the handle.
        check(unsafe { sys::ef_driver_open(&raw mut handle) }).map_err(|why| EfviError::Driver { why })?;
        Ok(Self { handle })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // SAFETY: opened, and what was made with it is gone.
        let _ = unsafe { sys::ef_driver_close(self.handle) };
    }
}

/// A protection domain: memory and VIs that may meet.
pub(super) struct Domain {
    /// Boxed: the library may keep its address.
    raw: Box<sys::ef_pd>,
    handle: sys::ef_driver_handle,
    index: c_int,
    name: String,
}

impl Domain {
    pub(super) fn of(driver: &Driver, name: &str) -> Result<Self, EfviError> {
        let missing = || EfviError::NoInterface { name: name.to_owned() };
        let c_name = CString::new(name).map_err(|_| missing())?;
        // SAFETY: a terminated name.
        let index = unsafe { libc::if_nametoindex(c_name.as_ptr()) };
        let index = c_int::try_from(index).ok().filter(|index| *index > 0).ok_or_else(missing)?;
        let mut raw = Box::<sys::ef_pd>::default();
        let handle = driver.handle;
        // SAFETY: an open driver, a terminated name; fills the domain.
        let rc =
            unsafe { sys::ef_pd_alloc_by_name(&raw mut *raw, handle, c_name.as_ptr(), sys::EF_PD_DEFAULT) };
        let step = "make a protection domain";
        check(rc).map_err(|why| EfviError::Call { interface: name.to_owned(), step, why })?;
        Ok(Self { raw, handle, index, name: name.to_owned() })
    }

    pub(super) fn error(&self, step: &'static str, why: io::Error) -> EfviError {
        EfviError::Call { interface: self.name.clone(), step, why }
    }

    pub(super) fn lacks(&self, what: &'static str) -> EfviError {
        self.error("go on", io::Error::other(format!("this release of ef_vi lacks {what}")))
    }

    /// True where the NIC has a capability.
    pub(super) fn has(&self, capability: sys::ef_vi_capability) -> bool {
        let mut value = 0;
        // SAFETY: an open driver; fills the value.
        let rc = unsafe { sys::ef_vi_capabilities_get(self.handle, self.index, capability, &raw mut value) };
        rc == 0 && value != 0
    }

    fn as_ptr(&self) -> *mut sys::ef_pd {
        // The library takes it as mutable and does not change it after it was made.
        ptr::from_ref(&*self.raw).cast_mut()
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        // SAFETY: made with this handle; what was made in it is gone.
        let _ = unsafe { sys::ef_pd_free(&raw mut *self.raw, self.handle) };
    }
}

/// A VI.
pub(super) struct Interface {
    /// A box that was let go: the library keeps pointers into it.
    raw: NonNull<sys::ef_vi>,
    handle: sys::ef_driver_handle,
}

impl Interface {
    /// One event queue, as long as both rings.
    pub(super) fn on(
        domain: &Domain,
        rx: c_int,
        tx: c_int,
        flags: sys::ef_vi_flags,
    ) -> Result<Self, EfviError> {
        let raw = NonNull::from(Box::leak(Box::<sys::ef_vi>::default()));
        let handle = domain.handle;
        // SAFETY: an open driver and a domain of it; fills the VI. -1: the event queue's usual length; no other queue.
        let rc = unsafe {
            let (pd, none) = (domain.as_ptr(), ptr::null_mut());
            sys::ef_vi_alloc_from_pd(raw.as_ptr(), handle, pd, handle, -1, rx, tx, none, -1, flags)
        };
        if let Err(why) = check(rc) {
            // SAFETY: leaked above, and the library did not take it.
            drop(unsafe { Box::from_raw(raw.as_ptr()) });
            return Err(domain.error("make a virtual interface", why));
        }
        Ok(Self { raw, handle })
    }

    pub(super) fn as_ptr(&self) -> NonNull<sys::ef_vi> {
        self.raw
    }

    pub(super) fn operations(&self) -> &sys::ef_vi_ops {
        // SAFETY: a live VI; its operations do not change.
        unsafe { &(*self.raw.as_ptr()).ops }
    }

    pub(super) fn receive_capacity(&self) -> usize {
        // SAFETY: a live VI.
        usize::try_from(unsafe { sys::shim_receive_capacity(self.raw.as_ptr()) }).unwrap_or(0)
    }

    pub(super) fn transmit_capacity(&self) -> usize {
        // SAFETY: a live VI.
        usize::try_from(unsafe { sys::shim_transmit_capacity(self.raw.as_ptr()) }).unwrap_or(0)
    }

    pub(super) fn set_buffer_len(&self, bytes: usize) {
        // SAFETY: a live VI; nothing was posted yet.
        unsafe { sys::shim_receive_set_buffer_len(self.raw.as_ptr(), bytes as u32) };
    }

    /// Longest frame of the interface, without FCS.
    pub(super) fn max_frame(&self) -> usize {
        // SAFETY: a live VI of that driver.
        unsafe { sys::ef_vi_mtu(self.raw.as_ptr(), self.handle) as usize }
    }

    pub(super) fn mac(&self, domain: &Domain) -> Result<[u8; 6], EfviError> {
        let mut mac = [0; 6];
        // SAFETY: a live VI of that driver; fills six bytes.
        let rc = unsafe { sys::ef_vi_get_mac(self.raw.as_ptr(), self.handle, mac.as_mut_ptr().cast()) };
        check(rc).map_err(|why| domain.error("tell its hardware address", why))?;
        Ok(mac)
    }

    pub(super) fn add(&self, domain: &Domain, filter: &Filter) -> Result<(), EfviError> {
        let mut spec = sys::ef_filter_spec::default();
        let udp = libc::IPPROTO_UDP;
        // Both in network order.
        let parts = |address: &std::net::SocketAddrV4| {
            (u32::from(*address.ip()).to_be(), c_int::from(address.port().to_be()))
        };
        // SAFETY: fills the specification.
        let rc = unsafe {
            sys::ef_filter_spec_init(&raw mut spec, sys::EF_FILTER_FLAG_NONE);
            match filter {
                Filter::To(to) => {
                    let (ip, port) = parts(to);
                    sys::ef_filter_spec_set_ip4_local(&raw mut spec, udp, ip, port)
                }
                Filter::Between(to, from) => {
                    let ((ip, port), (from_ip, from_port)) = (parts(to), parts(from));
                    sys::ef_filter_spec_set_ip4_full(&raw mut spec, udp, ip, port, from_ip, from_port)
                }
            }
        };
        let step = "add a filter";
        check(rc).map_err(|why| domain.error(step, why))?;
        // SAFETY: a live VI of that driver. It is never taken away again but with the VI: no cookie.
        let rc = unsafe {
            sys::ef_vi_filter_add(self.raw.as_ptr(), self.handle, &raw const spec, ptr::null_mut())
        };
        check(rc).map_err(|why| domain.error(step, why))
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        // SAFETY: made with this handle; its filters go with it, and the NIC lets go of its buffers.
        let _ = unsafe { sys::ef_vi_free(self.raw.as_ptr(), self.handle) };
        // SAFETY: leaked when it was made; the library is done with it.
        drop(unsafe { Box::from_raw(self.raw.as_ptr()) });
    }
}

/// Memory that a domain's VIs may use.
pub(super) struct Registration {
    raw: sys::ef_memreg,
    handle: sys::ef_driver_handle,
}

impl Registration {
    pub(super) fn of(memory: &Memory, domain: &Domain) -> Result<Self, EfviError> {
        let mut raw = sys::ef_memreg::default();
        let handle = domain.handle;
        let (at, len) = (memory.as_ptr().cast(), memory.mapped());
        // SAFETY: whole pages that stay mapped until this is given back; fills the registration.
        let rc = unsafe { sys::ef_memreg_alloc(&raw mut raw, handle, domain.as_ptr(), handle, at, len) };
        check(rc).map_err(|why| domain.error("register the buffers", why))?;
        Ok(Self { raw, handle })
    }

    pub(super) fn address(&self, offset: usize) -> u64 {
        // SAFETY: a registration; the buffers, of which offsets are asked for, are inside.
        unsafe { sys::shim_memreg_dma_addr(ptr::from_ref(&self.raw).cast_mut(), offset) }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: made with this handle; no VI uses it any more.
        let _ = unsafe { sys::ef_memreg_free(&raw mut self.raw, self.handle) };
    }
}
