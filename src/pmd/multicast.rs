//! Which multicast frames a port lets through, as narrow as its driver can.

use std::fmt;

use dpdk_sys as sys;

use super::{PmdError, Port};

/// How frames to groups are selected. Software always checks again: this only says what it is spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterInForce {
    /// The port passes exactly the groups asked for.
    Exact,
    /// The port passes all multicast.
    AllMulticast,
    /// The port passes everything.
    Promiscuous,
    /// The port has no filter to set: it passes what its driver passes, software selects.
    Software,
}

impl fmt::Display for FilterInForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact multicast list",
            Self::AllMulticast => "all multicast",
            Self::Promiscuous => "promiscuous",
            Self::Software => "software only",
        })
    }
}

impl Port {
    /// Lets the groups' frames through: by an exact list of their MAC addresses, else all multicast, else everything,
    /// else whatever comes. Says which is in force. A later call replaces the list.
    ///
    /// # Errors
    /// [`PmdError::NotMulticast`], or [`PmdError::Call`] when the device fails or is gone; a driver that merely cannot
    /// makes the next wider filter.
    pub fn set_multicast(&self, groups: &[[u8; 6]]) -> Result<FilterInForce, PmdError> {
        if let Some(mac) = groups.iter().find(|mac| mac[0] & 1 == 0) {
            return Err(PmdError::NotMulticast { mac: *mac });
        }
        let mut list: Vec<_> = groups.iter().map(|mac| sys::rte_ether_addr { addr_bytes: *mac }).collect();
        list.sort_by_key(|a| a.addr_bytes);
        list.dedup_by_key(|a| a.addr_bytes);
        let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
        let id = self.id();
        // SAFETY: a started port, `count` addresses; the driver copies them.
        let exact = unsafe { sys::rte_eth_dev_set_mc_addr_list(id, list.as_mut_ptr(), count) };
        if self.takes("set its multicast list", exact)? {
            return Ok(FilterInForce::Exact);
        }
        // SAFETY: a started port.
        if self.takes("pass all multicast", unsafe { sys::rte_eth_allmulticast_enable(id) })? {
            return Ok(FilterInForce::AllMulticast);
        }
        Ok(if self.set_promiscuous(true)? { FilterInForce::Promiscuous } else { FilterInForce::Software })
    }

    /// Turns promiscuous mode on or off. False where the driver has none.
    ///
    /// # Errors
    /// [`PmdError::Call`]: the device fails or is gone.
    pub fn set_promiscuous(&self, on: bool) -> Result<bool, PmdError> {
        // SAFETY: a started port.
        let rc = unsafe {
            if on {
                sys::rte_eth_promiscuous_enable(self.id())
            } else {
                sys::rte_eth_promiscuous_disable(self.id())
            }
        };
        self.takes("set promiscuous mode", rc)
    }

    /// Turns passing of all multicast on or off. False where the driver has no such mode.
    ///
    /// # Errors
    /// [`PmdError::Call`]: the device fails or is gone.
    pub fn set_all_multicast(&self, on: bool) -> Result<bool, PmdError> {
        // SAFETY: a started port.
        let rc = unsafe {
            if on {
                sys::rte_eth_allmulticast_enable(self.id())
            } else {
                sys::rte_eth_allmulticast_disable(self.id())
            }
        };
        self.takes("set all-multicast mode", rc)
    }

    /// True: done. False: this driver cannot (no such operation, or no room for so many). Else a failure.
    fn takes(&self, step: &'static str, rc: i32) -> Result<bool, PmdError> {
        match rc {
            0 => Ok(true),
            _ if rc == -libc::ENODEV || rc == -libc::EIO => {
                self.shared().check(step, rc)?;
                Ok(false)
            }
            _ => Ok(false),
        }
    }
}
