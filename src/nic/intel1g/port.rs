//! A port that runs: its queues, its filter, its link, its counters, its end.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::memory::{self, Layout, Part};
use super::rx::RxHandle;
use super::tx::TxHandle;
use super::{Chip, Device, DriverError, PortConfig, PortStats, bringup, registers as reg};

/// A started port, shared by its queues. The last share gone, it stops; only then the device, and with it the memory, goes.
#[derive(Debug)]
pub(crate) struct Shared<D: Device> {
    pub(crate) device: D,
    pub(crate) config: PortConfig,
    pub(crate) layout: Layout,
}

impl<D: Device> Shared<D> {
    pub(crate) fn part(&self, offset: usize) -> Part {
        Part::at(&self.device.window(), offset)
    }
}

impl<D: Device> Drop for Shared<D> {
    fn drop(&mut self) {
        if let Err(why) = bringup::stop(&self.device) {
            tracing::warn!("while stopping the port: {why}");
        }
    }
}

/// A started port, in the hands of the control thread.
#[derive(Debug)]
pub struct Port<D: Device> {
    shared: Arc<Shared<D>>,
    chip: Chip,
    mac: [u8; 6],
    taken: AtomicBool,
    stats: Mutex<PortStats>,
}

/// Which multicast frames the device lets through. Software always checks again: this only says what it is spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Exactly the groups asked for.
    Exact,
    /// Those, and others that share a place with one of them in a table of 4,096.
    Hash {
        /// Groups that did not fit into the exact list.
        hashed: usize,
    },
    /// Everything.
    Promiscuous,
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact multicast list"),
            Self::Hash { hashed } => write!(f, "multicast list, {hashed} groups by hash"),
            Self::Promiscuous => f.write_str("promiscuous"),
        }
    }
}

/// A link's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Frames can pass.
    pub up: bool,
    /// Mbit/s, where it is up.
    pub speed_mbps: u32,
    /// Both directions at once.
    pub full_duplex: bool,
}

impl<D: Device> Port<D> {
    /// Resets the device and starts it: it receives broadcasts and frames to its own address from now on.
    ///
    /// # Errors
    /// [`DriverError`]: a number that the driver cannot serve, or a device that does not do as it should.
    pub fn start(device: D, chip: Chip, config: &PortConfig) -> Result<Self, DriverError> {
        let layout = memory::check(config, &device.window())?;
        let shared = Shared { device, config: *config, layout };
        // From here on a failure stops the device, whatever it already does.
        let mac = bringup::start(&shared.device, chip, config, &shared.layout)?;
        Ok(Self {
            shared: Arc::new(shared),
            chip,
            mac,
            taken: AtomicBool::new(false),
            stats: Mutex::default(),
        })
    }

    /// The queues, once.
    ///
    /// # Errors
    /// [`DriverError::QueueTaken`] on every further call.
    pub fn queues(&self) -> Result<(RxHandle<D>, TxHandle<D>), DriverError> {
        // Nothing is handed over with the flag: whoever sees it unset is the only one that ever does.
        if self.taken.swap(true, Ordering::Relaxed) {
            return Err(DriverError::QueueTaken("receive"));
        }
        Ok((RxHandle { shared: Arc::clone(&self.shared) }, TxHandle { shared: Arc::clone(&self.shared) }))
    }

    /// The device, for tests that play its other side.
    #[must_use]
    pub fn device(&self) -> &D {
        &self.shared.device
    }

    /// Which controller it is.
    #[must_use]
    pub fn chip(&self) -> Chip {
        self.chip
    }

    /// Its own address.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// How it was set up.
    #[must_use]
    pub fn config(&self) -> &PortConfig {
        &self.shared.config
    }

    /// The link now.
    #[must_use]
    pub fn link(&self) -> Link {
        let status = self.shared.device.read(reg::STATUS);
        let speed_mbps = [10, 100, 1_000, 1_000][(status >> reg::STATUS_SPEED_SHIFT & 3) as usize];
        Link {
            // All ones: the device is gone.
            up: status & reg::STATUS_LINK_UP != 0 && status != u32::MAX,
            speed_mbps,
            full_duplex: status & reg::STATUS_FULL_DUPLEX != 0,
        }
    }

    /// Waits until frames can pass, at most `timeout`. The link as it is then.
    #[must_use]
    pub fn wait_for_link(&self, timeout: Duration) -> Link {
        let began = Instant::now();
        loop {
            let link = self.link();
            if link.up || began.elapsed() >= timeout {
                return link;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Lets the frames of these groups through and of no others, as far as the device's list goes: 15 hardware addresses
    /// exactly, the rest by a hash. A later call replaces the list.
    ///
    /// # Errors
    /// [`DriverError::NotMulticast`].
    pub fn set_multicast(&self, groups: &[[u8; 6]]) -> Result<Filter, DriverError> {
        if let Some(mac) = groups.iter().find(|mac| mac[0] & 1 == 0) {
            return Err(DriverError::NotMulticast(*mac));
        }
        let mut list = groups.to_vec();
        list.sort_unstable();
        list.dedup();
        let device = &self.shared.device;
        // Entry 0 is the port's own address.
        let exact = list.len().min(reg::ADDRESSES as usize - 1);
        let mut listed = list[..exact].iter();
        for entry in 1..reg::ADDRESSES {
            bringup::set_address(device, entry, listed.next().copied());
        }
        let mut table = [0_u32; reg::MTA_WORDS as usize];
        for mac in &list[exact..] {
            let (word, bit) = hash(*mac);
            table[word] |= 1 << bit;
        }
        for (word, bits) in (0..).zip(table) {
            device.write(reg::MTA + 4 * word, bits);
        }
        bringup::set_filter_mode(device, false, false);
        Ok(match list.len() - exact {
            0 => Filter::Exact,
            hashed => Filter::Hash { hashed },
        })
    }

    /// Lets everything through, or what the list says.
    pub fn set_promiscuous(&self, on: bool) {
        bringup::set_filter_mode(&self.shared.device, on, false);
    }

    /// What the device counted since the start. Off the hot path, and at least once in some minutes: its counters are of 32
    /// bits, and clear when they are read.
    #[must_use]
    pub fn stats(&self) -> PortStats {
        let device = &self.shared.device;
        let read = |register| u64::from(device.read(register));
        let both = |low| read(low) | read(low + 4) << 32;
        let mut sum = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        let (received, sent) = (read(reg::GPRC), read(reg::GPTC));
        sum.rx_frames += received;
        sum.rx_bytes += both(reg::GORCL).saturating_sub(4 * received);
        sum.rx_missed += read(reg::MPC);
        sum.rx_errors += [reg::CRCERRS, reg::RXERRC, reg::RLEC].map(read).iter().sum::<u64>();
        sum.tx_frames += sent;
        sum.tx_errors += read(reg::ECOL) + read(reg::LATECOL);
        sum.tx_bytes += both(reg::GOTCL).saturating_sub(4 * sent);
        *sum
    }
}

/// Where an address stands in the table: its last 12 bits on the wire, as RCTL.MO = 0 takes them (82574 §7.1).
fn hash(mac: [u8; 6]) -> (usize, u32) {
    let bits = u32::from(mac[4] >> 4) | u32::from(mac[5]) << 4;
    ((bits >> 5) as usize, bits & 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Intel's manuals for this family: bytes 4 and 5 are 0x34 and 0x56, the 12 bits 0x563.
    #[test]
    fn the_hash_takes_the_upper_twelve_bits() {
        assert_eq!(hash([0x01, 0xaa, 0x00, 0x12, 0x34, 0x56]), (0x563 >> 5, 0x563 & 31));
    }
}
