//! What a port counts: the counters every driver has, and those of its own.

use std::ffi::CStr;

use dpdk_sys as sys;

use super::{PmdError, Port};
use crate::port::PortStats;

impl Port {
    /// The counters every driver has. Off the hot path; from any thread.
    ///
    /// # Errors
    /// [`PmdError::Call`]: the driver cannot tell.
    pub fn stats(&self) -> Result<PortStats, PmdError> {
        let mut s = sys::rte_eth_stats::default();
        // SAFETY: a started port; fills the structure.
        let rc = unsafe { sys::rte_eth_stats_get(self.id(), &raw mut s) };
        self.shared().check("read its statistics", rc)?;
        Ok(PortStats {
            rx_frames: s.ipackets,
            rx_bytes: s.ibytes,
            rx_missed: s.imissed,
            rx_errors: s.ierrors,
            rx_no_buffer: s.rx_nombuf,
            tx_frames: s.opackets,
            tx_bytes: s.obytes,
            tx_errors: s.oerrors,
        })
    }

    /// All counters the driver has, by its own names. Allocates: for reports, not for loops.
    ///
    /// # Errors
    /// [`PmdError::Call`]: the driver cannot tell.
    pub fn xstats(&self) -> Result<Vec<(String, u64)>, PmdError> {
        // SAFETY: no array of size 0: asks for the number only.
        let count = unsafe { sys::rte_eth_xstats_get_names(self.id(), std::ptr::null_mut(), 0) };
        self.shared().check("count its extended statistics", count.min(0))?;
        // One call may see more than the one before: both arrays have the same limit, and the lesser result counts.
        let limit = count.unsigned_abs();
        let mut names = vec![sys::rte_eth_xstat_name::default(); limit as usize];
        let mut values = vec![sys::rte_eth_xstat::default(); limit as usize];
        // SAFETY: room for `limit` names.
        let named = unsafe { sys::rte_eth_xstats_get_names(self.id(), names.as_mut_ptr(), limit) };
        self.shared().check("name its extended statistics", named.min(0))?;
        // SAFETY: room for `limit` values.
        let valued = unsafe { sys::rte_eth_xstats_get(self.id(), values.as_mut_ptr(), limit) };
        self.shared().check("read its extended statistics", valued.min(0))?;
        values.truncate(valued.unsigned_abs().min(limit) as usize);
        Ok(values
            .iter()
            .filter_map(|v| {
                let name = &names.get(usize::try_from(v.id).ok()?)?.name;
                // SAFETY: the driver wrote a terminated string into the zeroed array.
                let name = unsafe { CStr::from_ptr(name.as_ptr()) };
                Some((name.to_string_lossy().into_owned(), v.value))
            })
            .collect())
    }

    /// Sets the counters to zero, where the driver can.
    ///
    /// # Errors
    /// [`PmdError::Call`]: it cannot.
    pub fn reset_stats(&self) -> Result<(), PmdError> {
        // SAFETY: a started port.
        let rc = unsafe { sys::rte_eth_stats_reset(self.id()) };
        self.shared().check("reset its statistics", rc)
    }
}
