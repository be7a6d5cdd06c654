//! "Did you mean …?"

/// The candidate nearest to `typed`, if one is near enough to be what was meant: at most a third of it mistyped.
pub(crate) fn nearest<'c>(typed: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // Longer than any key of ours; the bound keeps a hostile file from costing quadratic time.
    if typed.len() > 64 {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (distance(typed, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(3)) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edit distance (Levenshtein) in bytes, a swap of two neighbours counting as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j - 1] + change).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("mtu", "mtu"), 0);
        assert_eq!(distance("mut", "mtu"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn suggests_only_what_is_near() {
        let keys = ["mtu", "rx_descriptors", "tx_descriptors"];
        assert_eq!(nearest("mut", keys), Some("mtu"));
        assert_eq!(nearest("rx_descriptor", keys), Some("rx_descriptors"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest(&"m".repeat(1_000), keys), None);
    }
}
