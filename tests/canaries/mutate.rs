//! Bugs as choices at run time.
//!
//! What a canary replaces becomes a choice between it and its replacement, so that one build holds all bugs:
//!
//! | what is replaced | becomes |
//! |---|---|
//! | nothing: a place between two statements | `if is(7) { replacement }` |
//! | statements: it ends in `;` or `}` | `if is(7) { replacement } else { original }` |
//! | an expression: anything else | `(if is(7) { replacement } else { original })` |
//!
//! Canaries may share a text, or lie within one another's; a bug inside the original is then out of reach only while the
//! other one is chosen. Choices cannot stand in constants and `const fn`s.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use super::list::Canary;

/// The module that the copy's `lib.rs` gets.
pub(crate) const MODULE: &str = include_str!("choice.rs");

/// One bug at its place.
#[derive(Debug)]
struct Choice<'c> {
    number: u32,
    range: Range<usize>,
    replace: &'c str,
}

/// All files that have bugs, with all of them written in, by path. Canaries count from 1.
pub(crate) fn all(canaries: &[Canary]) -> Result<BTreeMap<String, String>, String> {
    let mut by_file: BTreeMap<&str, Vec<(u32, &Canary)>> = BTreeMap::new();
    for (number, canary) in (1..).zip(canaries) {
        by_file.entry(&canary.file).or_default().push((number, canary));
    }
    let (mut mutated, mut misfits) = (BTreeMap::new(), Vec::new());
    for (file, canaries) in by_file {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = match fs::read_to_string(&path) {
            Ok(source) => source,
            Err(why) => {
                misfits.push(format!("{file}: {why}"));
                continue;
            }
        };
        let mut choices = Vec::new();
        for (number, canary) in canaries {
            match place(&source, &canary.find) {
                Ok(range) => choices.push(Choice { number, range, replace: canary.replace.trim() }),
                Err(why) => misfits.push(format!("{}: {why} in {file}", canary.name)),
            }
        }
        match with_choices(&source, choices) {
            Ok(text) => drop(mutated.insert(file.to_owned(), text)),
            Err(why) => misfits.push(format!("{file}: {why}")),
        }
    }
    if misfits.is_empty() { Ok(mutated) } else { Err(misfits.join("\n")) }
}

/// Where the part of `find` that is to be replaced stands in `source`.
fn place(source: &str, find: &str) -> Result<Range<usize>, String> {
    let (before, rest) = find.split_once('«').unwrap_or(("", find));
    let (part, after) = rest.split_once('»').unwrap_or((rest, ""));
    let text = format!("{before}{part}{after}");
    let mut places = source.match_indices(&text).map(|(at, _)| at);
    match (places.next(), places.count()) {
        (Some(at), 0) if is_in_const_fn(&source[..at]) => Err("its text is in a const fn".to_owned()),
        (Some(at), 0) => Ok(at + before.len()..at + before.len() + part.len()),
        (None, _) => Err("its text is not".to_owned()),
        (Some(_), more) => Err(format!("its text is {} times", more + 1)),
    }
}

/// Is the last function that begins in `before` a `const fn`?
fn is_in_const_fn(before: &str) -> bool {
    let begins = |line: &&str| !line.trim_start().starts_with("//") && format!(" {line}").contains(" fn ");
    before.lines().rfind(begins).is_some_and(|line| line.contains("const fn "))
}

/// `source` with all choices written in.
fn with_choices(source: &str, mut choices: Vec<Choice<'_>>) -> Result<String, String> {
    // Outer ones first.
    choices.sort_by_key(|choice| (choice.range.start, usize::MAX - choice.range.end));
    render(source, 0..source.len(), &choices)
}

fn render(source: &str, range: Range<usize>, mut choices: &[Choice<'_>]) -> Result<String, String> {
    let (mut text, mut at) = (String::new(), range.start);
    while let [outer, rest @ ..] = choices {
        let within = |other: &&Choice<'_>| other.range.start < outer.range.end || other.range == outer.range;
        let (inner, rest) = rest.split_at(rest.iter().take_while(within).count());
        if let Some(across) = inner.iter().find(|other| other.range.end > outer.range.end) {
            return Err(format!("canaries {} and {} overlap", outer.number, across.number));
        }
        text += &source[at..outer.range.start];
        text += &choice(outer, &render(source, outer.range.clone(), inner)?, &source[outer.range.clone()]);
        at = outer.range.end;
        choices = rest;
    }
    text += &source[at..range.end];
    Ok(text)
}

fn choice(choice: &Choice<'_>, original: &str, plain: &str) -> String {
    let Choice { number, replace, .. } = choice;
    let chosen = format!("if crate::canary::is({number}) {{ {replace} }}");
    if original.is_empty() {
        chosen
    } else if plain.trim_end().ends_with([';', '}']) {
        format!("{chosen} else {{ {original} }}")
    } else {
        format!("({chosen} else {{ {original} }})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutated(source: &str, canaries: &[(&str, &str)]) -> Result<String, String> {
        let choices = (1..).zip(canaries).map(|(number, (find, replace))| {
            place(source, find).map(|range| Choice { number, range, replace })
        });
        with_choices(source, choices.collect::<Result<_, _>>()?)
    }

    #[test]
    fn expressions_statements_and_nothing_become_choices() {
        let source = "let a = b < c; go(a); done()";
        let text = mutated(source, &[("«b < c»;", "b <= c"), ("go(a);", ""), ("«»done", "again();")]);
        assert_eq!(
            text.unwrap(),
            "let a = (if crate::canary::is(1) { b <= c } else { b < c }); \
             if crate::canary::is(2) {  } else { go(a); } \
             if crate::canary::is(3) { again(); }done()"
        );
    }

    #[test]
    fn they_nest_and_share_but_do_not_cross() {
        assert_eq!(
            mutated("f(a + b)", &[("«a» +", "c"), ("a + b", "d"), ("a + b", "e")]).unwrap(),
            "f((if crate::canary::is(2) { d } else { (if crate::canary::is(3) { e } else { \
             (if crate::canary::is(1) { c } else { a }) + b }) }))"
        );
        assert!(mutated("a + b + c", &[("a + b", "d"), ("b + c", "e")]).unwrap_err().contains("overlap"));
    }

    #[test]
    fn a_text_that_is_not_there_or_there_twice_does_not_fit() {
        assert_eq!(mutated("a a b", &[("b a", "")]).unwrap_err(), "its text is not");
        assert_eq!(mutated("a a b", &[("a", "")]).unwrap_err(), "its text is 2 times");
    }

    #[test]
    fn a_const_fn_takes_no_choice() {
        let source = "pub const fn a() {\n    // fn x\n    1\n}\nfn c() {\n    2\n}";
        assert_eq!(mutated(source, &[("1", "x")]).unwrap_err(), "its text is in a const fn");
        assert!(mutated(source, &[("2", "x")]).is_ok());
    }
}
