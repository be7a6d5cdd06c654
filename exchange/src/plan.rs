//! Faults and their times as text: what `--plan` takes.
//!
//! Entries stand apart by `;`, each a time and a fault. Times and lengths are numbers with a unit, `s`, `ms` or `us`,
//! decimals allowed.
//!
//! | fault | what happens |
//! |---|---|
//! | `lose N` | packets of exactly so many messages vanish from both lines |
//! | `burst FACTOR LENGTH` | so many times the rate |
//! | `line-a dead LENGTH`, `line-b dead LENGTH` | a line brings nothing |
//! | `flap LENGTH` | the link is down: both lines, requests and connections |
//! | `requests [a\|b] FAULT` | request servers: `ok`, `silent`, `slow TIME`, `wrong-session`, `wrong-sequence`, `partial`, `garbage`, `unasked`, `twice` |
//! | `glimpse FAULT` | snapshots: `ok`, `refuse-login`, `silent`, `cut-off MESSAGES`, `slow BYTES` a second, `endless`, `bad-length`, `wrong-session`, `old-sequence MESSAGES`, `garbage`, `drop-connection` |
//! | `drop-orders` | the order gateway drops its connections |
//! | `roll` | the session ends and another begins |
//!
//! ```
//! let plan = exchange::plan::parse("3s lose 500; 6s line-a dead 2s; 8s requests silent; 12.5s roll")?;
//! assert_eq!(plan[3].0, 12_500_000_000);
//! # Ok::<_, exchange::plan::PlanError>(())
//! ```

use std::fmt;

use crate::host::Fault;
use crate::lines::Line;
use crate::{glimpse, rerequest};

/// What is wrong with a plan, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// Number of the entry, from 1; 0 where the text is one fault alone.
    entry: usize,
    /// The entry as it was written.
    text: String,
    expected: String,
    /// The word found instead; `None` at the end of the entry.
    found: Option<String>,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, text, expected, found } = self;
        if *entry != 0 {
            write!(f, "entry {entry} ")?;
        }
        write!(f, "'{text}': expected {expected}, ")?;
        match found {
            Some(word) => write!(f, "not '{word}'"),
            None => f.write_str("but it ends there"),
        }
    }
}

impl std::error::Error for PlanError {}

/// Reads a plan: ns since the beginning and what happens then, in order of time. Empty entries are passed over.
///
/// # Errors
/// [`PlanError`]: the first word that does not fit.
pub fn parse(text: &str) -> Result<Vec<(u64, Fault)>, PlanError> {
    let mut plan = Vec::new();
    for (entry, text) in (1..).zip(text.split(';')) {
        if text.trim().is_empty() {
            continue;
        }
        let mut words = Words::new(entry, text);
        let at = words.time("a time such as 3s or 250ms")?;
        plan.push((at, fault(words)?));
    }
    plan.sort_by_key(|(at, _)| *at);
    Ok(plan)
}

/// Reads one fault without a time.
///
/// # Errors
/// [`PlanError`]: the first word that does not fit.
pub fn parse_fault(text: &str) -> Result<Fault, PlanError> {
    fault(Words::new(0, text))
}

const FAULTS: &str = "lose, burst, line-a, line-b, flap, requests, glimpse, drop-orders or roll";
const REQUESTS: &str = "ok, silent, slow, wrong-session, wrong-sequence, partial, garbage, unasked or twice";
const GLIMPSE: &str = "ok, refuse-login, silent, cut-off, slow, endless, bad-length, wrong-session, old-sequence, \
                       garbage or drop-connection";

