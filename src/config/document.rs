//! A TOML text taken apart into `path → value`, asked key by key, collecting what is wrong on the way.
//!
//! Each question (`int`, `choice`, …) returns a value even where the file has none or a bad one, and notes the
//! problem: so one run finds all of them. A configuration with a noted problem is never handed out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigErrors, Problem, line_column};
use super::suggest::nearest;

mod ask;

/// Most problems that one run reports; a file with more is not a configuration, and looking for the meant key costs time.
const MOST_PROBLEMS: usize = 100;

/// A value of the file and where it stands.
struct Leaf<'t> {
    key: Range<usize>,
    value: Spanned<DeValue<'t>>,
}

/// A problem and the byte it is about.
struct Noted {
    offset: usize,
    what: String,
    remedy: String,
}

/// The text under question.
pub(super) struct Document<'t> {
    text: &'t str,
    /// Values not yet asked for.
    leaves: BTreeMap<String, Leaf<'t>>,
    /// Tables (`[a.b]` is `a.b`) and where they begin.
    tables: BTreeMap<String, usize>,
    /// Where each key of the file stands, asked for or not.
    places: BTreeMap<String, usize>,
    /// Keys asked for, in order.
    known: Vec<&'static str>,
    /// Keys whose value is bad or missing: rules about them would complain twice.
    bad: BTreeSet<&'static str>,
    noted: Vec<Noted>,
    broken: bool,
}

