//! The exit codes of every command: what a script may rely on.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// 0: it did what was asked.
    Done = 0,
    /// 1: it ran to its end, but books are flagged: something was lost, or cannot be right, and a book may be wrong.
    Flagged = 1,
    /// 2: the arguments or the configuration are wrong. Nothing was started.
    Usage = 2,
    /// 3: the environment does not allow it: hugepages, ports, rights, memory, a file that cannot be written.
    Environment = 3,
    /// 4: the input cannot be read, is corrupt, or holds no feed. What was read before the fault is still printed.
    Input = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
