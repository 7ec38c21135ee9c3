//! Memory of a worker: what libc is told before workers are forked, and an allocator that ends the
//! worker when there is none left.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::EXIT_OUT_OF_MEMORY;
use crate::fork::exit_now;
use crate::limits::{HOLE_BYTES_MAX, HOLE_BYTES_MIN, HOLE_BYTES_STEP};

/// Set in workers.
static EXIT: AtomicBool = AtomicBool::new(false);

/// The system's allocator; but in a worker process, running out of memory ends the process with
/// an exit code that says so. (Otherwise it would look like a crash.)
///
/// Programs that call [`crate::run_worker_if_asked`] make it their global allocator:
///
/// ```ignore
/// #[global_allocator]
/// static ALLOCATOR: ocap_vat::ExitingAllocator = ocap_vat::ExitingAllocator;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ExitingAllocator;

/// Ends a worker that got no memory.
fn check(pointer: *mut u8) -> *mut u8 {
    if pointer.is_null() && EXIT.load(Ordering::Relaxed) {
        exit_now(EXIT_OUT_OF_MEMORY);
    }
    pointer
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for ExitingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        check(unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        check(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are the same.
        check(unsafe { System.realloc(pointer, layout, size) })
    }
}

/// From now on running out of memory ends this process.
pub(crate) fn exit_when_exhausted() {
    EXIT.store(true, Ordering::Relaxed);
}

/// Lets the system's libraries do now what they do at first use, for processes that may do little.
pub(crate) fn settle() {
    // The default one may read the program's symbols from its file. Panics are reported as faults.
    std::panic::set_hook(Box::new(|_| {}));
    // Looks for the kernel's shared code, with calls that no cage allows.
    let _ = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    // SAFETY: the process has one thread; the arguments are valid.
    unsafe {
        // A second arena would make libc count processors, which reads a file.
        #[cfg(target_env = "gnu")]
        libc::mallopt(libc::M_ARENA_MAX, 1);
        // Reads the time zone's file now, if ever.
        let mut broken_down: libc::tm = std::mem::zeroed();
        libc::localtime_r(&0, &raw mut broken_down);
    }
}

/// Takes, for good, what is free between things that stay.
///
/// The first byte a forked process writes to a page costs it a page. What a worker allocates would
/// fill the holes of pages that it otherwise shares with its zygote; now it lies together at the end.
pub(crate) fn fill_holes() {
    let largest = HOLE_BYTES_MAX;
    // SAFETY: malloc has no preconditions.
    let end = unsafe { libc::malloc(largest) };
    if end.is_null() {
        return;
    }
    // SAFETY: from malloc, and freed once.
    unsafe { libc::free(end) };
    let mut bytes = largest;
    while bytes >= HOLE_BYTES_MIN {
        // SAFETY: malloc has no preconditions.
        let hole = unsafe { libc::malloc(bytes) };
        if hole.is_null() {
            return;
        }
        if hole < end {
            continue;
        }
        // SAFETY: from malloc, and freed once.
        unsafe { libc::free(hole) };
        bytes -= HOLE_BYTES_STEP;
    }
}
