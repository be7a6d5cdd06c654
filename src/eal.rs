//! DPDK's environment layer: started once, lcores, log, clean end.
//!
//! [`Eal::init`] checks what would make EAL fail before EAL says a word ([`mod@crate::host::preflight`]). What needs EAL (pools, ports,
//! queues) holds a share of it, so `rte_eal_cleanup` runs when the last of them is gone, whatever the order of drops.
#![allow(unsafe_code, reason = "calls into DPDK; each call says why it is sound")]

use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    fmt,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use dpdk_sys as sys;

mod linked;
mod log;
pub mod telemetry;

pub use crate::host::preflight::Refusal;
pub use linked::Linked;

use crate::host::args::EalArgs;
use crate::host::{Host, preflight};
use crate::stop::StopFlag;

/// EAL starts once in a process.
static STARTED: AtomicBool = AtomicBool::new(false);

/// What can go wrong with EAL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EalError {
    /// Found before EAL started.
    #[error(transparent)]
    Preflight(#[from] Refusal),
    /// A second [`Eal::init`].
    #[error("EAL was started before: it starts once in a process")]
    AlreadyStarted,
    /// No argument of a program can have a NUL.
    #[error("EAL argument {0:?} has a NUL byte")]
    Argument(String),
    /// EAL's log could not be redirected.
    #[error("while redirecting EAL's log")]
    Log(#[source] std::io::Error),
    /// `rte_eal_init` failed.
    #[error("EAL did not start: {reason}{said}")]
    Init {
        /// Its error number in words.
        reason: String,
        /// Its last error line, in brackets; empty if it wrote none.
        said: String,
    },
    /// The number belongs to no worker lcore.
    #[error("lcore {0} is no worker lcore of this run: see -l")]
    NoSuchWorker(Lcore),
    /// The lcore still runs something.
    #[error("lcore {0} is busy")]
    Busy(Lcore),
    /// The work given to a worker panicked.
    #[error("the work on lcore {0} panicked")]
    WorkerPanicked(Lcore),
    /// A thread could not be made known to EAL.
    #[error("while registering this thread with EAL: {0}")]
    RegisterThread(String),
    /// Packet capture could not be offered.
    #[error("while making ports visible to dpdk-dumpcap: {0}")]
    Pdump(String),
    /// A telemetry command could not be registered.
    #[error("while registering the telemetry command {command}: {reason}")]
    Telemetry {
        /// Its name.
        command: String,
        /// Why.
        reason: String,
    },
}

/// EAL's number of a thread that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lcore(u32);

impl Lcore {
    /// The number as in `-l` (with `--lcores`, the number before the `@`).
    #[must_use]
    pub const fn id(self) -> u32 {
        self.0
    }

    /// The lcore that runs the caller; `None` for a thread EAL does not know. Such a thread has no buffer cache.
    #[must_use]
    pub fn current() -> Option<Self> {
        // SAFETY: reads a thread-local of this thread.
        let id = unsafe { sys::shim_lcore_id() };
        (id < sys::RTE_MAX_LCORE).then_some(Self(id))
    }

    /// The CPU it is pinned to.
    #[must_use]
    pub fn cpu(self) -> Option<u32> {
        // SAFETY: any number is allowed; unknown ones give -1.
        u32::try_from(unsafe { sys::rte_lcore_to_cpu_id(self.0 as c_int) }).ok()
    }

    /// The NUMA node of that CPU.
    #[must_use]
    pub fn numa_node(self) -> u32 {
        // SAFETY: `self.0` is below RTE_MAX_LCORE: it comes from EAL.
        unsafe { sys::rte_lcore_to_socket_id(self.0) }
    }
}

impl fmt::Display for Lcore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// EAL, started. Shared by all that needs it; the last share gone, EAL is cleaned up.
#[derive(Debug)]
pub(crate) struct Runtime(());

impl Drop for Runtime {
    fn drop(&mut self) {
        // SAFETY: EAL still runs and its interrupts are watched (`Eal::init`); this is not its interrupt thread, which
        // holds no share.
        let rc = unsafe { sys::shim_interrupts_settle() };
        if rc != 0 {
            tracing::warn!("EAL's interrupt thread is busy: {}", strerror(rc));
        }
        // SAFETY: pools, ports and queues hold a share each, so none is left; `Eal` has waited for the workers.
        let rc = unsafe { sys::rte_eal_cleanup() };
        if rc != 0 {
            tracing::warn!("rte_eal_cleanup: {}", strerror(rc));
        }
    }
}

/// EAL and its threads, in the hands of the main lcore.
///
/// Dropping it sets the stop flag and waits for the workers.
#[derive(Debug)]
pub struct Eal {
    runtime: Arc<Runtime>,
    main: Lcore,
    workers: Vec<Lcore>,
    allowed: Vec<String>,
    stop: StopFlag,
    /// Stays on its thread: a worker that waited for the workers would wait for itself.
    _not_send: PhantomData<*const ()>,
}

/// Checks what [`Eal::init`] checks before it starts EAL. `args` as there.
///
/// # Errors
/// The first reason why EAL would not start here, with its remedy, in one line.
pub fn preflight<S: AsRef<str>>(args: &[S]) -> Result<(), Refusal> {
    this_host().check(&EalArgs::parse(args))
}

/// This machine, with the drivers of the DPDK that is linked.
pub(crate) fn this_host() -> Host {
    let dpdk = Linked::dpdk();
    Host::this(&dpdk.plugin_dir, dpdk.drivers)
}

impl Eal {
    /// Starts EAL with its arguments (the program's name not among them), on the calling thread, which becomes the
    /// main lcore and is pinned.
    ///
    /// # Errors
    /// A failed check ([`EalError::Preflight`]), a second start, or EAL's own failure.
    pub fn init<S: AsRef<str>>(args: &[S]) -> Result<Self, EalError> {
        preflight(args)?;
        for warning in this_host().warnings(&EalArgs::parse(args)) {
            tracing::warn!("{warning}");
        }
        let mut argv = vec![c"wirebook".to_owned()];
        for arg in args.iter().map(AsRef::as_ref).take_while(|a| *a != "--") {
            argv.push(CString::new(arg).map_err(|_| EalError::Argument(arg.to_owned()))?);
        }
        if STARTED.swap(true, Ordering::Relaxed) {
            return Err(EalError::AlreadyStarted);
        }
        log::redirect().map_err(EalError::Log)?;

        // EAL may keep pointers into its arguments: they stay until the process ends.
        let mut argv: Vec<*mut c_char> = argv.into_iter().map(CString::into_raw).collect();
        let argc = argv.len() as c_int;
        argv.push(std::ptr::null_mut());
        // SAFETY: `argc` terminated strings and a null after them, all leaked; the first and only call.
        let rc = unsafe { sys::rte_eal_init(argc, argv.leak().as_mut_ptr()) };
        if rc < 0 {
            let said = log::take_last_error();
            let said = if said.is_empty() { said } else { format!(" ({said})") };
            return Err(EalError::Init { reason: last_error(), said });
        }
        // SAFETY: EAL is started; the only call.
        let rc = unsafe { sys::shim_interrupts_watch() };
        if rc != 0 {
            return Err(EalError::Init { reason: strerror(rc), said: " (watching its interrupts)".into() });
        }
        // SAFETY: EAL is started.
        let main = Lcore(unsafe { sys::rte_get_main_lcore() });
        Ok(Self {
            runtime: Arc::new(Runtime(())),
            main,
            workers: workers(),
            allowed: preflight::allowed(&EalArgs::parse(args)),
            stop: StopFlag::new(),
            _not_send: PhantomData,
        })
    }

    /// The release that was loaded, such as `DPDK 22.11.11`.
    #[must_use]
    pub fn version(&self) -> String {
        Linked::dpdk().running
    }

    /// The lcore that called [`Eal::init`].
    #[must_use]
    pub fn main_lcore(&self) -> Lcore {
        self.main
    }

    /// The other lcores, rising.
    #[must_use]
    pub fn worker_lcores(&self) -> &[Lcore] {
        &self.workers
    }

    /// The PCI addresses that `-a` allowed, in full.
    pub(crate) fn allowed(&self) -> &[String] {
        &self.allowed
    }

    /// The flag that ends the workers' loops; [`StopFlag::set_on_signals`] ties it to SIGINT and SIGTERM.
    #[must_use]
    pub fn stop_flag(&self) -> &StopFlag {
        &self.stop
    }

    /// Runs `work` on a worker lcore and returns at once. Loops must end when the stop flag is set.
    ///
    /// # Errors
    /// [`EalError::NoSuchWorker`] or [`EalError::Busy`]; `work` is dropped.
    pub fn launch(&self, lcore: Lcore, work: impl FnOnce() + Send + 'static) -> Result<(), EalError> {
        if !self.workers.contains(&lcore) {
            return Err(EalError::NoSuchWorker(lcore));
        }
        let job: *mut Job = Box::into_raw(Box::new(Job(Box::new(work))));
        // SAFETY: `run_job` takes the job back and frees it; `lcore` is a worker.
        let rc = unsafe { sys::rte_eal_remote_launch(Some(run_job), job.cast::<c_void>(), lcore.0) };
        if rc != 0 {
            // SAFETY: not launched, so the job is still ours, and it came from `Box::into_raw`.
            drop(unsafe { Box::from_raw(job) });
            return Err(EalError::Busy(lcore));
        }
        Ok(())
    }

    /// True while the lcore runs what it was given.
    #[must_use]
    pub fn is_running(&self, lcore: Lcore) -> bool {
        // SAFETY: `lcore` comes from EAL, so it is in range.
        unsafe { sys::rte_eal_get_lcore_state(lcore.0) == sys::rte_lcore_state_t_RUNNING }
    }

    /// Waits until all workers are done.
    ///
    /// # Errors
    /// [`EalError::WorkerPanicked`] with the first whose work panicked; all are waited for.
    pub fn wait(&self) -> Result<(), EalError> {
        let mut result = Ok(());
        for &lcore in &self.workers {
            // EAL's own wait spins; the main lcore may share its CPU.
            while self.is_running(lcore) {
                thread::sleep(WAIT_STEP);
            }
            // SAFETY: a worker lcore, and the caller is the main lcore: `Eal` stays on its thread.
            let rc = unsafe { sys::rte_eal_wait_lcore(lcore.0) };
            if rc == PANICKED && result.is_ok() {
                result = Err(EalError::WorkerPanicked(lcore));
            }
        }
        result
    }

    /// Makes all ports visible to `dpdk-dumpcap` and `dpdk-pdump` until the returned value is dropped. They need
    /// hugepages and a shared configuration (not `--no-huge`, `--in-memory`, `--no-shconf`).
    ///
    /// # Errors
    /// [`EalError::Pdump`].
    pub fn pdump(&self) -> Result<Pdump, EalError> {
        // SAFETY: EAL is started.
        if unsafe { sys::rte_pdump_init() } != 0 {
            return Err(EalError::Pdump(last_error()));
        }
        Ok(Pdump { _runtime: Arc::clone(&self.runtime) })
    }

    /// Makes the calling thread known to EAL until the returned value is dropped, so that it has a buffer cache.
    /// Lcores are known already.
    ///
    /// # Errors
    /// [`EalError::RegisterThread`]: no free lcore number.
    pub fn register_thread(&self) -> Result<RegisteredThread, EalError> {
        // SAFETY: EAL is started; registering twice is refused by EAL.
        if unsafe { sys::rte_thread_register() } != 0 {
            return Err(EalError::RegisterThread(last_error()));
        }
        Ok(RegisteredThread { _runtime: Arc::clone(&self.runtime), _not_send: std::marker::PhantomData })
    }

    /// A share for what needs EAL.
    pub(crate) fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }
}

