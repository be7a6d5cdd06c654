//! Counting by the trap flag: with it set, the processor stops after each instruction of the program, and the kernel sends a
//! SIGTRAP. The kernel itself runs unstepped; so does the handler, for the kernel clears the flag on the way into it.

use std::arch::asm;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

static STEPS: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_step(_: libc::c_int) {
    STEPS.fetch_add(1, Ordering::Relaxed);
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a plain structure; the handler only adds to a number.
        let rc = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_step as extern "C" fn(libc::c_int) as libc::sighandler_t;
            libc::sigaction(libc::SIGTRAP, &raw const action, ptr::null_mut())
        };
        assert_eq!(rc, 0, "no handler for SIGTRAP");
    });
}

/// Steps from here on.
#[inline(always)]
fn begin() {
    // SAFETY: sets the trap flag, which changes nothing but the pace. The stack is as before.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
}

/// Runs free again.
#[inline(always)]
fn end() {
    // SAFETY: as above.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
}

/// Steps of `work`, including those of `begin` and `end`.
#[inline(always)]
fn steps(work: impl FnOnce()) -> u64 {
    let before = STEPS.load(Ordering::Relaxed);
    begin();
    work();
    end();
    STEPS.load(Ordering::Relaxed) - before
}

/// Steps that counting takes by itself.
pub(crate) fn own() -> u64 {
    install();
    steps(|| {})
}

/// The instructions of `work`, exactly.
#[inline(always)]
pub(crate) fn instructions(work: impl FnOnce()) -> u64 {
    let own = own();
    steps(work) - own
}
