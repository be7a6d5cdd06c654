//! `[journal]`.

use std::path::{Path, PathBuf};

use super::super::Journal;
use super::super::document::Document;
use crate::journal::RECORD;

const DIRECTORY_WANTED: &str = "the path of a directory";
const MEMORY_WANTED: &str = "the absolute path of a directory, in memory";

/// Where rings are, unless the file says otherwise.
const SHM: &str = "/dev/shm";

/// Longest path: what a ring's file has room for, less the names of the files.
const LONGEST: usize = 1_024;

/// `None` where the file has no `[journal]`. All keys are asked for all the same, so that they are known.
pub(super) fn journal(document: &mut Document<'_>) -> Option<Journal> {
    let wanted = document.has_section("journal");
    let (path, example) = ("journal.directory", "/var/log/wirebook");
    let directory = if wanted {
        document.required_text(path, DIRECTORY_WANTED, example, read)
    } else {
        document.optional_text(path, DIRECTORY_WANTED, example, read)
    };
    let ring_directory = document.optional_text("journal.ring_directory", MEMORY_WANTED, SHM, |text| {
        read(text).filter(|path| path.is_absolute())
    });
    let journal = Journal {
        directory: directory.unwrap_or_default(),
        ring_directory: ring_directory.unwrap_or_else(|| SHM.into()),
        // A power of two, so that a place is found by a mask.
        ring_records: (document.int::<u64>("journal.ring_mib", 1..=2_048, 8) << 20).next_power_of_two()
            / RECORD as u64,
    };
    wanted.then_some(journal)
}

fn read(text: &str) -> Option<PathBuf> {
    let sound = !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control);
    sound.then(|| Path::new(text).to_owned())
}
