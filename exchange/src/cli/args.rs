//! The command line: `--name VALUE`, `--name=VALUE`, switches, and words. Unknown and repeated options are errors.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{Failure, Outcome};

/// The options of one call.
#[derive(Debug, Default)]
pub(crate) struct Args {
    values: BTreeMap<String, String>,
    words: Vec<String>,
}

impl Args {
    /// Sorts `arguments`: options with a value as `groups` name them, `switches` without, at most `words` others.
    pub(crate) fn parse(
        arguments: &[String],
        groups: &[&[&str]],
        switches: &[&str],
        words: usize,
    ) -> Outcome<Self> {
        let mut args = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let Some(option) = argument.strip_prefix("--") else {
                if args.words.len() == words {
                    return Err(Failure::Usage(format!("'{argument}' is not expected here")));
                }
                args.words.push(argument.clone());
                continue;
            };
            let (name, given) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (option, None),
            };
            let value = if switches.contains(&name) {
                match given {
                    None => String::new(),
                    Some(_) => return Err(Failure::Usage(format!("--{name} takes no value"))),
                }
            } else if groups.iter().any(|group| group.contains(&name)) {
                match given.or_else(|| rest.next().cloned()) {
                    Some(value) => value,
                    None => return Err(Failure::Usage(format!("--{name} needs a value"))),
                }
            } else {
                return Err(Failure::Usage(format!("this command has no option --{name}")));
            };
            if args.values.insert(name.to_owned(), value).is_some() {
                return Err(Failure::Usage(format!("--{name} is given twice")));
            }
        }
        Ok(args)
    }

    /// Was the option given?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Was the switch given?
    pub(crate) fn switch(&self, name: &str) -> bool {
        self.has(name)
    }

    /// The option's text, if it was given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The option's text, which has to be there.
    pub(crate) fn required(&self, name: &str) -> Outcome<&str> {
        self.text(name).ok_or_else(|| Failure::Usage(format!("--{name} is missing")))
    }

    /// The word at `index`, which has to be there.
    pub(crate) fn positional(&self, index: usize, what: &str) -> Outcome<&str> {
        self.words.get(index).map(String::as_str).ok_or_else(|| Failure::Usage(format!("{what} is missing")))
    }

    /// A number within `range`, or `default` if it was not given.
    pub(crate) fn number<T>(&self, name: &str, default: T, range: RangeInclusive<T>) -> Outcome<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.replace('_', "").parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            Failure::Usage(format!("--{name} must be a number from {low} to {high}, not '{text}'"))
        })
    }

    /// An IPv4 address, or `default` if it was not given.
    pub(crate) fn address(&self, name: &str, default: Ipv4Addr) -> Outcome<Ipv4Addr> {
        let Some(text) = self.text(name) else { return Ok(default) };
        text.parse().map_err(|_| Failure::Usage(format!("--{name} must be an IPv4 address, not '{text}'")))
    }

    /// A hardware address, or `default` if it was not given.
    pub(crate) fn mac(&self, name: &str, default: [u8; 6]) -> Outcome<[u8; 6]> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let bytes: Option<Vec<u8>> = text
            .split(':')
            .map(|part| if part.len() == 2 { u8::from_str_radix(part, 16).ok() } else { None })
            .collect();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Failure::Usage(format!("--{name} must be like 02:00:00:00:00:01, not '{text}'")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Outcome<Args> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Args::parse(&words, &[&["out", "count", "mac", "ip"]], &["fast"], 1)
    }

    #[test]
    fn both_forms_and_words() {
        let args = parse(&["--out", "x", "word", "--count=1_000", "--fast"]).expect("good");
        assert_eq!(args.text("out"), Some("x"));
        assert_eq!(args.number("count", 0u32, 1..=2_000).expect("in range"), 1_000);
        assert_eq!(args.positional(0, "WORD").expect("there"), "word");
        assert!(args.switch("fast"));
        assert_eq!(args.number("absent", 7u8, 0..=9).expect("default"), 7);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (words, what) in [
            (&["--nope", "1"][..], "no option --nope"),
            (&["--out"], "--out needs a value"),
            (&["--out", "a", "--out", "b"], "--out is given twice"),
            (&["--fast=1"], "--fast takes no value"),
            (&["one", "two"], "'two' is not expected here"),
        ] {
            let error = parse(words).expect_err("wrong").to_string();
            assert!(error.contains(what), "{error}");
        }
        let args = parse(&["--count", "9x", "--mac", "1:2", "--ip", "10.0.0"]).expect("good so far");
        assert!(args.number("count", 0u32, 1..=5).is_err());
        assert!(args.mac("mac", [0; 6]).is_err());
        assert!(args.address("ip", Ipv4Addr::LOCALHOST).is_err());
        assert!(args.positional(0, "FILE").is_err());
    }

    #[test]
    fn hardware_addresses() {
        let args = parse(&["--mac", "02:0a:FF:00:00:01"]).expect("good");
        assert_eq!(args.mac("mac", [0; 6]).expect("good"), [2, 10, 255, 0, 0, 1]);
    }
}
