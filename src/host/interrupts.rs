//! `/proc/interrupts`: how often each CPU was interrupted by what, since boot.

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    /// A number, or a name such as `LOC`.
    label: String,
    /// One count a CPU, in the order of the heading.
    counts: Vec<u64>,
    /// What the kernel says behind them: chip, kind, and the names of the drivers.
    what: String,
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupts {
    cpus: Vec<u32>,
    rows: Vec<Row>,
}

/// What a row grew by on one CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// As in the file: `41`, `LOC`.
    pub label: String,
    /// The driver that it belongs to, or what the kernel calls it.
    pub name: String,
    /// How often.
    pub times: u64,
}

impl Interrupts {
    /// `None` where it has no heading of CPUs. Rows that count for the whole machine (`ERR`, `MIS`) are left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let heading = lines.next()?.split_whitespace();
        let cpus: Vec<u32> =
            heading.map(|word| word.strip_prefix("CPU")?.parse().ok()).collect::<Option<_>>()?;
        if cpus.is_empty() {
            return None;
        }
        let row = |line: &str| {
            let (label, rest) = line.split_once(':')?;
            let mut words = rest.split_whitespace();
            let counts: Vec<u64> =
                words.by_ref().take(cpus.len()).map_while(|word| word.parse().ok()).collect();
            let what = words.collect::<Vec<_>>().join(" ");
            (counts.len() == cpus.len()).then(|| Row { label: label.trim().to_owned(), counts, what })
        };
        let rows = lines.filter_map(row).collect();
        Some(Self { cpus, rows })
    }

    /// The numbered interrupts and the drivers that they belong to.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &str)> {
        self.rows.iter().filter_map(|row| Some((row.label.parse().ok()?, row.name())))
    }

    /// What grew on `cpu` from `before` to here.
    #[must_use]
    pub fn since(&self, before: &Self, cpu: u32) -> Vec<Growth> {
        let column = |of: &Self| of.cpus.iter().position(|number| *number == cpu);
        let (Some(now_at), Some(before_at)) = (column(self), column(before)) else { return Vec::new() };
        let growth = |row: &Row| {
            let old = before.rows.iter().find(|old| old.label == row.label);
            let old = old.map_or(0, |old| old.counts[before_at]);
            let times = row.counts[now_at].saturating_sub(old);
            (times > 0).then(|| Growth { label: row.label.clone(), name: row.name().to_owned(), times })
        };
        self.rows.iter().filter_map(growth).collect()
    }
}

impl Row {
    /// The drivers of a numbered interrupt stand last; what is named says itself what it is.
    fn name(&self) -> &str {
        let numbered = self.label.bytes().all(|byte| byte.is_ascii_digit());
        if numbered { self.what.rsplit(' ').next().unwrap_or_default() } else { &self.what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "           CPU0       CPU2\n  0:  5   0  IO-APIC  2-edge  timer\n \
                          41:  7   1  PCI-MSI-0000:01:00.0  2-edge  nvme0q2\nLOC: 100 200  Local timer interrupts\n\
                          ERR:  0\n";

    #[test]
    fn what_grew_is_told_by_cpu_and_name() {
        let before = Interrupts::parse(BEFORE).unwrap();
        let text = BEFORE.replace("7   1", "7   4").replace("100 200", "150 201");
        let now = Interrupts::parse(&text).unwrap();
        let grew = |cpu| -> Vec<_> {
            now.since(&before, cpu)
                .into_iter()
                .map(|g| format!("{} {} {}", g.label, g.name, g.times))
                .collect()
        };
        assert_eq!(grew(2), ["41 nvme0q2 3", "LOC Local timer interrupts 1"]);
        assert_eq!(grew(0), ["LOC Local timer interrupts 50"]);
        assert!(grew(1).is_empty(), "there is no such CPU");
        assert_eq!(before.numbered().collect::<Vec<_>>(), [(0, "timer"), (41, "nvme0q2")]);
    }

    #[test]
    fn what_is_no_such_file_is_none() {
        for bad in ["", "\n", "CPU0 CPUx\n", "0: 1 2\n", "\u{0}\u{1}"] {
            assert_eq!(Interrupts::parse(bad), None, "{bad:?}");
        }
        // A torn row is left out, the others stay.
        let torn = Interrupts::parse("CPU0 CPU1\n 1: 2\nLOC: 3 4\n 2: x y\n").unwrap();
        assert_eq!(torn.rows.len(), 1);
    }
}
