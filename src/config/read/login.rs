//! Who logs into a SoupBinTCP server: that of the snapshots, that of the orders.

use super::super::document::Document;
use super::super::recovery::Secret;

pub(super) const USERNAME_WANTED: &str = "a name of 1 to 6 printable ASCII characters without spaces";
const PASSWORD_WANTED: &str = "a password of at most 10 printable ASCII characters without spaces";
const SESSION_WANTED: &str = "a session of at most 10 printable ASCII characters without spaces";
const VARIABLE_WANTED: &str = "the name of an environment variable";

/// Lengths of the fields of a SoupBinTCP login.
const USERNAME: usize = 6;
const PASSWORD: usize = 10;
const SESSION: usize = 10;

/// The keys of one login's password.
pub(super) struct Keys {
    section: &'static str,
    in_file: &'static str,
    by_name: &'static str,
    variable: &'static str,
}

/// Of the snapshot server.
pub(super) const SNAPSHOT: Keys = Keys {
    section: "recovery.snapshot",
    in_file: "recovery.snapshot.password",
    by_name: "recovery.snapshot.password_env",
    variable: "GLIMPSE_PASSWORD",
};

/// Of the order gateway.
pub(super) const GATEWAY: Keys = Keys {
    section: "gateway",
    in_file: "gateway.password",
    by_name: "gateway.password_env",
    variable: "OUCH_PASSWORD",
};

/// A name that may be left out.
pub(super) fn username(document: &mut Document<'_>, path: &'static str) -> Option<String> {
    document.optional_text(path, USERNAME_WANTED, "WIRE01", read_username)
}

/// A session that may be left out, or blank.
pub(super) fn session(document: &mut Document<'_>, path: &'static str) -> Option<String> {
    let read = |text: &str| is_credential(text, SESSION).then(|| text.to_owned());
    document.optional_text(path, SESSION_WANTED, "0000000001", read)
}

/// From the file itself or from the environment variable that it names. No problem that is noted shows it.
pub(super) fn password(document: &mut Document<'_>, keys: &Keys) -> Secret {
    let &Keys { section, in_file, by_name, variable } = keys;
    let read = |text: &str| is_credential(text, PASSWORD).then(|| Secret::new(text.to_owned()));
    let stated = document.secret(in_file, PASSWORD_WANTED, read);
    let name = document
        .optional_text(by_name, VARIABLE_WANTED, variable, |name| is_variable(name).then(|| name.to_owned()));
    let Some(name) = name else { return stated.unwrap_or_default() };
    if document.says(in_file) {
        document.contradiction(
            &[by_name, in_file],
            format!("{section} has both password and password_env"),
            "remove one of the two",
        );
        return Secret::default();
    }
    let (what, remedy) = match std::env::var(&name) {
        Ok(text) => match read(&text) {
            Some(secret) => return secret,
            None => (
                format!("the environment variable {name} does not hold {PASSWORD_WANTED}"),
                format!("correct {name}"),
            ),
        },
        Err(_) => (
            format!("{by_name} names {name}, which is not set, or not to text"),
            format!("set {name} before the start"),
        ),
    };
    document.contradiction(&[by_name], what, &remedy);
    Secret::default()
}

pub(super) fn read_username(text: &str) -> Option<String> {
    (!text.is_empty() && is_credential(text, USERNAME)).then(|| text.to_owned())
}

/// Fields are padded with spaces, so none may stand inside.
fn is_credential(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}
