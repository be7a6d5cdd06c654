//! A QEMU guest with emulated NICs, and a shell in it.
//!
//! ```ignore
//! let _machine = alone();
//! let mut guest = Guest::boot("refusals", &[Nic::new(Model::E1000e)], &Options::default())?;
//! let out = guest.run("dpdk-devbind-wrapper.sh bind 0000:00:10.0", SHORT);   // exit code, stdout, stderr
//! let program = guest.spawn("wirebook -l 0-1 -a 0000:00:10.0 -- --config /host/feed.toml");
//! guest.wait_for(&program, "polling", LONG);                                  // on its stderr
//! guest.signal(&program, "TERM");
//! assert_eq!(guest.end(&program, LONG).code, Some(0));
//! ```
//!
//! Kernel, modules and busybox come from packages of the distribution (`guest/prepare.sh`, kept in `target/nic-guest`).
//! `wirebook`, its libraries, DPDK's drivers and our wrapper are in the guest's PATH. The host's directory
//! [`Guest::host`] is the guest's `/host`: files go either way through it. It holds what every command said, and stays.
//! The guest has no udev: drivers of the kernel are those of [`Options::kernel_drivers`]. Everything has a time-out, and
//! a guest that is dropped is gone.

mod machine;
mod ship;

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(crate) use machine::{Model, Nic, Options, Wire, possible};
pub(crate) use ship::also;

/// For what takes no time, on a loaded machine that translates every instruction.
pub(crate) const SHORT: Duration = Duration::from_secs(60);
/// For what takes some.
pub(crate) const LONG: Duration = Duration::from_secs(180);
/// From power to the first command. Seven seconds on an idle machine.
const BOOT: Duration = Duration::from_secs(180);
/// Between two looks for what the guest has done.
const LOOK: Duration = Duration::from_millis(10);

/// One guest at a time: there may be two CPUs only.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where guests are made and leave their logs.
fn place() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("nic-guest")
}

/// A running guest. Dropping it ends it.
pub(crate) struct Guest {
    name: String,
    qemu: Child,
    directory: PathBuf,
    /// Holds the sockets: their paths must be short.
    sockets: tempfile::TempDir,
    /// The second serial port: a line says that there is a command.
    bell: UnixStream,
    monitor: UnixStream,
    wires: Vec<Option<UnixDatagram>>,
    addresses: Vec<String>,
    commands: u32,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code as a shell has it: 128 and the signal's number where one ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that runs in the guest.
pub(crate) struct Spawned {
    directory: PathBuf,
    command: String,
}

impl Spawned {
    pub(crate) fn stdout(&self) -> String {
        read(&self.directory.join("stdout"))
    }

    pub(crate) fn stderr(&self) -> String {
        read(&self.directory.join("stderr"))
    }

    /// Its exit code, once it has ended.
    pub(crate) fn code(&self) -> Option<i32> {
        read(&self.directory.join("code")).trim().parse().ok()
    }

    /// Its process in the guest.
    fn pid(&self) -> Option<u32> {
        read(&self.directory.join("pid")).trim().parse().ok()
    }
}

impl Guest {
    /// Boots a guest with these NICs, in order, and waits until it takes commands. A guest that stands still while it
    /// boots is tried once more. `name` names its directory, `target/nic-guest/NAME`.
    ///
    /// # Errors
    /// What this machine lacks, or how the guest failed.
    pub(crate) fn boot(name: &str, nics: &[Nic], options: &Options) -> Result<Self, String> {
        nics.iter().try_for_each(|nic| possible(nic.model))?;
        prepare()?;
        Self::start(name, nics, options).or_else(|why| {
            say(&format!("guest {name}: {why}; once more"));
            Self::start(name, nics, options)
        })
    }

