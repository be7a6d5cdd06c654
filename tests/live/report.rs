//! What the last report of a run says: the text for people, and the file for scripts.

use std::collections::BTreeMap;
use std::path::Path;

use crate::programs::Ended;

/// A report, taken apart.
pub(crate) struct Report {
    table: toml::Table,
    text: String,
}

impl Report {
    /// Reads the file that `--report` named.
    pub(crate) fn new(file: &Path, ended: &Ended) -> Self {
        let text = format!("{}{}", ended.stdout, ended.stderr);
        let table = std::fs::read_to_string(file).map_err(|why| why.to_string());
        let table = table.and_then(|table| table.parse().map_err(|why: toml::de::Error| why.to_string()));
        let table = table.unwrap_or_else(|why| panic!("{}: {why}\n{text}", file.display()));
        Self { table, text }
    }

    /// A counter, which must exist.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let value = self.table["counters"].get(name).unwrap_or_else(|| panic!("there is no counter {name}"));
        value.as_integer().unwrap().cast_unsigned()
    }

    /// How each recovery that is told ended, and the µs that it took.
    pub(crate) fn recoveries(&self) -> Vec<(String, u64)> {
        let episodes = self.table["recovery"]["episodes"].as_array().unwrap();
        let number = |value: &toml::Value| value.as_integer().unwrap().cast_unsigned();
        let told =
            |episode: &toml::Value| (episode["by"].as_str().unwrap().to_owned(), number(&episode["took_us"]));
        episodes.iter().map(told).collect()
    }

    /// How the books stood as a whole at the end.
    pub(crate) fn state(&self) -> &str {
        self.table["recovery"]["state"].as_str().unwrap()
    }

    /// How long it ran, rounded up.
    pub(crate) fn seconds(&self) -> u64 {
        self.table["seconds"].as_float().unwrap().ceil() as u64
    }

    /// Positions that are not 0, in shares.
    pub(crate) fn positions(&self) -> BTreeMap<String, i64> {
        let table = self.table["positions"].as_table().unwrap();
        table.iter().map(|(symbol, shares)| (symbol.clone(), shares.as_integer().unwrap())).collect()
    }

    /// What it said to people and to its log.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}
