//! The request to end: one flag that loops look at, set by a signal, by the end of a demo, or by a failing part.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
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

#[cfg(test)]
mod tests {
    use super::*;

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
