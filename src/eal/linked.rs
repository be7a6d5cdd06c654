//! Which DPDK this program is tied to. Needs no EAL.
#![allow(unsafe_code, reason = "asks DPDK for its version")]

use std::ffi::CStr;

use dpdk_sys as sys;

/// The DPDK of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// The release that was loaded, such as `DPDK 22.11.11`.
    pub running: String,
    /// The release whose headers the bindings were made from, likewise without what a preview adds to it.
    pub headers: String,
    /// Where EAL looks for drivers; of no meaning where `drivers` is not empty.
    pub plugin_dir: String,
    /// Drivers that are part of this program, such as `net_ring`; empty when linked shared.
    pub drivers: &'static [&'static str],
}

impl Linked {
    /// That of this program.
    #[must_use]
    pub fn dpdk() -> Self {
        // SAFETY: returns a terminated string that is never freed; allowed before EAL starts.
        let running = unsafe { CStr::from_ptr(sys::rte_version()) }.to_string_lossy().into_owned();
        let (year, month, minor) = (sys::SHIM_VERSION_YEAR, sys::SHIM_VERSION_MONTH, sys::SHIM_VERSION_MINOR);
        let plugin_dir = CStr::from_bytes_with_nul(sys::SHIM_PLUGIN_DIR).unwrap_or_default();
        Self {
            running,
            headers: format!("DPDK {year}.{month:02}.{minor}"),
            plugin_dir: plugin_dir.to_string_lossy().into_owned(),
            drivers: sys::LINKED_DRIVERS,
        }
    }
}