impl<'t> Document<'t> {
    /// Takes `text` apart.
    pub(super) fn parse(text: &'t str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut document = Self {
            text,
            leaves: BTreeMap::new(),
            tables: BTreeMap::new(),
            places: BTreeMap::new(),
            known: Vec::new(),
            bad: BTreeSet::new(),
            noted: Vec::new(),
            broken: !errors.is_empty(),
        };
        let mut lines = BTreeSet::new();
        for error in errors.into_iter().take(MOST_PROBLEMS + 1) {
            let offset = error.span().map_or(text.len(), |span| span.start);
            // The first complaint about a line is the one that counts; those after it follow from it.
            if lines.insert(line_column(text, offset).0) {
                document.note(
                    offset,
                    format!("not TOML: {}", error.message()),
                    "write key = value, once each; text and addresses in \"quotes\", numbers without"
                        .to_owned(),
                );
            }
        }
        document.flatten("", root.into_inner());
        document
    }

    fn flatten(&mut self, prefix: &str, table: DeTable<'t>) {
        for (key, value) in table {
            let (span, name) = (key.span(), key.into_inner());
            let bare =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            // A quoted key with a dot in it must not pass for a path.
            let name = if bare { name.into_owned() } else { format!("{name:?}") };
            let path = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            self.places.insert(path.clone(), span.start);
            let value_span = value.span();
            match value.into_inner() {
                DeValue::Table(inner) => {
                    self.tables.insert(path.clone(), span.start);
                    self.flatten(&path, inner);
                }
                other => {
                    self.leaves.insert(path, Leaf { key: span, value: Spanned::new(value_span, other) });
                }
            }
        }
    }

    /// True where the text is not TOML.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// True where nothing was noted.
    pub(super) fn is_clean(&self) -> bool {
        self.noted.is_empty()
    }

    /// True where the file has `path` as a section.
    pub(super) fn has_section(&self, path: &str) -> bool {
        self.tables.contains_key(path)
    }

    /// Everything noted, in the order of the text.
    pub(super) fn into_errors(mut self, name: &str) -> ConfigErrors {
        self.noted.sort_by_key(|noted| noted.offset);
        let more = self.noted.len() > MOST_PROBLEMS;
        let mut problems: Vec<Problem> = (self.noted.into_iter().take(MOST_PROBLEMS))
            .map(|Noted { offset, what, remedy }| Problem {
                place: Some(line_column(self.text, offset)),
                what,
                remedy,
            })
            .collect();
        if more {
            let what = format!("has more problems than these {MOST_PROBLEMS}");
            problems.push(Problem { place: None, what, remedy: "put these right first".to_owned() });
        }
        ConfigErrors::new(name, problems)
    }

    /// Every key that was asked for.
    pub(super) fn into_known(self) -> Vec<&'static str> {
        self.known
    }

    /// True where more was found than is reported: no need to look further.
    fn is_full(&self) -> bool {
        self.noted.len() > MOST_PROBLEMS
    }

    fn note(&mut self, offset: usize, what: String, remedy: String) {
        if !self.is_full() {
            self.noted.push(Noted { offset, what, remedy });
        }
    }

    /// Notes that the value of `path`, which stands at `offset`, is not accepted.
    fn refuse(&mut self, path: &'static str, offset: usize, what: String, remedy: String) {
        self.bad.insert(path);
        self.note(offset, what, remedy);
    }

    /// Notes a contradiction between `paths`, at the first of them that the file has — unless one of them is bad
    /// by itself.
    pub(super) fn contradiction(&mut self, paths: &[&'static str], what: String, remedy: &str) {
        if paths.iter().any(|path| self.bad.contains(path)) {
            return;
        }
        let offset = paths.iter().find_map(|path| self.offset_of(path)).unwrap_or(0);
        self.note(offset, what, remedy.to_owned());
    }

    /// Where `path` or, failing that, the nearest section around it stands.
    fn offset_of(&self, path: &str) -> Option<usize> {
        self.places.get(path).copied().or_else(|| self.offset_of(path.rsplit_once('.')?.0))
    }

    /// True where the file itself says `path`.
    pub(super) fn says(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// Takes the value of `path`; its absence is for the caller to judge.
    fn take(&mut self, path: &'static str) -> Option<Leaf<'t>> {
        self.known.push(path);
        if let Some(offset) = self.tables.get(path).copied() {
            self.refuse(path, offset, format!("{path} is a section"), format!("write {} = …", last(path)));
        }
        self.leaves.remove(path)
    }

    /// Notes that `path` is needed and not there. `example` is what might be written, as TOML.
    fn missing(&mut self, path: &'static str, example: &str) {
        if self.bad.contains(path) {
            return;
        }
        let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
        let remedy = match self.tables.get(section) {
            Some(_) => format!("add {key} = {example} to [{section}]"),
            None => format!("add a section [{section}] with {key} = {example}"),
        };
        let offset = self.offset_of(path).unwrap_or(0);
        self.refuse(path, offset, format!("{path} is missing"), remedy);
    }

    /// Refuses a value of the wrong type; `wanted` says what is wanted, `example` how it is written.
    fn wrong_type(&mut self, path: &'static str, leaf: &Leaf<'_>, wanted: &str, example: &str) {
        let what = format!("{path} is {}, not {wanted}", type_name(leaf.value.get_ref()));
        self.refuse(path, leaf.value.span().start, what, format!("write {} = {example}", last(path)));
    }

    /// Notes every key and section of the file that nobody asked for.
    pub(super) fn refuse_unknown(&mut self) {
        let sections: BTreeSet<&'static str> = self.known.iter().flat_map(|path| ancestors(path)).collect();
        let mut unknown_tables: Vec<(String, usize)> = Vec::new();
        for (path, offset) in &self.tables {
            if unknown_tables.len() > MOST_PROBLEMS {
                break;
            }
            let inside = unknown_tables.iter().any(|(table, _)| is_inside(path, table));
            if !inside && !sections.contains(path.as_str()) && !self.known.contains(&path.as_str()) {
                unknown_tables.push((path.clone(), *offset));
            }
        }
        let leaves = std::mem::take(&mut self.leaves);
        for (path, offset) in &unknown_tables {
            let remedy = match nearest(path, sections.iter().copied()) {
                Some(section) => format!("did you mean [{section}]?"),
                None => "remove it; config/feed.toml shows every section".to_owned(),
            };
            self.note(*offset, format!("there is no section [{path}]"), remedy);
        }
        for (path, leaf) in leaves {
            let in_unknown = unknown_tables.iter().any(|(table, _)| is_inside(&path, table));
            let in_value = self.known.iter().any(|known| is_inside(&path, known));
            if in_unknown || in_value {
                continue;
            }
            if self.is_full() {
                break;
            }
            if sections.contains(path.as_str()) {
                self.note(
                    leaf.key.start,
                    format!("{path} is {}, not a section", type_name(leaf.value.get_ref())),
                    format!("write [{path}] on a line of its own and its keys below"),
                );
                continue;
            }
            let remedy = self.where_to_write(&path);
            self.note(leaf.key.start, format!("there is no key {path}"), remedy);
        }
    }

    /// What may have been meant by a key that does not exist.
    fn where_to_write(&self, path: &str) -> String {
        let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
        let in_section =
            |known: &&&'static str| known.rsplit_once('.').is_some_and(|(its, _)| its == section);
        if let Some(near) = nearest(key, self.known.iter().filter(in_section).map(|known| last(known))) {
            return format!("did you mean {near}?");
        }
        if let Some(elsewhere) = self.known.iter().find(|known| last(known) == key) {
            return format!("{key} belongs to [{}]", elsewhere.rsplit_once('.').map_or("", |(its, _)| its));
        }
        "remove it; config/feed.toml shows every key".to_owned()
    }
}

/// The key of a path.
fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, key)| key)
}

/// The sections around a key, the outermost last.
fn ancestors(path: &'static str) -> impl Iterator<Item = &'static str> {
    std::iter::successors(path.rsplit_once('.'), |(section, _)| section.rsplit_once('.'))
        .map(|(section, _)| section)
}

/// True where `path` lies within the table `table`.
fn is_inside(path: &str, table: &str) -> bool {
    path.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'))
}

/// What TOML calls the type of a value, with its article.
fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
