//! From the configuration to the client's own settings.

use crate::config;
use crate::feed::handover::Need;
use crate::feed::recovery::{RecoveryConfig, RequestsConfig, SnapshotConfig, SnapshotStatus, Stated, Status};

use super::nanos;

/// What the client is to do.
pub(super) fn of(config: &config::Recovery) -> RecoveryConfig {
    RecoveryConfig {
        requests: config.requests.as_ref().map(|requests| RequestsConfig {
            servers: requests.servers.len(),
            max_messages: requests.max_messages,
            timeout: nanos(requests.timeout),
            retries: requests.retries,
            per_second: requests.per_second,
            outstanding: usize::from(requests.outstanding),
            max_hole: requests.max_hole,
        }),
        snapshot: config.snapshot.as_ref().map(|snapshot| SnapshotConfig {
            username: padded(&snapshot.username),
            password: padded(snapshot.password.expose()),
            check_session: snapshot.check_session,
            stated: match snapshot.stated {
                config::Stated::Next => Stated::Next,
                config::Stated::Last => Stated::Last,
            },
            login_timeout: nanos(snapshot.login_timeout),
            silence_timeout: nanos(snapshot.silence_timeout),
            total_timeout: nanos(snapshot.total_timeout),
            max_messages: snapshot.max_messages,
            back_off: nanos(snapshot.back_off),
            back_off_max: nanos(snapshot.back_off_max),
        }),
    }
}

/// Left-aligned, padded with spaces, as SoupBinTCP wants it.
fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    field
}

/// True where somebody is at work on what `need` names; false where books only wait.
pub(super) fn is_at_work(config: &RecoveryConfig, need: &Need, status: &Status) -> bool {
    if need.snapshot == 0 {
        return config.requests.is_some();
    }
    // Idle although one is wanted: it was handed over, and the loop is putting it to use.
    let loading = matches!(status.snapshot, SnapshotStatus::Loading { .. } | SnapshotStatus::Idle);
    config.snapshot.is_some() && loading
}
