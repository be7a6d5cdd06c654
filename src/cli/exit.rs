//! Exit codes, the same for every command.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; where books were built, all of them may be believed.
    Done = 0,
    /// Done, but books are flagged: gaps, anomalies, or a stream not seen from its start.
    Flagged = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The machine does not allow it: hugepages, ports, rights, memory.
    Environment = 3,
    /// The input cannot be read, or is not what it should be.
    Input = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
