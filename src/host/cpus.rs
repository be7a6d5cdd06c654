//! Sets of CPUs as EAL and the kernel write them: `0-3,8`, `0x1f`, `(0-1)@2,3@(4-5)`.

use std::{collections::BTreeSet, fmt};

/// CPU or lcore numbers in order. Numbers above [`CpuSet::LARGEST`] are refused, so a mistyped range costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuSet(BTreeSet<u32>);

impl CpuSet {
    /// The largest number that is accepted; no release of EAL has more lcores.
    pub const LARGEST: u32 = 4_095;

    /// Reads `0-3,8` (a list of numbers and ranges). `None` where it is no such list.
    #[must_use]
    pub fn parse_list(text: &str) -> Option<Self> {
        let mut set = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            // EAL takes a range in either direction.
            set.extend(first.min(last)..=first.max(last));
        }
        Some(Self(set))
    }

    /// Reads a hexadecimal mask, with or without `0x`, lowest CPU rightmost. `None` where it is none or empty.
    #[must_use]
    pub fn parse_mask(text: &str) -> Option<Self> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")).unwrap_or(digits);
        let mut set = BTreeSet::new();
        for (place, digit) in (0..).zip(digits.chars().rev()) {
            let value = digit.to_digit(16)?;
            set.extend((0..4).filter(|bit| value & (1 << bit) != 0).map(|bit| place * 4 + bit));
        }
        (!set.is_empty() && set.last() <= Some(&Self::LARGEST)).then_some(Self(set))
    }

    /// Reads a mask as the kernel writes it, in groups of eight digits: `3,ffffffff`. It may be empty.
    #[must_use]
    pub fn parse_kernel_mask(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|c| *c != ',').collect();
        if !digits.is_empty() && digits.bytes().all(|digit| digit == b'0') {
            return Some(Self::default());
        }
        Self::parse_mask(&digits)
    }

    /// The CPUs that this process may use, as the kernel says; empty where it does not say.
    #[must_use]
    pub fn allowed() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        list.and_then(|list| Self::parse_list(list.trim())).unwrap_or_default()
    }

    /// True where the set has that number.
    #[must_use]
    pub fn contains(&self, cpu: u32) -> bool {
        self.0.contains(&cpu)
    }

    /// The numbers, rising.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// True where it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).copied().collect())
    }

    /// The mask as the kernel reads it: groups of eight digits, the lowest last.
    #[must_use]
    pub fn kernel_mask(&self) -> String {
        let groups = self.0.last().map_or(1, |last| last / 32 + 1);
        let group = |group: u32| {
            (0..32).filter(|bit| self.contains(group * 32 + bit)).fold(0_u32, |mask, bit| mask | 1 << bit)
        };
        let words: Vec<_> = (0..groups).rev().map(|at| format!("{:08x}", group(at))).collect();
        words.join(",")
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }
}

impl FromIterator<u32> for CpuSet {
    /// Those of the numbers that are accepted.
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        Self(cpus.into_iter().filter(|cpu| *cpu <= Self::LARGEST).collect())
    }
}

/// As lists are written: `0-3,8`.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while cpus.peek() == Some(&(last + 1)) {
                last += 1;
                cpus.next();
            }
            if first == last {
                write!(f, "{separator}{first}")?;
            } else {
                write!(f, "{separator}{first}-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

fn number(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|n| *n <= CpuSet::LARGEST)
}

/// Which lcores are asked for, and which CPUs they would run on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LcoreMap {
    /// EAL's numbers.
    pub lcores: CpuSet,
    /// The kernel's numbers.
    pub cpus: CpuSet,
    /// Each lcore and the CPUs that it may run on, in the order in which they were named.
    pub places: Vec<(u32, CpuSet)>,
}

impl LcoreMap {
    /// Each lcore on the CPU of its number.
    #[must_use]
    pub fn same(cpus: CpuSet) -> Self {
        let places = cpus.iter().map(|cpu| (cpu, CpuSet::from_iter([cpu]))).collect();
        Self { lcores: cpus.clone(), cpus, places }
    }

