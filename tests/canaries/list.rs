//! `list.toml`: the judges and the bugs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// All of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    #[serde(rename = "judge")]
    pub(crate) judges: Vec<Judge>,
    #[serde(rename = "canary")]
    pub(crate) canaries: Vec<Canary>,
}

/// A test binary that is asked whether the handler is right.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Judge {
    pub(crate) name: String,
    /// An integration test, or `lib` for the unit tests.
    pub(crate) target: String,
    /// Arguments of the binary: which tests.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
}

/// A bug.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Canary {
    pub(crate) name: String,
    /// What it would do to somebody who trades with it.
    pub(crate) harm: String,
    pub(crate) file: String,
    /// A text that occurs once in the file; what is between « and », or else all of it, is replaced.
    pub(crate) find: String,
    pub(crate) replace: String,
    /// Who is asked first, being likely to catch it.
    pub(crate) judge: String,
}

impl List {
    /// Reads the list, and panics where it contradicts itself.
    pub(crate) fn load() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/canaries/list.toml");
        let text = fs::read_to_string(path).expect("list.toml");
        let list: Self = toml::from_str(&text).expect("list.toml");
        let judges: BTreeSet<&str> = list.judges.iter().map(|judge| judge.name.as_str()).collect();
        assert_eq!(judges.len(), list.judges.len(), "two judges have one name");
        let mut names = BTreeSet::new();
        for Canary { name, harm, judge, .. } in &list.canaries {
            assert!(names.insert(name), "two canaries are called {name}");
            assert!(judges.contains(judge.as_str()), "{name}: there is no judge {judge}");
            assert!(!harm.is_empty(), "{name}: says nothing of the harm");
        }
        assert!(list.canaries.len() >= 24, "only {} canaries", list.canaries.len());
        list
    }
}
