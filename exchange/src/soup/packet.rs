//! Bytes of single packets.

use crate::archive::Archive;

/// The length field of a login with a heartbeat time-out (4.10).
pub(super) const LONG_LOGIN: u16 = 52;

/// What a login asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// Name, padded with spaces.
    pub username: [u8; 6],
    /// Password, padded with spaces.
    pub password: [u8; 10],
    /// Session, padded with spaces; blank for the current one.
    pub session: [u8; 10],
    /// Sequence of the first message wanted: 1 for all, 0 for new ones only.
    pub sequence: u64,
}

impl Login {
    /// Does it ask for this session, or for whichever there is?
    #[must_use]
    pub fn asks_for(&self, session: &[u8; 10]) -> bool {
        let asked = trim(&self.session);
        asked.is_empty() || asked == trim(session)
    }

    /// The sequence to accept it with, when messages of `store` are to be had. A sequence of 0 is for new messages
    /// only; one so old that it is not kept any more becomes the oldest kept.
    ///
    /// # Errors
    /// [`Rejection::Session`] when it asks for another session, or for a sequence that is not reached yet.
    pub fn place(&self, store: &Archive) -> Result<u64, Rejection> {
        if !self.asks_for(&store.session()) || self.sequence > store.next() {
            return Err(Rejection::Session);
        }
        let sequence = if self.sequence == 0 { store.next() } else { self.sequence };
        Ok(sequence.max(store.first()))
    }
}

/// A name and a password that may log in. Case and padding do not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Name, padded with spaces.
    pub username: [u8; 6],
    /// Password, padded with spaces.
    pub password: [u8; 10],
}

impl Credentials {
    /// From text; `None` when the name has more than six bytes or the password more than ten.
    #[must_use]
    pub fn new(username: &str, password: &str) -> Option<Self> {
        Some(Self { username: padded(username)?, password: padded(password)? })
    }

    /// Does the login show these?
    #[must_use]
    pub fn admit(&self, login: &Login) -> bool {
        trim(&self.username).eq_ignore_ascii_case(trim(&login.username))
            && trim(&self.password).eq_ignore_ascii_case(trim(&login.password))
    }
}

/// Why a login is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Rejection {
    /// Name and password do not fit.
    NotAuthorized = b'A',
    /// That session, or that sequence of it, is not to be had.
    Session = b'S',
}

/// Without spaces at either end.
pub(crate) fn trim(mut field: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = field {
        field = rest;
    }
    field
}

fn padded<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut field = [b' '; N];
    field.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(field)
}

/// Digits with spaces at either end.
fn number(field: &[u8]) -> Option<u64> {
    let digits = trim(field);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Reads the payload of a login of either length. The heartbeat time-out of the longer one must be a number or
/// blank; this server keeps its own.
pub(super) fn login(payload: &[u8]) -> Option<Login> {
    let (username, rest) = payload.split_first_chunk::<6>()?;
    let (password, rest) = rest.split_first_chunk::<10>()?;
    let (session, rest) = rest.split_first_chunk::<10>()?;
    let (sequence, timeout) = rest.split_first_chunk::<20>()?;
    if !(timeout.is_empty() || timeout.len() == 5 && (trim(timeout).is_empty() || number(timeout).is_some()))
    {
        return None;
    }
    Some(Login { username: *username, password: *password, session: *session, sequence: number(sequence)? })
}

/// Writes a packet. A payload longer than a packet holds is cut; none of ours comes near.
pub(super) fn write(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    let payload = &payload[..payload.len().min(usize::from(u16::MAX) - 1)];
    out.extend_from_slice(&(payload.len() as u16 + 1).to_be_bytes());
    out.push(kind);
    out.extend_from_slice(payload);
}

/// Writes a Login Accepted.
pub(super) fn login_accepted(session: &[u8; 10], sequence: u64, out: &mut Vec<u8>) {
    let mut payload = session.to_vec();
    payload.extend_from_slice(format!("{sequence:>20}").as_bytes());
    write(b'A', &payload, out);
}
