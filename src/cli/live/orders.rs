//! What beside the loop looks after orders: the journal, and who may throw the kill switch.

use crate::cli::LiveArgs;
use crate::config::Config;
use crate::control::Handles;
use crate::control::journal::{self, JournalThread, Journaled, Who};
use crate::host::machine;
use crate::worker::Worker;

/// Makes the kill switch hear of SIGUSR1, and starts the journal that is configured. It must be started by the thread that
/// controls, whose CPUs it shares.
pub(super) fn look_after(
    config: &Config,
    args: &LiveArgs,
    workers: &mut [Worker],
    handles: &Handles,
) -> Result<Option<JournalThread>, String> {
    let signal = handles.switches.kill.throw_on_signal();
    signal.map_err(|why| format!("signals cannot be handled: {why}"))?;
    let who = Who {
        // It was read a moment ago.
        config_hash: journal::hash(&std::fs::read(&args.config).unwrap_or_default()),
        config: args.config.clone(),
        machine: machine::processor(),
        system: machine::system(),
    };
    let Some((writers, thread)) =
        journal::start(config, handles.clock, &who).map_err(|why| why.to_string())?
    else {
        if config.risk.armed {
            tracing::warn!(
                "orders may leave, and there is no [journal]: nothing will say afterwards what was sent"
            );
        }
        return Ok(None);
    };
    for (worker, writer) in workers.iter_mut().zip(writers) {
        worker.set_journal(writer);
    }
    Ok(Some(thread))
}

/// Ends the journal after the loops, and says what came of it.
pub(super) fn journaled(thread: Option<JournalThread>) -> Vec<(&'static str, u64)> {
    let Some(journaled) = thread.map(JournalThread::finish) else { return Vec::new() };
    let Journaled { path, records, failure, .. } = &journaled;
    match failure {
        None => tracing::info!(records, file = %path.display(), "journal written"),
        Some(why) => tracing::error!(
            records,
            file = %path.display(),
            "the journal is not complete: {why}; the rest is in its rings: the next start, or `wirebook journal`, finds it"
        ),
    }
    journaled.rows().to_vec()
}
