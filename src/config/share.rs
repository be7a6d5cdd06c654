//! What one of several poll loops may have of what the file says for all together.
//!
//! Limits on all instruments together are divided and rounded down, so that the loops, which share nothing, cannot break
//! them in sum. Limits on one instrument stay whole: it has one owner. Memory is divided with half as much again on top:
//! instruments are dealt out by number and not by how busy they are.

use super::{Config, Recovery};

impl Config {
    /// The configuration of worker `index` of [`Lcores::count`](super::Lcores::count), from 0. The same where there is one.
    #[must_use]
    pub fn share(&self, index: u16) -> Self {
        let count = u32::from(self.lcores.count());
        let mut share = self.clone();
        if count == 1 {
            return share;
        }
        share.book.max_orders = room(self.book.max_orders, count);
        share.book.max_levels = room(self.book.max_levels, count);
        let risk = &mut share.risk;
        risk.max_gross_value /= u64::from(count);
        risk.max_open_orders /= count;
        risk.max_orders_per_second /= count;
        if let Some(gateway) = &mut share.gateway {
            gateway.local_port = gateway.local_port.saturating_add(index);
        }
        share.recovery = self.recovery.as_ref().map(|recovery| recovery.share(count));
        share
    }
}

impl Recovery {
    /// One of `count` equal parts of what may be asked and kept; the same for one.
    #[must_use]
    pub fn share(&self, count: u32) -> Self {
        let mut share = self.clone();
        if count < 2 {
            return share;
        }
        share.buffer_bytes = self.buffer_bytes.div_ceil(count as usize) * 3 / 2;
        if let Some(requests) = &mut share.requests {
            requests.per_second = (requests.per_second / count).max(1);
            // At most `MAX_WORKERS`.
            requests.outstanding = (requests.outstanding / count as u16).max(1);
        }
        share
    }
}

/// Half as much again as one of `count` equal parts of `total`.
fn room(total: u32, count: u32) -> u32 {
    let part = u64::from(total.div_ceil(count)) * 3 / 2;
    u32::try_from(part).unwrap_or(total).clamp(1, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_sum_to_more_than_the_limit() {
        let text = include_str!("../../config/feed.toml");
        for workers in ["[1]", "[1, 2]", "[1, 2, 3, 4, 5, 6, 7]"] {
            let text = text.replace("#workers = [1, 2]", &format!("workers = {workers}"));
            let whole = Config::parse(&text, "share").unwrap();
            let count = whole.lcores.count();
            let shares: Vec<_> = (0..count).map(|index| whole.share(index)).collect();
            let risk = &whole.risk;
            assert!(shares.iter().map(|s| s.risk.max_gross_value).sum::<u64>() <= risk.max_gross_value);
            assert!(shares.iter().map(|s| s.risk.max_open_orders).sum::<u32>() <= risk.max_open_orders);
            let rate = shares.iter().map(|s| s.risk.max_orders_per_second).sum::<u32>();
            assert!(rate <= risk.max_orders_per_second);
            let of = |config: &Config| config.recovery.clone().unwrap().requests.unwrap();
            assert!(shares.iter().map(|s| of(s).per_second).sum::<u32>() <= of(&whole).per_second);
            assert!(shares.iter().map(|s| of(s).outstanding).sum::<u16>() <= of(&whole).outstanding);
            for (index, share) in shares.iter().enumerate() {
                assert_eq!(share.risk.max_position_shares, risk.max_position_shares);
                assert_eq!(share.gateway.as_ref().unwrap().local_port, 31_000 + index as u16);
                assert!(share.book.max_orders <= whole.book.max_orders);
                assert!(share.book.max_orders * u32::from(count) >= whole.book.max_orders);
            }
            assert_eq!(shares[0] == whole, count == 1);
        }
    }
}
