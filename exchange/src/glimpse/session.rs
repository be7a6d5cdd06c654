//! One client of a GLIMPSE server, from its login to the end of its snapshot.

use super::{Config, Fault, Padding, Shared, Stated, Take};
use crate::archive::Archive;
use crate::soup::{self, Login, Rejection};

/// Random bytes of one portion, where random bytes are sent.
const GARBAGE: usize = 512;

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) soup: soup::Server,
    snapshot: Option<Snapshot>,
}

/// What is sent, and how far.
#[derive(Clone, Debug)]
struct Snapshot {
    messages: Archive,
    /// Its messages without End of Snapshot.
    contents: u64,
    /// The feed's next sequence when it was taken.
    next: u64,
    /// When it was sent to its end.
    done: Option<u64>,
    /// The fault that strikes once has struck.
    bad_length: bool,
    /// Nothing but random bytes any more, even when the fault is over: the client could not find its way back.
    garbage: bool,
}

impl Session {
    pub(super) fn new(config: soup::Config, now: u64) -> Self {
        Self { soup: soup::Server::new(config, now), snapshot: None }
    }

    pub(super) fn login(&mut self, now: u64, login: &Login, snapshot: &mut Take<'_>, shared: &mut Shared) {
        let Shared { config, fault, counters, out, .. } = shared;
        let fault = *fault;
        if matches!(
            fault,
            Some(Fault::Silent | Fault::DropConnection | Fault::RefuseLogin | Fault::WrongSession)
        ) {
            counters.faulty += 1;
        }
        if matches!(fault, Some(Fault::Silent | Fault::DropConnection)) {
            return;
        }
        let known = config.users.is_empty() || config.users.iter().any(|user| user.admit(login));
        if !known || fault == Some(Fault::RefuseLogin) {
            self.soup.reject(Rejection::NotAuthorized, out);
            return;
        }
        // Every snapshot is a stream of its own: there is nothing to go on with.
        if !login.asks_for(&config.soup.session) || login.sequence > 1 {
            self.soup.reject(Rejection::Session, out);
            return;
        }
        let Some(taken) = Snapshot::take(config, snapshot) else {
            counters.too_large += 1;
            self.soup.reject(Rejection::Session, out);
            return;
        };
        counters.taken += 1;
        self.snapshot = Some(taken);
        let mut session = config.soup.session;
        if fault == Some(Fault::WrongSession) {
            session[9] ^= 1;
        }
        self.soup.accept_as(now, &session, 1, out);
    }

    /// Lets time pass on this connection.
    pub(super) fn tick(&mut self, now: u64, shared: &mut Shared) {
        match shared.fault {
            Some(Fault::DropConnection) => {
                self.soup.close();
                return;
            }
            Some(Fault::Silent) => {
                self.soup.check(now);
                return;
            }
            Some(Fault::Slow(bytes_per_s)) => self.soup.set_pace(bytes_per_s.max(1)),
            _ => self.soup.set_pace(shared.config.soup.bytes_per_s),
        }
        if let Some(snapshot) = &mut self.snapshot
            && self.soup.is_open()
        {
            snapshot.send(now, &mut self.soup, shared);
            if snapshot.ends_at(&shared.config) <= now {
                self.soup.end_of_session(&mut shared.out);
            }
        }
        self.soup.tick(now, &mut shared.out);
    }

    pub(super) fn next_due(&self, shared: &Shared) -> u64 {
        if self.soup.ended().is_some() || shared.fault == Some(Fault::DropConnection) {
            return 0;
        }
        if shared.fault == Some(Fault::Silent) {
            return self.soup.gives_up_at();
        }
        let (waiting, ends) = match &self.snapshot {
            Some(snapshot) => (snapshot.done.is_none(), snapshot.ends_at(&shared.config)),
            None => (false, u64::MAX),
        };
        self.soup.next_due(waiting).min(ends)
    }
}

impl Snapshot {
    /// `None` when it is larger than may be kept.
    fn take(config: &Config, snapshot: &mut Take<'_>) -> Option<Self> {
        // The archive drops what is too much: then its first message is missing.
        let mut messages = Archive::new(config.soup.session, config.snapshot_bytes);
        let next = snapshot(&mut |message| {
            messages.push(message);
        });
        let contents = messages.next() - 1;
        let whole = messages.first() == 1;
        whole.then_some(Self { messages, contents, next, done: None, bad_length: false, garbage: false })
    }

    /// When the server ends the session.
    fn ends_at(&self, config: &Config) -> u64 {
        self.done.zip(config.ends_after_ns).map_or(u64::MAX, |(done, after)| done.saturating_add(after))
    }

    fn send(&mut self, now: u64, soup: &mut soup::Server, shared: &mut Shared) {
        if self.garbage {
            send_garbage(now, soup, shared);
            return;
        }
        let middle = 1 + self.contents / 2;
        let until = match shared.fault {
            Some(Fault::CutOff(messages)) => messages.saturating_add(1),
            Some(Fault::BadLength) if !self.bad_length => middle,
            Some(Fault::Garbage) => middle,
            _ => u64::MAX,
        };
        soup.pump(now, &self.messages, until, &mut shared.out);
        match shared.fault {
            Some(Fault::CutOff(messages)) if self.done.is_none() && soup.cursor() > messages => {
                shared.counters.faulty += 1;
                soup.close();
                return;
            }
            Some(Fault::BadLength) if !self.bad_length && soup.cursor() >= middle => {
                shared.counters.faulty += 1;
                self.bad_length = true;
                let header: &[u8] = if shared.rng.chance(1, 2) { &[0, 0] } else { &[0xFF, 0xFF, b'S'] };
                shared.out.extend_from_slice(header);
            }
            Some(Fault::Garbage) if soup.cursor() >= middle => {
                shared.counters.faulty += 1;
                self.garbage = true;
                send_garbage(now, soup, shared);
                return;
            }
            _ => {}
        }
        if soup.cursor() > self.contents && self.done.is_none() {
            self.finish(now, soup, shared);
        }
    }

    /// All contents are sent: End of Snapshot follows.
    fn finish(&mut self, now: u64, soup: &mut soup::Server, shared: &mut Shared) {
        if self.messages.next() == self.contents + 1 {
            if shared.fault == Some(Fault::Endless) && self.contents > 0 {
                shared.counters.faulty += 1;
                soup.seek(1);
                return;
            }
            let back = if let Some(Fault::OldSequence(back)) = shared.fault { back } else { 0 };
            shared.counters.faulty += u64::from(back > 0);
            self.messages.push(&self.end(&shared.config, back));
        }
        soup.pump(now, &self.messages, u64::MAX, &mut shared.out);
        if soup.cursor() == self.messages.next() {
            self.done = Some(now);
            shared.counters.completed += 1;
        }
    }

    /// End of Snapshot.
    fn end(&self, config: &Config, back: u64) -> Vec<u8> {
        let stated = match config.stated {
            Stated::Next => self.next,
            Stated::Last => self.next.saturating_sub(1),
        };
        let stated = stated.saturating_sub(back);
        match config.padding {
            Padding::Space => format!("G{stated:>20}").into_bytes(),
            Padding::Zero => format!("G{stated:020}").into_bytes(),
        }
    }
}

fn send_garbage(now: u64, soup: &mut soup::Server, shared: &mut Shared) {
    if soup.may_send(now) {
        soup.pace(now, GARBAGE);
        let Shared { rng, out, .. } = shared;
        out.extend(std::iter::repeat_with(|| rng.next() as u8).take(GARBAGE));
    }
}
