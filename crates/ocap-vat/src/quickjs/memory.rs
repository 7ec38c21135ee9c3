//! The engine's heap: counted, limited, and never silently exhausted.

use std::cell::Cell;
use std::rc::Rc;

use rquickjs::allocator::Allocator;

use super::limits::HEAP_GRACE_BYTES;

/// What is allocated and how much may be.
#[derive(Debug)]
pub(super) struct Memory {
    used: Cell<usize>,
    max: Cell<usize>,
    exhausted: Cell<bool>,
    /// Whether the engine was told to stop.
    stopping: Cell<bool>,
}

impl Memory {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Memory {
            used: Cell::new(0),
            max: Cell::new(usize::MAX),
            exhausted: Cell::new(false),
            stopping: Cell::new(false),
        })
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.used.get()
    }

    /// The limit, in bytes.
    pub(super) fn max(&self) -> usize {
        self.max.get()
    }

    /// Sets the limit, in bytes.
    pub(super) fn limit(&self, max: usize) {
        self.max.set(max);
    }

    /// Whether the limit was ever reached. Vat code may have caught the error; this it cannot undo.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted.get()
    }

    /// The engine is told to stop. It does so by an error that code cannot catch, for which there must
    /// be room.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
    }

    /// Whether `more` bytes may be allocated.
    fn admit(&self, more: usize) -> bool {
        let wanted = self.used.get().saturating_add(more);
        if wanted <= self.max.get() {
            return true;
        }
        self.exhausted.set(true);
        let grace = HEAP_GRACE_BYTES * if self.stopping.get() { 2 } else { 1 };
        wanted <= self.max.get().saturating_add(grace)
    }

    fn add(&self, pointer: *mut u8) -> *mut u8 {
        if pointer.is_null() {
            self.exhausted.set(true);
        } else {
            self.used.set(self.used.get() + usable_size(pointer));
        }
        pointer
    }

    fn remove(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_sub(bytes));
    }
}

fn usable_size(pointer: *mut u8) -> usize {
    // SAFETY: `pointer` is null or came from libc's malloc, realloc or calloc and is still live.
    unsafe { libc::malloc_usable_size(pointer.cast()) }
}

/// libc's allocator, counted.
pub(super) struct MeteredAllocator(pub(super) Rc<Memory>);

// SAFETY: memory comes from libc and is aligned for any type; null is returned when refused.
unsafe impl Allocator for MeteredAllocator {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        if !self.0.admit(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: malloc has no preconditions.
        self.0.add(unsafe { libc::malloc(size) }.cast())
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        if !self.0.admit(count.saturating_mul(size)) {
            return std::ptr::null_mut();
        }
        // SAFETY: calloc has no preconditions; it checks the product for overflow.
        self.0.add(unsafe { libc::calloc(count, size) }.cast())
    }

    unsafe fn dealloc(&mut self, pointer: *mut u8) {
        self.0.remove(usable_size(pointer));
        // SAFETY: the caller passes what this allocator returned, once.
        unsafe { libc::free(pointer.cast()) };
    }

    unsafe fn realloc(&mut self, pointer: *mut u8, size: usize) -> *mut u8 {
        if pointer.is_null() {
            return self.alloc(size);
        }
        let before = usable_size(pointer);
        if size > before && !self.0.admit(size - before) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller passes what this allocator returned. A failure leaves it untouched.
        let moved: *mut u8 = unsafe { libc::realloc(pointer.cast(), size) }.cast();
        if !moved.is_null() || size == 0 {
            self.0.remove(before);
        }
        if size == 0 { moved } else { self.0.add(moved) }
    }

    unsafe fn usable_size(pointer: *mut u8) -> usize {
        usable_size(pointer)
    }
}
