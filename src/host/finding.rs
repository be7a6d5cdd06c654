//! What a check found.

use super::Unread;
use super::catalogue::{self, Entry, Level, Profile};

/// What one check says of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Not as it should be; how bad that is depends on the profile.
    Bad,
    /// Told, not judged.
    Note,
    /// It cannot be read here.
    Unknown,
}

/// What would put it right, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// A shell line for root; lasts until reboot.
    Now(String),
    /// Words for the kernel's command line; last from the next boot on.
    Boot(String),
    /// A setting of the BIOS.
    Firmware(String),
    /// Something else to type or to decide.
    Words(String),
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check: its row of the [`catalogue`].
    pub entry: &'static Entry,
    /// What it says.
    pub verdict: Verdict,
    /// What was seen; for [`Verdict::Unknown`] why nothing was.
    pub seen: String,
    /// What was wanted; empty where that is no question.
    pub wanted: String,
    /// What to do.
    pub fixes: Vec<Fix>,
}

impl Finding {
    fn new(id: &str, verdict: Verdict, seen: &str) -> Self {
        let (entry, seen) = (catalogue::entry(id), plain(seen));
        Self { entry, verdict, seen, wanted: String::new(), fixes: Vec::new() }
    }

    /// As it should be.
    #[must_use]
    pub fn good(id: &str, seen: impl AsRef<str>) -> Self {
        Self::new(id, Verdict::Good, seen.as_ref())
    }

    /// Not as it should be.
    #[must_use]
    pub fn bad(id: &str, seen: impl AsRef<str>, wanted: impl AsRef<str>) -> Self {
        Self { wanted: plain(wanted.as_ref()), ..Self::new(id, Verdict::Bad, seen.as_ref()) }
    }

    /// Told, not judged.
    #[must_use]
    pub fn note(id: &str, seen: impl AsRef<str>) -> Self {
        Self::new(id, Verdict::Note, seen.as_ref())
    }

    /// Not to be had.
    #[must_use]
    pub fn unknown(id: &str, why: impl AsRef<str>) -> Self {
        Self::new(id, Verdict::Unknown, why.as_ref())
    }

    /// A file said nothing.
    #[must_use]
    pub fn unread(id: &str, why: &Unread) -> Self {
        Self::unknown(id, why.to_string())
    }

    /// The same with one more thing to do.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fixes.push(fix);
        self
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.entry.id
    }

    /// How bad it is in a profile.
    #[must_use]
    pub fn level(&self, profile: Profile) -> Level {
        match self.verdict {
            Verdict::Good => Level::Ok,
            Verdict::Note => Level::Info,
            Verdict::Unknown => Level::Skip,
            Verdict::Bad => self.entry.level(profile),
        }
    }
}

/// Longest text of a finding, in characters.
const LONGEST: usize = 600;

/// One line without what could move a cursor: names of processes and interrupts are other people's.
fn plain(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    let mut plain: String = text.chars().take(LONGEST).map(clean).collect();
    if text.chars().nth(LONGEST).is_some() {
        plain.push('…');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_stay_in_their_line() {
        let finding = Finding::bad("irqbalance", "pid 7 (\x1b[2J\nok)", "none");
        assert_eq!(finding.seen, "pid 7 (?[2J?ok)");
        assert_eq!(Finding::note("turbo", "x".repeat(10_000)).seen.chars().count(), LONGEST + 1);
    }

    #[test]
    fn the_profile_decides_how_bad_it_is() {
        let finding = Finding::bad("cgroup.quota", "200000 100000", "max");
        assert_eq!(
            Profile::ALL.map(|profile| finding.level(profile)),
            [Level::Warn, Level::Fail, Level::Fail]
        );
        assert_eq!(Finding::good("cgroup.quota", "max").level(Profile::Live), Level::Ok);
        assert_eq!(Finding::unknown("cgroup.quota", "").level(Profile::Live), Level::Skip);
    }
}
