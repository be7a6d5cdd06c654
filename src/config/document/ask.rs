//! The questions: one for each type of value.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::super::suggest::nearest;
use super::super::value::{DOLLAR, dollars, money};
use super::{Document, last, type_name};

impl Document<'_> {
    /// An integer in `range`; `default` where the file has none.
    pub(in crate::config) fn int<T>(&mut self, path: &'static str, range: RangeInclusive<T>, default: T) -> T
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        self.optional_int(path, range, default).unwrap_or(default)
    }

    /// An integer in `range` that the file must have; `example` stands in for it otherwise.
    pub(in crate::config) fn required_int<T>(
        &mut self,
        path: &'static str,
        range: RangeInclusive<T>,
        example: T,
    ) -> T
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let value = self.optional_int(path, range, example);
        if value.is_none() {
            self.missing(path, &example.to_string());
        }
        value.unwrap_or(example)
    }

    /// An integer in `range`, if the file has one.
    pub(in crate::config) fn optional_int<T>(
        &mut self,
        path: &'static str,
        range: RangeInclusive<T>,
        example: T,
    ) -> Option<T>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let leaf = self.take(path)?;
        let DeValue::Integer(integer) = leaf.value.get_ref() else {
            self.wrong_type(path, &leaf, "an integer", &example.to_string());
            return None;
        };
        let value = i128::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(|value| T::try_from(value).ok());
        match value {
            Some(value) if range.contains(&value) => Some(value),
            _ => {
                let (low, high) = (range.start(), range.end());
                let written = self.text.get(leaf.value.span()).unwrap_or("…").to_owned();
                self.refuse(
                    path,
                    leaf.value.span().start,
                    format!("{path} is {written}, outside {low} to {high}"),
                    format!("write a number from {low} to {high}, for example {example}"),
                );
                None
            }
        }
    }

    /// A list of different integers in `range`, at most `most`; empty where the file has none.
    pub(in crate::config) fn ints<T>(
        &mut self,
        path: &'static str,
        range: RangeInclusive<T>,
        most: usize,
        example: &str,
    ) -> Vec<T>
    where
        T: Copy + Display + PartialOrd + TryFrom<i128>,
    {
        let Some(leaf) = self.take(path) else { return Vec::new() };
        let DeValue::Array(elements) = leaf.value.get_ref() else {
            self.wrong_type(path, &leaf, "a list", example);
            return Vec::new();
        };
        if elements.is_empty() || elements.len() > most {
            let what = format!("{path} has {} elements, outside 1 to {most}", elements.len());
            self.refuse(path, leaf.value.span().start, what, format!("write {example}, for example"));
            return Vec::new();
        }
        let mut values = Vec::with_capacity(elements.len());
        for element in elements {
            let value = match element.get_ref() {
                DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
                    .ok()
                    .and_then(|value| T::try_from(value).ok())
                    .filter(|value| range.contains(value)),
                _ => None,
            };
            let written = self.text.get(element.span()).unwrap_or("…");
            let trouble = match value {
                Some(value) if values.contains(&value) => format!("{path} names {written} twice"),
                Some(value) => {
                    values.push(value);
                    continue;
                }
                None => {
                    format!("{path} holds {written}, not a number from {} to {}", range.start(), range.end())
                }
            };
            self.refuse(path, element.span().start, trouble, format!("write {example}, for example"));
        }
        values
    }

    /// True or false; `default` where the file has neither.
    pub(in crate::config) fn flag(&mut self, path: &'static str, default: bool) -> bool {
        let Some(leaf) = self.take(path) else { return default };
        let DeValue::Boolean(value) = leaf.value.get_ref() else {
            self.wrong_type(path, &leaf, "true or false", &default.to_string());
            return default;
        };
        *value
    }

    /// A text that `read` understands, if the file has one; `wanted` and `example` describe such a text.
    pub(in crate::config) fn optional_text<T>(
        &mut self,
        path: &'static str,
        wanted: &str,
        example: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let leaf = self.take(path)?;
        let quoted = format!("{example:?}");
        let DeValue::String(text) = leaf.value.get_ref() else {
            self.wrong_type(path, &leaf, wanted, &quoted);
            return None;
        };
        let value = read(text);
        if value.is_none() {
            let what = format!("{path} is {text:?}, not {wanted}");
            let remedy = format!("write {} = {quoted}, for example", last(path));
            self.refuse(path, leaf.value.span().start, what, remedy);
        }
        value
    }

    /// A text that `read` understands and that the file must have.
    pub(in crate::config) fn required_text<T>(
        &mut self,
        path: &'static str,
        wanted: &str,
        example: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.optional_text(path, wanted, example, read);
        if value.is_none() {
            self.missing(path, &format!("{example:?}"));
        }
        value
    }

    /// A text that no problem may show, if the file has one.
    pub(in crate::config) fn secret<T>(
        &mut self,
        path: &'static str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let leaf = self.take(path)?;
        let DeValue::String(text) = leaf.value.get_ref() else {
            self.wrong_type(path, &leaf, wanted, "\"…\"");
            return None;
        };
        let value = read(text);
        if value.is_none() {
            let remedy = "it is not shown here; correct it".to_owned();
            self.refuse(path, leaf.value.span().start, format!("{path} is not {wanted}"), remedy);
        }
        value
    }

    /// One of the words of `options`; `default` where the file has none.
    pub(in crate::config) fn choice<T: Copy>(
        &mut self,
        path: &'static str,
        options: &[(&'static str, T)],
        default: T,
    ) -> T {
        let Some(leaf) = self.take(path) else { return default };
        let words = || options.iter().map(|(word, _)| *word);
        let list = words().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let offset = leaf.value.span().start;
        let DeValue::String(text) = leaf.value.get_ref() else {
            let what = format!("{path} is {}, not a text", type_name(leaf.value.get_ref()));
            self.refuse(path, offset, what, format!("write one of {list}"));
            return default;
        };
        if let Some((_, value)) = options.iter().find(|(word, _)| *word == text.as_ref()) {
            return *value;
        }
        let remedy = match nearest(text, words()) {
            Some(word) => format!("did you mean \"{word}\"? It may be {list}"),
            None => format!("write one of {list}"),
        };
        self.refuse(path, offset, format!("{path} is {text:?}, which is none of its values"), remedy);
        default
    }

    /// Money: a whole number of dollars, or a text of dollars with up to four decimals. In 1/10,000 dollar.
    pub(in crate::config) fn money(
        &mut self,
        path: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some(leaf) = self.take(path) else { return default };
        let (offset, key) = (leaf.value.span().start, last(path));
        let written = self.text.get(leaf.value.span()).unwrap_or("…").to_owned();
        let example = dollars(default);
        let value = match leaf.value.get_ref() {
            DeValue::String(text) => money(text),
            DeValue::Integer(integer) => u64::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .and_then(|whole| whole.checked_mul(DOLLAR)),
            DeValue::Float(_) => {
                let remedy = if money(&written).is_some() {
                    format!("put it in quotes: {key} = \"{written}\"")
                } else {
                    format!("write dollars in quotes, with up to four decimals: {key} = \"{example}\"")
                };
                self.refuse(
                    path,
                    offset,
                    format!("{path} is a float, and money never passes through one"),
                    remedy,
                );
                return default;
            }
            _ => None,
        };
        match value {
            Some(value) if range.contains(&value) => return value,
            Some(_) => self.refuse(
                path,
                offset,
                format!(
                    "{path} is {written}, outside {} to {} dollars",
                    dollars(*range.start()),
                    dollars(*range.end())
                ),
                format!("write {key} = \"{example}\", for example"),
            ),
            None => self.refuse(
                path,
                offset,
                format!("{path} is {written}, not an amount of dollars"),
                format!("write dollars in quotes, with up to four decimals: {key} = \"{example}\""),
            ),
        }
        default
    }

    /// A list as [`Document::list`] that the file must have and that must not be empty.
    pub(in crate::config) fn required_list<T>(
        &mut self,
        path: &'static str,
        most: usize,
        wanted: &str,
        example: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let values = self.list(path, most, wanted, example, read);
        if values.is_empty() && self.says(path) {
            let remedy = format!("write {} = [{example:?}], for example", last(path));
            self.contradiction(&[path], format!("{path} is empty"), &remedy);
        } else if values.is_empty() {
            self.missing(path, &format!("[{example:?}]"));
        }
        values
    }

    /// A list of texts that `read` understands, each once, at most `most`.
    pub(in crate::config) fn list<T>(
        &mut self,
        path: &'static str,
        most: usize,
        wanted: &str,
        example: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let remedy = |_: &str| format!("write {example:?}, for example");
        self.list_or(path, most, wanted, example, read, remedy)
    }

    /// A list as [`Document::list`]; `remedy` says what to write instead of an element that is not understood.
    pub(in crate::config) fn list_or<T>(
        &mut self,
        path: &'static str,
        most: usize,
        wanted: &str,
        example: &str,
        read: impl Fn(&str) -> Option<T>,
        remedy: impl Fn(&str) -> String,
    ) -> Vec<T> {
        let Some(leaf) = self.take(path) else { return Vec::new() };
        let DeValue::Array(elements) = leaf.value.get_ref() else {
            self.wrong_type(path, &leaf, "a list", &format!("[{example:?}]"));
            return Vec::new();
        };
        if elements.len() > most {
            let what = format!("{path} has {} elements, more than {most}", elements.len());
            self.refuse(path, leaf.value.span().start, what, "shorten the list".to_owned());
            return Vec::new();
        }
        let mut values = Vec::with_capacity(elements.len());
        let mut seen = BTreeSet::new();
        for element in elements {
            let offset = element.span().start;
            let value = match element.get_ref() {
                DeValue::String(text) => read(text).map(|value| (value, text)),
                _ => None,
            };
            match value {
                Some((value, text)) => {
                    if seen.insert(text.as_ref()) {
                        values.push(value);
                    } else {
                        self.refuse(
                            path,
                            offset,
                            format!("{path} names {text:?} twice"),
                            "name it once".to_owned(),
                        );
                    }
                }
                None => {
                    let written = self.text.get(element.span()).unwrap_or("…");
                    let what = format!("{path} holds {written}, not {wanted}");
                    let typed = if let DeValue::String(text) = element.get_ref() { text } else { "" };
                    self.refuse(path, offset, what, remedy(typed));
                }
            }
        }
        values
    }
}
