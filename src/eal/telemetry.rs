//! Commands of our own for `dpdk-telemetry.py`.
//!
//! A command answers with a dictionary of numbers and short texts. It runs on EAL's telemetry thread, so it may only
//! read what may be read from any thread. EAL has no way to take a command back: it stays until the process ends.

use std::{
    collections::BTreeMap,
    ffi::{CStr, CString, c_char, c_int},
    sync::{Arc, Mutex, PoisonError},
};

use dpdk_sys as sys;

use super::{Eal, EalError};

/// Most entries of one answer; further ones are refused.
pub const MAX_ENTRIES: usize = 256;
/// Longest text of an entry, bytes; longer ones are cut.
pub const MAX_TEXT: usize = 127;
/// Longest name of an entry, bytes.
pub const MAX_NAME: usize = 63;

type Command = Arc<dyn Fn(&str, &mut Dict<'_>) + Send + Sync>;

/// EAL hands no pointer of the caller's to a callback, only the command's name: that is the key.
static COMMANDS: Mutex<BTreeMap<CString, Command>> = Mutex::new(BTreeMap::new());

/// The answer being written.
#[derive(Debug)]
pub struct Dict<'a> {
    data: &'a mut sys::rte_tel_data,
    entries: usize,
}

impl Dict<'_> {
    /// Adds a number. False where the answer is full or the name is not made of letters, digits, `_` and `/`.
    pub fn number(&mut self, name: &str, value: u64) -> bool {
        // SAFETY: `data` is the dictionary EAL gave us for this call, `name` is a terminated string; EAL copies it.
        self.add(name, |data, name| unsafe { sys::shim_tel_dict_u64(data, name, value) })
    }

    /// Adds a text, cut to [`MAX_TEXT`] bytes. False as with [`Self::number`], or where the text has a NUL.
    pub fn text(&mut self, name: &str, value: &str) -> bool {
        let end = (0..=value.len().min(MAX_TEXT)).rev().find(|at| value.is_char_boundary(*at)).unwrap_or(0);
        let Ok(value) = CString::new(&value[..end]) else { return false };
        // SAFETY: as above; `value` too is terminated and copied.
        self.add(name, |data, name| unsafe { sys::rte_tel_data_add_dict_string(data, name, value.as_ptr()) })
    }

    fn add(&mut self, name: &str, put: impl FnOnce(*mut sys::rte_tel_data, *const c_char) -> c_int) -> bool {
        if self.entries == MAX_ENTRIES || name.len() > MAX_NAME {
            return false;
        }
        let Ok(name) = CString::new(name) else { return false };
        let added = put(self.data, name.as_ptr()) == 0;
        self.entries += usize::from(added);
        added
    }
}

impl Eal {
    /// Registers `name` (such as `/wirebook/books`), which answers with what `command` writes when given the
    /// parameters after the comma (empty if none). `help` is one line.
    ///
    /// # Errors
    /// [`EalError::Telemetry`] where the name has no leading `/`, is taken or too long (55 bytes).
    pub fn register_command(
        &self,
        name: &str,
        help: &str,
        command: impl Fn(&str, &mut Dict<'_>) + Send + Sync + 'static,
    ) -> Result<(), EalError> {
        let error = |reason: &str| EalError::Telemetry { command: name.into(), reason: reason.into() };
        let key = CString::new(name).map_err(|_| error("its name has a NUL"))?;
        let help = CString::new(help).map_err(|_| error("its help has a NUL"))?;
        let mut commands = COMMANDS.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.contains_key(&key) {
            return Err(error("it is registered already"));
        }
        // SAFETY: both strings are terminated and EAL copies them; `answer` lives as long as the program.
        let rc = unsafe { sys::rte_telemetry_register_cmd(key.as_ptr(), Some(answer), help.as_ptr()) };
        if rc != 0 {
            return Err(error(&super::strerror(rc)));
        }
        commands.insert(key, Arc::new(command));
        Ok(())
    }
}

extern "C" fn answer(command: *const c_char, params: *const c_char, data: *mut sys::rte_tel_data) -> c_int {
    if command.is_null() {
        return -1;
    }
    // SAFETY: EAL passes the command as a terminated string, valid during this call.
    let key = unsafe { CStr::from_ptr(command) };
    let params = if params.is_null() {
        String::new()
    } else {
        // SAFETY: as above.
        unsafe { CStr::from_ptr(params) }.to_string_lossy().into_owned()
    };
    let found = COMMANDS.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
    // SAFETY: EAL passes the answer to fill, exclusively ours during this call; null is ruled out by `as_mut`.
    let (Some(found), Some(data)) = (found, unsafe { data.as_mut() }) else { return -1 };
    // SAFETY: `data` is that answer.
    let rc = unsafe { sys::rte_tel_data_start_dict(data) };
    if rc != 0 {
        return rc;
    }
    found(&params, &mut Dict { data, entries: 0 });
    0
}
