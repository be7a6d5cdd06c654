//! The request to end: one flag that loops look at, set by a signal, by the end of a demo, or by a failing part. And the
//! kill switch, after which no further order leaves.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    flag,
};

/// A shared flag, cheap to look at in a poll loop. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag of its own, not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// True once anybody asked to stop.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        // Nothing else is published with the flag; what workers leave behind is handed over by joining them.
        self.0.load(Ordering::Relaxed)
    }

    /// Asks all who look at this flag to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Makes SIGINT and SIGTERM set this flag. Once it is set, a further signal ends the process at once with exit
    /// status 128 + signal number, in case a loop no longer looks.
    ///
    /// # Errors
    /// The operating system refused to install a handler.
    pub fn set_on_signals(&self) -> io::Result<()> {
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset, so it does not exit, and sets it.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&self.0))?;
            flag::register(signal, Arc::clone(&self.0))?;
        }
        Ok(())
    }
}

/// Who used the [`KillSwitch`]. The numbers are part of the journal's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KillCause {
    /// The file `risk.kill_file` exists.
    File = 1,
    /// SIGUSR1.
    Signal = 2,
    /// The telemetry command `/wirebook/kill`.
    Command = 3,
}

impl KillCause {
    /// By number.
    #[must_use]
    pub const fn of(number: usize) -> Option<Self> {
        match number {
            1 => Some(Self::File),
            2 => Some(Self::Signal),
            3 => Some(Self::Command),
            _ => None,
        }
    }

    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::File => "by file",
            Self::Signal => "by signal",
            Self::Command => "by telemetry command",
        }
    }
}

/// The kill switch: once thrown it stays so for as long as the process lives. Clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct KillSwitch(Arc<AtomicUsize>);

impl KillSwitch {
    /// Throws it.
    pub fn throw(&self, cause: KillCause) {
        // SYNC POINT: relaxed; the cause is the whole message. Whoever was first is named.
        let _ = self.0.compare_exchange(0, cause as usize, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Who threw it, if anybody did.
    #[inline]
    #[must_use]
    pub fn thrown(&self) -> Option<KillCause> {
        // SYNC POINT: relaxed; see above.
        KillCause::of(self.0.load(Ordering::Relaxed))
    }

    /// Makes SIGUSR1 throw it.
    ///
    /// # Errors
    /// The operating system refused to install a handler.
    pub fn throw_on_signal(&self) -> io::Result<()> {
        flag::register_usize(SIGUSR1, Arc::clone(&self.0), KillCause::Signal as usize)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_switch_stays_thrown_and_names_the_first_cause() {
        let switch = KillSwitch::default();
        assert_eq!(switch.thrown(), None);
        let other = switch.clone();
        other.throw(KillCause::Command);
        switch.throw(KillCause::File);
        assert_eq!((switch.thrown(), other.thrown()), (Some(KillCause::Command), Some(KillCause::Command)));
        for cause in [KillCause::File, KillCause::Signal, KillCause::Command] {
            assert_eq!(KillCause::of(cause as usize), Some(cause));
        }
    }

    #[test]
    fn sigusr1_throws_the_kill_switch() {
        let switch = KillSwitch::default();
        switch.throw_on_signal().unwrap();
        assert_eq!(switch.thrown(), None);
        signal_hook::low_level::raise(SIGUSR1).unwrap();
        assert_eq!(switch.thrown(), Some(KillCause::Signal));
    }

    #[test]
    fn clones_are_one_flag() {
        let flag = StopFlag::new();
        let other = flag.clone();
        assert!(!other.is_set());
        flag.set();
        assert!(other.is_set());
    }

    #[test]
    fn a_signal_sets_the_flag() {
        let flag = StopFlag::new();
        flag.set_on_signals().unwrap();
        assert!(!flag.is_set());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(flag.is_set());
    }
}
