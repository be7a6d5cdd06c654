//! Watches for the file that throws the kill switch, and says so once it is thrown, by whomever.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::stop::{KillCause, KillSwitch};

/// Time between two looks at the file.
const LOOK: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub struct KillWatch {
    switch: KillSwitch,
    file: Option<PathBuf>,
    looked: Instant,
    said: bool,
}

impl KillWatch {
    /// Looks at the file at once: where it exists, no order ever leaves.
    #[must_use]
    pub fn new(switch: KillSwitch, file: Option<PathBuf>) -> Self {
        let mut watch = Self { switch, file, looked: Instant::now(), said: false };
        watch.look();
        watch
    }

    /// To be called often; looks when it is time.
    pub fn round(&mut self) {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.look();
        }
        if let Some(cause) = self.switch.thrown()
            && !self.said
        {
            self.said = true;
            tracing::error!(
                "KILLED {}: no further order leaves and open ones are cancelled, until wirebook is started again{}",
                cause.words(),
                if cause == KillCause::File { " without the file" } else { "" }
            );
        }
    }

    fn look(&mut self) {
        // A file that cannot be looked at for want of rights is none that anybody put there for us.
        if self.file.as_ref().is_some_and(|file| file.exists()) {
            self.switch.throw(KillCause::File);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_throws_the_switch_at_the_start_and_later_and_removing_it_changes_nothing() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("kill");
        let switch = KillSwitch::default();
        let mut watch = KillWatch::new(switch.clone(), Some(file.clone()));
        watch.round();
        assert_eq!(switch.thrown(), None);
        std::fs::write(&file, "").unwrap();
        let began = Instant::now();
        while switch.thrown().is_none() {
            assert!(began.elapsed() < Duration::from_secs(5), "nobody looked");
            watch.round();
        }
        assert!(watch.said);
        std::fs::remove_file(&file).unwrap();
        watch.look();
        assert_eq!(switch.thrown(), Some(KillCause::File));
        // At the next start.
        std::fs::write(&file, "").unwrap();
        let next = KillSwitch::default();
        drop(KillWatch::new(next.clone(), Some(file)));
        assert_eq!(next.thrown(), Some(KillCause::File));
        let none = KillSwitch::default();
        drop(KillWatch::new(none.clone(), None));
        assert_eq!(none.thrown(), None);
    }
}