impl Drop for Eal {
    fn drop(&mut self) {
        self.stop.set();
        if let Err(e) = self.wait() {
            tracing::error!("{e}");
        }
    }
}

/// Capture is possible while this lives.
#[derive(Debug)]
pub struct Pdump {
    _runtime: Arc<Runtime>,
}

impl Drop for Pdump {
    fn drop(&mut self) {
        // SAFETY: initialised by `Eal::pdump`, EAL still runs.
        unsafe { sys::rte_pdump_uninit() };
    }
}

/// The thread that made this is known to EAL while it lives.
#[derive(Debug)]
pub struct RegisteredThread {
    _runtime: Arc<Runtime>,
    _not_send: PhantomData<*const ()>,
}

impl Drop for RegisteredThread {
    fn drop(&mut self) {
        // SAFETY: this is the thread that was registered: the value cannot be sent to another.
        unsafe { sys::rte_thread_unregister() };
    }
}

fn workers() -> Vec<Lcore> {
    // LCORE_ID_ANY + 1 = 0: from the first on.
    let mut at = u32::MAX;
    std::iter::from_fn(|| {
        // SAFETY: any start is allowed; skips the main lcore, does not wrap.
        at = unsafe { sys::rte_get_next_lcore(at, 1, 0) };
        (at < sys::RTE_MAX_LCORE).then_some(Lcore(at))
    })
    .collect()
}

/// How often [`Eal::wait`] looks.
const WAIT_STEP: Duration = Duration::from_millis(1);

struct Job(Box<dyn FnOnce() + Send>);

const PANICKED: c_int = -1;

unsafe extern "C" fn run_job(arg: *mut c_void) -> c_int {
    // SAFETY: `launch` passes a leaked `Job`, once.
    let job = unsafe { Box::from_raw(arg.cast::<Job>()) };
    match catch_unwind(AssertUnwindSafe(job.0)) {
        Ok(()) => 0,
        Err(_) => PANICKED,
    }
}

/// An error number of DPDK, of either sign, in words.
pub(crate) fn strerror(code: c_int) -> String {
    // SAFETY: returns a terminated string in a thread-local buffer, copied at once.
    unsafe { CStr::from_ptr(sys::rte_strerror(code.abs())) }.to_string_lossy().into_owned()
}

/// `rte_errno` of this thread in words.
pub(crate) fn last_error() -> String {
    // SAFETY: reads a thread-local of this thread.
    strerror(unsafe { sys::shim_rte_errno() })
}