    fn start(name: &str, nics: &[Nic], options: &Options) -> Result<Self, String> {
        let directory = place().join(name);
        let _ = std::fs::remove_dir_all(&directory);
        let host = directory.join("host");
        let failed = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
        std::fs::create_dir_all(&host).map_err(|why| failed("its directory", &why))?;
        ship::fill(&host.join("root"))?;
        std::fs::write(host.join("start"), options.start_script(nics))
            .map_err(|why| failed("start", &why))?;
        let sockets =
            tempfile::Builder::new().prefix("nic").tempdir().map_err(|why| failed("sockets", &why))?;
        let wires = nics
            .iter()
            .enumerate()
            .map(|(index, nic)| match nic.wire {
                Wire::Host => UnixDatagram::bind(sockets.path().join(format!("n{index}.host"))).map(Some),
                Wire::Nic(_) => Ok(None),
            })
            .collect::<Result<_, _>>()
            .map_err(|why| failed("a wire", &why))?;
        let log = std::fs::File::create(directory.join("qemu")).map_err(|why| failed("qemu's log", &why))?;
        let mut qemu = Command::new(machine::QEMU)
            .args(machine::arguments(nics, options, &place(), &directory, sockets.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|why| failed(machine::QEMU, &why))?;
        let mut connect = |what: &str| {
            let began = Instant::now();
            loop {
                match UnixStream::connect(sockets.path().join(what)) {
                    Ok(stream) => break Ok(stream),
                    Err(_) if began.elapsed() < SHORT && matches!(qemu.try_wait(), Ok(None)) => {
                        std::thread::sleep(LOOK);
                    }
                    Err(why) => {
                        let _ = qemu.kill();
                        let _ = qemu.wait();
                        break Err(format!("QEMU: no {what} ({why}): {}", read(&directory.join("qemu"))));
                    }
                }
            }
        };
        let (bell, monitor) = (connect("bell")?, connect("monitor")?);
        let mut guest = Self {
            name: name.to_owned(),
            qemu,
            addresses: machine::addresses(nics, options),
            directory,
            sockets,
            bell,
            monitor,
            wires,
            commands: 0,
        };
        guest.until_ready()?;
        Ok(guest)
    }

    fn until_ready(&mut self) -> Result<(), String> {
        let began = Instant::now();
        while !self.host().join("ready").exists() {
            let runs = matches!(self.qemu.try_wait(), Ok(None));
            if !runs || began.elapsed() > BOOT {
                return Err(format!(
                    "it did not boot (QEMU runs: {runs}): {}\n{}",
                    read(&self.directory.join("qemu")),
                    tail(&read(&self.directory.join("console")), 15)
                ));
            }
            std::thread::sleep(LOOK);
        }
        // A prompt comes first.
        self.answer("").map(|_| ())
    }

    /// The directory that is `/host` in the guest.
    pub(crate) fn host(&self) -> PathBuf {
        self.directory.join("host")
    }

    /// Where all logs of this guest are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The PCI address of NIC `index`.
    pub(crate) fn address(&self, index: usize) -> &str {
        &self.addresses[index]
    }

    /// The other end of NIC `index`, once: the socket that its frames come to, one datagram a frame, without FCS, and the
    /// path of the socket that frames for it go to.
    pub(crate) fn wire(&mut self, index: usize) -> (UnixDatagram, PathBuf) {
        let wire =
            self.wires[index].take().expect("this NIC is not wired to the host, or its wire was taken");
        (wire, self.sockets.path().join(format!("n{index}.guest")))
    }

    /// Starts a command line of the guest's shell. `exec` is put before it, so that signals reach the program: begin
    /// with its name.
    pub(crate) fn spawn(&mut self, command: &str) -> Spawned {
        self.begin(&format!("exec {command}"))
    }

    fn begin(&mut self, command: &str) -> Spawned {
        self.commands += 1;
        let directory = self.host().join(self.commands.to_string());
        std::fs::create_dir(&directory).unwrap();
        let part = directory.join("command.part");
        std::fs::write(&part, format!("{command}\n")).unwrap();
        std::fs::rename(&part, directory.join("command")).unwrap();
        self.bell.write_all(b"\n").unwrap();
        Spawned { directory, command: command.to_owned() }
    }

    /// Runs a shell script to its end.
    pub(crate) fn run(&mut self, command: &str, limit: Duration) -> Ended {
        let spawned = self.begin(command);
        self.end(&spawned, limit)
    }

    /// Runs a shell script, which must end with exit code 0; its standard output.
    pub(crate) fn must(&mut self, command: &str) -> String {
        let ended = self.run(command, SHORT);
        assert_eq!(ended.code, Some(0), "{command}\n{}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// Waits for the end of a command.
    pub(crate) fn end(&mut self, spawned: &Spawned, limit: Duration) -> Ended {
        self.wait_until(&format!("end of '{}'", spawned.command), limit, || spawned.code().is_some());
        Ended { code: spawned.code(), stdout: spawned.stdout(), stderr: spawned.stderr() }
    }

    /// Waits until the standard error of `spawned` holds `text`, which the program must live to say.
    pub(crate) fn wait_for(&mut self, spawned: &Spawned, text: &str, limit: Duration) {
        let said = || spawned.stderr().contains(text);
        self.wait_until(&format!("'{text}'"), limit, || said() || spawned.code().is_some());
        assert!(
            said(),
            "{} ended ({:?}) without '{text}':\n{}",
            spawned.command,
            spawned.code(),
            tail(&spawned.stderr(), 30)
        );
    }

    /// Waits for `reached`, while the guest lives.
    pub(crate) fn wait_until(&mut self, what: &str, limit: Duration, mut reached: impl FnMut() -> bool) {
        let began = Instant::now();
        while !reached() {
            let runs = matches!(self.qemu.try_wait(), Ok(None));
            assert!(
                runs && began.elapsed() < limit,
                "guest {}: no {what} after {:.0?} (QEMU runs: {runs}); see {}",
                self.name,
                began.elapsed(),
                self.directory.display()
            );
            std::thread::sleep(LOOK);
        }
    }

    /// Sends a signal, by its name without SIG.
    pub(crate) fn signal(&mut self, spawned: &Spawned, name: &str) {
        self.wait_until("process", SHORT, || spawned.pid().is_some());
        self.must(&format!("kill -{name} {}", spawned.pid().unwrap()));
    }

    /// Plugs the cable of NIC `index` in, or out.
    pub(crate) fn set_link(&mut self, index: usize, up: bool) {
        let to = if up { "on" } else { "off" };
        self.answer(&format!("set_link n{index} {to}\n")).unwrap();
    }

    /// What QEMU's monitor says to a command line; up to the next prompt.
    fn answer(&mut self, command: &str) -> Result<String, String> {
        let failed = |why: std::io::Error| format!("QEMU's monitor: {why}");
        self.monitor.set_read_timeout(Some(SHORT)).map_err(failed)?;
        self.monitor.write_all(command.as_bytes()).map_err(failed)?;
        let mut said = Vec::new();
        let mut byte = [0];
        while !said.ends_with(b"(qemu) ") {
            self.monitor.read_exact(&mut byte).map_err(failed)?;
            said.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        // Copies of what is here anyway.
        let _ = std::fs::remove_dir_all(self.host().join("root"));
    }
}

/// Kernel and initramfs, made where they are not there yet.
fn prepare() -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nic/guest/prepare.sh");
    let made = Command::new("sh").arg(script).arg(place()).output().map_err(|why| why.to_string())?;
    let said = String::from_utf8_lossy(&made.stderr).trim().to_owned();
    if made.status.success() { Ok(()) } else { Err(said) }
}

pub(crate) fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// Says past the test harness, which keeps what passing tests print.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| format!("  {line}\n")).collect()
}
