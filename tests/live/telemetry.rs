//! A client of the telemetry socket: commands up, JSON down, one packet each.
#![allow(unsafe_code, reason = "the standard library has no sockets of this kind")]

use std::io::{Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection.
pub(crate) struct Telemetry(UnixStream);

impl Telemetry {
    /// Connects to a running program by the directory of its file prefix.
    pub(crate) fn connect(directory: &Path) -> Self {
        let path = directory.join("dpdk_telemetry.v2");
        let mut this = Self(connect(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display())));
        this.0.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let greeting = this.receive();
        assert!(greeting.contains("max_output_len"), "{greeting}");
        this
    }

    /// What a command answers.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.0.write_all(command.as_bytes()).unwrap();
        self.receive()
    }

    /// One number of an answer.
    pub(crate) fn number(&mut self, command: &str, name: &str) -> u64 {
        let answer = self.ask(command);
        let quoted = format!("\"{name}\":");
        let (_, value) = answer.split_once(&quoted).unwrap_or_else(|| panic!("no {name} in {answer}"));
        let digits: String = value.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|_| panic!("{name} is no number in {answer}"))
    }

    fn receive(&mut self) -> String {
        // The longest answer that DPDK makes is 16 KiB.
        let mut packet = vec![0; 1 << 16];
        let len = self.0.read(&mut packet).unwrap();
        String::from_utf8_lossy(&packet[..len]).into_owned()
    }
}

fn connect(path: &Path) -> std::io::Result<UnixStream> {
    // SAFETY: no pointers; the result is checked.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: a socket that was just opened and that nobody else knows.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: all zeros is an address of no family.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let name = path.as_os_str().as_bytes();
    assert!(name.len() < address.sun_path.len(), "{} is too long for a socket", path.display());
    for (to, from) in address.sun_path.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    let len = std::mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: `address` is a whole sockaddr_un, terminated because the name is shorter than its place.
    let rc = unsafe { libc::connect(fd, (&raw const address).cast(), len) };
    if rc != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // Reading and writing are the same for packets: one call, one packet.
    Ok(UnixStream::from(socket))
}