fn fault(mut words: Words<'_>) -> Result<Fault, PlanError> {
    let fault = match words.next() {
        Some("lose") => Fault::LoseOnBoth { messages: words.number("how many messages")? },
        Some("burst") => Fault::Burst {
            factor: words.number("how many times the rate")?,
            length: words.time("how long, such as 500ms")?,
        },
        Some("line-a") => dead(&mut words, Line::A)?,
        Some("line-b") => dead(&mut words, Line::B)?,
        Some("flap") => Fault::LinkFlap { length: words.time("how long, such as 500ms")? },
        Some("requests") => {
            let server = match words.peek() {
                Some("a") => Some(0),
                Some("b") => Some(1),
                _ => None,
            };
            if server.is_some() {
                words.next();
            }
            Fault::Requests { server, fault: requests(&mut words)? }
        }
        Some("glimpse") => Fault::Glimpse(glimpse(&mut words)?),
        Some("drop-orders") => Fault::DropOrders,
        Some("roll") => Fault::SessionRoll,
        other => return Err(words.wrong(FAULTS, other)),
    };
    match words.next() {
        None => Ok(fault),
        other => Err(words.wrong("';' or the end", other)),
    }
}

fn dead(words: &mut Words<'_>, line: Line) -> Result<Fault, PlanError> {
    match words.next() {
        Some("dead") => Ok(Fault::LineDead { line, length: words.time("how long, such as 500ms")? }),
        other => Err(words.wrong("dead", other)),
    }
}

fn requests(words: &mut Words<'_>) -> Result<Option<rerequest::Fault>, PlanError> {
    use rerequest::Fault;
    Ok(Some(match words.next() {
        Some("ok") => return Ok(None),
        Some("silent") => Fault::Silent,
        Some("slow") => Fault::Slow(words.time("how late, such as 20ms")?),
        Some("wrong-session") => Fault::WrongSession,
        Some("wrong-sequence") => Fault::WrongSequence,
        Some("partial") => Fault::Partial,
        Some("garbage") => Fault::Garbage,
        Some("unasked") => Fault::Unasked,
        Some("twice") => Fault::Twice,
        other => return Err(words.wrong(REQUESTS, other)),
    }))
}

fn glimpse(words: &mut Words<'_>) -> Result<Option<glimpse::Fault>, PlanError> {
    use glimpse::Fault;
    Ok(Some(match words.next() {
        Some("ok") => return Ok(None),
        Some("refuse-login") => Fault::RefuseLogin,
        Some("silent") => Fault::Silent,
        Some("cut-off") => Fault::CutOff(words.number("after how many messages")?),
        Some("slow") => Fault::Slow(words.number("how many bytes a second")?),
        Some("endless") => Fault::Endless,
        Some("bad-length") => Fault::BadLength,
        Some("wrong-session") => Fault::WrongSession,
        Some("old-sequence") => Fault::OldSequence(words.number("how many messages too low")?),
        Some("garbage") => Fault::Garbage,
        Some("drop-connection") => Fault::DropConnection,
        other => return Err(words.wrong(GLIMPSE, other)),
    }))
}

/// The words of one entry.
struct Words<'a> {
    entry: usize,
    text: &'a str,
    rest: std::iter::Peekable<std::str::SplitWhitespace<'a>>,
}

impl<'a> Words<'a> {
    fn new(entry: usize, text: &'a str) -> Self {
        let text = text.trim();
        Self { entry, text, rest: text.split_whitespace().peekable() }
    }

    fn next(&mut self) -> Option<&'a str> {
        self.rest.next()
    }

    fn peek(&mut self) -> Option<&'a str> {
        self.rest.peek().copied()
    }

    fn wrong(&self, expected: &str, found: Option<&str>) -> PlanError {
        PlanError {
            entry: self.entry,
            text: self.text.to_owned(),
            expected: expected.to_owned(),
            found: found.map(str::to_owned),
        }
    }

    /// A number of at least 1.
    fn number<T: std::str::FromStr + PartialOrd + From<u8>>(&mut self, what: &str) -> Result<T, PlanError> {
        let word = self.next();
        word.and_then(|word| word.replace('_', "").parse().ok())
            .filter(|number| *number >= T::from(1))
            .ok_or_else(|| self.wrong(&format!("{what}, a number from 1"), word))
    }

    /// A time or a length, in ns.
    fn time(&mut self, what: &str) -> Result<u64, PlanError> {
        let word = self.next();
        word.and_then(time).ok_or_else(|| self.wrong(what, word))
    }
}

