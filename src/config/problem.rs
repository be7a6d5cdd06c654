//! What is wrong with a configuration, told so that it can be put right.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line and column (in characters), both from 1; `None`: the file as a whole.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

/// Everything that is wrong with one file; never empty. Displays one problem a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    name: String,
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn new(name: &str, problems: Vec<Problem>) -> Self {
        Self { name: name.to_owned(), problems }
    }

    pub(super) fn whole_file(name: &str, what: String, remedy: &str) -> Self {
        Self::new(name, vec![Problem { place: None, what, remedy: remedy.to_owned() }])
    }

    /// The problems, in the order of the text.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.name)?;
            if let Some((line, column)) = problem.place {
                write!(f, ":{line}:{column}")?;
            }
            write!(f, ": {} — {}", problem.what, problem.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Line and column of byte `offset` of `text`, both from 1, the column in characters.
pub(super) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    (line, 1 + before.get(line_start..).map_or(0, |head| head.chars().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_and_in_characters() {
        assert_eq!(line_column("", 0), (1, 1));
        assert_eq!(line_column("a = 1\nb = 2", 6), (2, 1));
        assert_eq!(line_column("s = \"é\" # x", "s = \"é\" ".len()), (1, 9));
        assert_eq!(line_column("a\n", 99), (2, 1));
    }
}
