//! Figures, how they are kept in a file, and when one is too high.
//!
//! A figure is a number of instructions per message. It is exact for one compiler: another may count otherwise without
//! anybody's fault, so its figures are only reported.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What may change without being said, in percent.
pub(crate) const TOLERANCE: f64 = 3.0;

/// Instructions per message, by name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// What the file says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Committed {
    /// The compiler's version.
    pub(crate) rustc: String,
    pub(crate) figures: Figures,
}

const HEADING: &str = "\
# Instructions per message, counted by callgrind over benches/gate/cases.rs. `make gate` fails where one is 3 % above what
# stands here; `make gate-update` writes what it counts. Another compiler counts otherwise, and is not judged.
";

impl Committed {
    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let table: toml::Table = text.parse().map_err(|why| format!("{why}"))?;
        let rustc = table.get("rustc").and_then(toml::Value::as_str).ok_or("it names no rustc")?.to_owned();
        let rows =
            table.get("instructions").and_then(toml::Value::as_table).ok_or("it has no [instructions]")?;
        let figure = |(name, value): (&String, &toml::Value)| {
            let figure = value.as_float().filter(|figure| *figure > 0.0);
            Ok((name.clone(), figure.ok_or_else(|| format!("{name} is no number above zero"))?))
        };
        let figures = rows.iter().map(figure).collect::<Result<_, String>>()?;
        Ok(Self { rustc, figures })
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{HEADING}\nrustc = \"{}\"\n\n[instructions]\n", self.rustc);
        for (name, figure) in &self.figures {
            // Writing to memory cannot fail.
            let _ = writeln!(text, "\"{name}\" = {figure:.2}");
        }
        text
    }
}

/// What became of one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it was, nearly.
    Holds,
    /// Too high.
    Worse,
    /// Lower: the file should say so, else the next change may waste what was won.
    Better,
    /// It is not in the file.
    New,
    /// It is only in the file.
    Gone,
}

/// One line of the comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) committed: Option<f64>,
    pub(crate) counted: Option<f64>,
    pub(crate) verdict: Verdict,
}

/// Compares, name by name.
pub(crate) fn compare(committed: &Figures, counted: &Figures) -> Vec<Row> {
    let names = committed.keys().chain(counted.keys().filter(|name| !committed.contains_key(*name)));
    let row = |name: &String| {
        let (before, now) = (committed.get(name).copied(), counted.get(name).copied());
        let verdict = match (before, now) {
            (Some(before), Some(now)) if now > before * (1.0 + TOLERANCE / 100.0) => Verdict::Worse,
            (Some(before), Some(now)) if now < before * (1.0 - TOLERANCE / 100.0) => Verdict::Better,
            (Some(_), Some(_)) => Verdict::Holds,
            (None, _) => Verdict::New,
            (_, None) => Verdict::Gone,
        };
        Row { name: name.clone(), committed: before, counted: now, verdict }
    };
    names.map(row).collect()
}

/// What is printed, and whether the gate lets it pass.
pub(crate) struct Judgement {
    pub(crate) text: String,
    pub(crate) passes: bool,
}

/// Judges what `rustc` made against the file.
pub(crate) fn judge(committed: &Committed, rustc: &str, counted: &Figures) -> Judgement {
    let rows = compare(&committed.figures, counted);
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}  committed    counted\n", "instructions per message");
    let cell = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.2}"));
    for row in &rows {
        let change = match (row.committed, row.counted) {
            (Some(before), Some(now)) => {
                format!("{:+6.1} %", ((now / before - 1.0) * 1_000.0).round() / 10.0 + 0.0)
            }
            _ => String::new(),
        };
        let word = match row.verdict {
            Verdict::Holds => "",
            Verdict::Worse => "  WORSE",
            Verdict::Better => "  better",
            Verdict::New => "  not in the file",
            Verdict::Gone => "  not counted any more",
        };
        let (before, now) = (cell(row.committed), cell(row.counted));
        let _ = writeln!(text, "{:width$} {before:>10} {now:>10} {change}{word}", row.name);
    }
    let is = |verdicts: &[Verdict]| rows.iter().any(|row| verdicts.contains(&row.verdict));
    if committed.rustc != rustc {
        let _ = writeln!(
            text,
            "gate: warning: the figures are of rustc {}, this is {rustc}: reported, not judged",
            committed.rustc
        );
        return Judgement { text, passes: true };
    }
    let differs = is(&[Verdict::Worse, Verdict::New, Verdict::Gone]);
    if differs {
        let _ = writeln!(
            text,
            "gate: FAILED: what is meant to be so is committed by make gate-update, with a reason"
        );
    } else if is(&[Verdict::Better]) {
        let _ = writeln!(text, "gate: some are more than {TOLERANCE} % better: make gate-update");
    } else {
        let _ = writeln!(text, "gate: all within {TOLERANCE} %");
    }
    Judgement { text, passes: !differs }
}