/// `1.5s`, `20ms`, `7us` in ns.
fn time(word: &str) -> Option<u64> {
    let units = [("ms", 1_000_000), ("us", 1_000), ("s", 1_000_000_000)];
    let (number, unit) = units.iter().find_map(|(name, unit)| Some((word.strip_suffix(name)?, *unit)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut below = 0;
    let mut weight = unit;
    for digit in fraction.bytes() {
        weight /= 10;
        below += u64::from(digit - b'0') * weight;
    }
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_be_written() {
        let text = "1s lose 500; 2.25s burst 10 200ms; 3s line-a dead 2s;4s line-b dead 7us; 5s flap 1s; 6s roll; \
                    7s drop-orders; ;";
        let plan = parse(text).expect("good");
        let shown: Vec<String> = plan.iter().map(|(at, fault)| format!("{at} {fault:?}")).collect();
        assert_eq!(
            shown,
            [
                "1000000000 LoseOnBoth { messages: 500 }",
                "2250000000 Burst { factor: 10, length: 200000000 }",
                "3000000000 LineDead { line: A, length: 2000000000 }",
                "4000000000 LineDead { line: B, length: 7000 }",
                "5000000000 LinkFlap { length: 1000000000 }",
                "6000000000 SessionRoll",
                "7000000000 DropOrders",
            ]
        );
        for list in [REQUESTS, GLIMPSE] {
            let service = if list == REQUESTS { "requests" } else { "glimpse" };
            for word in list.split([',', ' ']).filter(|word| !word.is_empty() && *word != "or") {
                let argument = match (service, word) {
                    ("requests", "slow") => " 20ms",
                    ("glimpse", "slow" | "cut-off" | "old-sequence") => " 100",
                    _ => "",
                };
                let fault = parse_fault(&format!("{service} {word}{argument}")).expect(word);
                assert_eq!(
                    format!("{fault:?}").contains("None"),
                    word == "ok" || service == "requests",
                    "{fault:?}"
                );
            }
        }
        let one = format!("{:?}", parse_fault("requests b silent").expect("good"));
        assert_eq!(one, "Requests { server: Some(1), fault: Some(Silent) }");
    }

    #[test]
    fn entries_come_in_order_of_time() {
        let plan = parse("9ms roll; 1ms lose 3").expect("good");
        assert_eq!(plan.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1_000_000, 9_000_000]);
        assert!(parse("").expect("nothing is a plan").is_empty());
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        for (text, said) in [
            ("lose 5", "entry 1 'lose 5': expected a time such as 3s or 250ms, not 'lose'"),
            ("1s roll; 3 lose 5", "entry 2 '3 lose 5': expected a time such as 3s or 250ms, not '3'"),
            ("1s lose", "entry 1 '1s lose': expected how many messages, a number from 1, but it ends there"),
            ("1s lose 0", "a number from 1, not '0'"),
            ("1s lose -1", "a number from 1, not '-1'"),
            (
                "1s",
                "expected lose, burst, line-a, line-b, flap, requests, glimpse, drop-orders or roll, but it ends",
            ),
            ("1s line-a alive", "expected dead, not 'alive'"),
            ("1s roll 5", "expected ';' or the end, not '5'"),
            ("1s requests c silent", "or twice, not 'c'"),
            ("1s glimpse cut-off", "after how many messages"),
            ("99999999999999s roll", "expected a time"),
            ("1.s roll", "expected a time"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(said), "{error}");
        }
        let error = parse_fault("dance").expect_err("no fault").to_string();
        assert!(error.starts_with("'dance': expected lose"), "{error}");
    }
}
