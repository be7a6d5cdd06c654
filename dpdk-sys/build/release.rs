//! Which releases of DPDK there are, and what may be done with each. No file or program is asked: `tests/release.rs`
//! includes this file.

/// The oldest release that is supported at all.
const OLDEST: (u32, u32) = (22, 11);

/// The long-term releases whose `rte_eth_rx_burst` and `rte_eth_tx_burst` were read: look up the queue, call the
/// driver, call the callbacks if there are any. 25.11 may add history marks, a build option that the shim header
/// looks for.
const AUDITED: [(u32, u32); 4] = [(22, 11), (23, 11), (24, 11), (25, 11)];

/// The log moved out of EAL into a library of its own in this release.
const LOG_LIBRARY_SINCE: (u32, u32) = (23, 11);

/// A release that wirebook can be built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    year_month: (u32, u32),
    /// Something before the release itself, such as `-rc1`: what was read later may not hold yet.
    preview: bool,
}

impl Release {
    /// Reads a version such as `22.11.11`, `25.11.0-rc2` or `24.11`.
    ///
    /// # Errors
    /// In words: it is no version, or it is older than [`OLDEST`].
    pub(crate) fn read(version: &str) -> Result<Self, String> {
        let unreadable = || format!("pkg-config gives '{version}' as DPDK's version");
        let (numbers, suffix) = match version.split_once('-') {
            Some((numbers, suffix)) => (numbers, suffix),
            None => (version, ""),
        };
        let mut parts = numbers.split('.').map(|part| part.parse::<u32>().map_err(|_| unreadable()));
        let mut next = || parts.next().ok_or_else(unreadable)?;
        let year_month = (next()?, next()?);
        if year_month < OLDEST {
            let (year, month) = OLDEST;
            return Err(format!("DPDK {version} is too old: {year}.{month:02} or later is needed."));
        }
        Ok(Self { year_month, preview: suffix.starts_with("rc") })
    }

    /// True where the inline bursts may be written again in Rust; else every burst goes through the shim.
    pub(crate) fn bursts_audited(self, force_shim: bool) -> bool {
        !force_shim && !self.preview && AUDITED.contains(&self.year_month)
    }

    /// True where `librte_log` has to be linked.
    pub(crate) fn has_log_library(self) -> bool {
        self.year_month >= LOG_LIBRARY_SINCE
    }
}
