//! Texts that stand for something: money, hardware addresses, ports of the EAL.

use super::PortRef;

/// Units of money in one dollar, as [`crate::market::Price`] counts.
pub(super) const DOLLAR: u64 = 10_000;

/// Dollars with up to four decimals, in 1/10,000 dollar: `"0.05"` is 500. No sign, no exponent, no float.
pub(super) fn money(text: &str) -> Option<u64> {
    let (whole, decimals) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 4 || !digits(whole) || !digits(decimals) {
        return None;
    }
    let dollars: u64 = whole.parse().ok()?;
    let mut fraction = 0;
    for place in 0..4 {
        fraction = fraction * 10 + decimals.as_bytes().get(place).map_or(0, |digit| u64::from(digit - b'0'));
    }
    dollars.checked_mul(DOLLAR)?.checked_add(fraction)
}

/// `value` in 1/10,000 dollar as dollars, without needless zeros: the inverse of [`money`].
pub(super) fn dollars(value: u64) -> String {
    let (whole, fraction) = (value / DOLLAR, value % DOLLAR);
    if fraction == 0 {
        return whole.to_string();
    }
    format!("{whole}.{fraction:04}").trim_end_matches('0').to_owned()
}

/// A time of day, `9:30`, `09:30:00` or up to `24:00`, with up to nine decimals of a second, in ns since midnight.
pub(super) fn time_of_day(text: &str) -> Option<u64> {
    let (clock, decimals) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let mut parts = clock.split(':');
    let mut two = |required: bool| match parts.next() {
        None => (!required).then_some(0),
        Some(part) if matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit()) => {
            part.parse::<u64>().ok()
        }
        Some(_) => None,
    };
    let (hours, minutes, seconds) = (two(true)?, two(true)?, two(false)?);
    if parts.next().is_some() || decimals.len() > 9 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut ns = 0;
    for place in 0..9 {
        ns = ns * 10 + decimals.as_bytes().get(place).map_or(0, |digit| u64::from(digit - b'0'));
    }
    let all = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + ns;
    (minutes < 60 && seconds < 60 && all <= MIDNIGHT).then_some(all)
}

/// ns of a day.
pub(super) const MIDNIGHT: u64 = 86_400_000_000_000;

/// Six hexadecimal pairs with colons (or hyphens) between them.
pub(super) fn mac(text: &str) -> Option<[u8; 6]> {
    let mut address = [0; 6];
    let mut pairs = text.split([':', '-']);
    for byte in &mut address {
        let pair = pairs.next()?;
        if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(address)
}

/// True for the address of one station: not of a group, and not all zeros.
pub(super) fn is_station(mac: [u8; 6]) -> bool {
    mac[0] & 1 == 0 && mac != [0; 6]
}

/// An index, a PCI address (its domain may be left out) or the name of a virtual device.
pub(super) fn port_ref(text: &str) -> Option<PortRef> {
    // The EAL's own limit for device names is 64 bytes with the final NUL; a comma would start device arguments.
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b',';
    if text.is_empty() || text.len() > 63 || !text.bytes().all(plain) {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|index| *index < 32).map(PortRef::Index);
    }
    Some(PortRef::Name(pci_address(text).unwrap_or_else(|| text.to_owned())))
}

/// A PCI address in the EAL's own form, `dddd:bb:dd.f` in lower case; the domain may be left out.
fn pci_address(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let full = if lower.matches(':').count() == 1 { format!("0000:{lower}") } else { lower };
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (address, function) = full.rsplit_once('.')?;
    let mut fields = address.split(':');
    let (domain, bus, device) = (fields.next()?, fields.next()?, fields.next()?);
    let shaped = fields.next().is_none()
        && (4..=8).contains(&domain.len())
        && [bus.len(), device.len(), function.len()] == [2, 2, 1];
    (shaped && [domain, bus, device, function].into_iter().all(hex)).then_some(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_read_exactly_or_not_at_all() {
        let hour = 3_600_000_000_000;
        for (text, ns) in [
            ("9:30", hour * 19 / 2),
            ("09:30:00", hour * 19 / 2),
            ("0:0", 0),
            ("24:00:00", 24 * hour),
            ("16:00:00.000000001", 16 * hour + 1),
            ("15:59:59.5", 16 * hour - 500_000_000),
        ] {
            assert_eq!(time_of_day(text), Some(ns), "{text}");
        }
        let wrong = [
            "",
            "9",
            "9:60",
            "9:30:60",
            "24:00:01",
            "25:00",
            "9:30.",
            "9:30:00.0000000001",
            "-1:00",
            "9:3x",
            "9:30:00:00",
            "009:30",
        ];
        for text in wrong {
            assert_eq!(time_of_day(text), None, "{text}");
        }
    }

    #[test]
    fn money_is_exact_or_refused() {
        assert_eq!(money("0.05"), Some(500));
        assert_eq!(money("250000"), Some(2_500_000_000));
        assert_eq!(money("1.0001"), Some(10_001));
        for bad in
            ["", ".5", "1.", "0.00001", "-1", "+1", "1e3", "1,5", " 1", "1_000", "99999999999999999999", "١"]
        {
            assert_eq!(money(bad), None, "{bad:?}");
        }
        assert_eq!(money("1844674407370955.1615"), Some(u64::MAX));
        assert_eq!(money("1844674407370955.1616"), None);
        for value in [0, 1, 500, 10_000, 123_456_789] {
            assert_eq!(money(&dollars(value)), Some(value));
        }
    }

    #[test]
    fn hardware_addresses() {
        assert_eq!(mac("02:00:00:00:00:0A"), Some([2, 0, 0, 0, 0, 10]));
        assert_eq!(mac("02-00-00-00-00-0a"), Some([2, 0, 0, 0, 0, 10]));
        for bad in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "2:0:0:0:0:1",
            "02:00:00:00:00:+1",
            "0200.0000.0001",
        ] {
            assert_eq!(mac(bad), None, "{bad:?}");
        }
        assert!(is_station([2, 0, 0, 0, 0, 1]));
        assert!(!is_station([1, 0, 0x5e, 0, 0, 1]));
        assert!(!is_station([0; 6]));
    }

    #[test]
    fn ports() {
        let name = |text: &str| Some(PortRef::Name(text.to_owned()));
        assert_eq!(port_ref("0"), Some(PortRef::Index(0)));
        assert_eq!(port_ref("32"), None);
        assert_eq!(port_ref("0000:3B:00.1"), name("0000:3b:00.1"));
        assert_eq!(port_ref("3b:00.1"), name("0000:3b:00.1"));
        assert_eq!(port_ref("10000:01:00.0"), name("10000:01:00.0"));
        assert_eq!(port_ref("net_pcap0"), name("net_pcap0"));
        for bad in ["", "net_pcap0,rx_pcap=x", "a b", "naïve", &"n".repeat(64)] {
            assert_eq!(port_ref(bad), None, "{bad:?}");
        }
    }
}