    /// Reads what `--lcores` takes: items `set[@set]` separated by commas, a set being a number, a range or a
    /// list in round brackets; without `@` an lcore runs on the CPU of its number. `None` where it is no such map.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut map = Self::default();
        for item in split_outside_brackets(text)? {
            let (lcores, cpus) = item.split_once('@').unwrap_or((item, item));
            let own = !item.contains('@') && !item.trim().starts_with('(');
            let (lcores, cpus) = (bracketed(lcores)?, bracketed(cpus)?);
            // A list in brackets shares its CPUs; without brackets and `@` each lcore has its own.
            let place = |lcore| if own { CpuSet::from_iter([lcore]) } else { cpus.clone() };
            map.places.extend(lcores.iter().map(|lcore| (lcore, place(lcore))));
            map.lcores.extend(&lcores);
            map.cpus.extend(&cpus);
        }
        Some(map)
    }
}

fn bracketed(text: &str) -> Option<CpuSet> {
    let text = text.trim();
    let inner = text.strip_prefix('(').map_or(Some(text), |rest| rest.strip_suffix(')'))?;
    CpuSet::parse_list(inner)
}

fn split_outside_brackets(text: &str) -> Option<Vec<&str>> {
    let (mut items, mut start, mut inside) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' if !inside => inside = true,
            ')' if inside => inside = false,
            '(' | ')' => return None,
            ',' if !inside => {
                items.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&text[start..]);
    (!inside).then_some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<u32> {
        CpuSet::parse_list(text).unwrap().iter().collect()
    }

    #[test]
    fn lists_as_eal_reads_them() {
        assert_eq!(list("0"), [0]);
        assert_eq!(list("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(list("3-1"), [1, 2, 3]);
        for bad in ["", "a", "1-", "-1", "1,,2", "0-9999999999", "4096"] {
            assert_eq!(CpuSet::parse_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn masks_as_eal_reads_them() {
        assert_eq!(CpuSet::parse_mask("0x13").unwrap().iter().collect::<Vec<_>>(), [0, 1, 4]);
        assert_eq!(CpuSet::parse_mask("f0").unwrap().to_string(), "4-7");
        for bad in ["", "0x", "0", "0xg"] {
            assert_eq!(CpuSet::parse_mask(bad), None, "{bad}");
        }
    }

    #[test]
    fn maps_name_lcores_and_cpus() {
        let map = LcoreMap::parse("0@1,(2-3)@(4,6),5").unwrap();
        assert_eq!((map.lcores.to_string(), map.cpus.to_string()), ("0,2-3,5".into(), "1,4-6".into()));
        for bad in ["", "(0", "0)", "0@", "((0))", "0@1@2"] {
            assert_eq!(LcoreMap::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn maps_place_each_lcore() {
        let places = |text: &str| -> Vec<String> {
            let map = LcoreMap::parse(text).unwrap();
            map.places.iter().map(|(lcore, cpus)| format!("{lcore}@{cpus}")).collect()
        };
        assert_eq!(places("0-1,4"), ["0@0", "1@1", "4@4"]);
        assert_eq!(places("0@1,(2-3)@(4,6)"), ["0@1", "2@4,6", "3@4,6"]);
        assert_eq!(places("(2-3)"), ["2@2-3", "3@2-3"]);
        assert_eq!(LcoreMap::same(CpuSet::from_iter([5])).places, [(5, CpuSet::from_iter([5]))]);
    }

    #[test]
    fn masks_as_the_kernel_writes_them() {
        for (text, list) in [("00000003,00000001", "0,32-33"), ("f", "0-3"), ("00000000", "")] {
            assert_eq!(CpuSet::parse_kernel_mask(text).unwrap().to_string(), list, "{text}");
        }
        for bad in ["", ",", "x", "-1"] {
            assert_eq!(CpuSet::parse_kernel_mask(bad), None, "{bad}");
        }
        assert_eq!(CpuSet::parse_list("0,32-33").unwrap().kernel_mask(), "00000003,00000001");
        assert_eq!(CpuSet::default().kernel_mask(), "00000000");
    }

    #[test]
    fn sets() {
        let (a, b) = (CpuSet::parse_list("0-3").unwrap(), CpuSet::parse_list("2-5").unwrap());
        assert_eq!((a.and(&b).to_string(), a.without(&b).to_string()), ("2-3".into(), "0-1".into()));
        assert!(a.without(&a).is_empty());
        assert!(CpuSet::from_iter([u32::MAX]).is_empty());
    }

    #[test]
    fn written_as_read() {
        for text in ["0", "0-3", "0-1,4,6-7"] {
            assert_eq!(CpuSet::parse_list(text).unwrap().to_string(), text);
        }
    }
}
