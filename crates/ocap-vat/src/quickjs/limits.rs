//! Limits of the engine that are not a vat's own ([`crate::engine::Limits`]).

/// Least stack the engine is given, in bytes: marshalling a deeply nested value takes half of it.
pub(super) const STACK_BYTES_MIN: usize = 512 << 10;

/// Most stack the engine is given, in bytes. Worker threads have twice that; the engine would take
/// anything above 16 MiB for "no limit".
pub(super) const STACK_BYTES_MAX: usize = 16 << 20;

/// What a vat may allocate beyond its limit, in bytes, between reaching it and the next interrupt,
/// so that the engine seldom sees an allocation fail; and as much again to stop in.
pub(super) const HEAP_GRACE_BYTES: usize = 1 << 20;

/// Heap for compiling modules while a graph is collected, in bytes.
pub(super) const COLLECT_HEAP_BYTES_MAX: usize = 512 << 20;

/// Stack for compiling modules while a graph is collected, in bytes.
pub(super) const COLLECT_STACK_BYTES: usize = 1 << 20;

/// Modules of one vat. Linking goes through them recursively.
pub(super) const MODULES_MAX: usize = 1_000;

/// Text of all modules of one vat, in bytes: they travel to the worker in one frame.
pub(super) const MODULE_BYTES_MAX: usize = 32 << 20;

/// Unhandled rejections remembered in one crank, for the log.
pub(super) const REJECTIONS_MAX: usize = 100;

/// Characters of an error that the kernel is told.
pub(super) const ERROR_CHARACTERS_MAX: usize = 10_000;

/// What a syscall, a vatstore write or a resolution costs besides its text, in bytes.
pub(super) const ENTRY_BYTES: usize = 32;

/// Heap below which no garbage is looked for during a crank, in bytes. Reference counts free most
/// of it at once; a collection walks the whole realm, which takes a millisecond.
pub(super) const GC_FLOOR_BYTES: usize = 4 << 20;

/// The floor is at most this part of a vat's heap limit, so that garbage is found long before the
/// limit is.
pub(super) const GC_FLOOR_HEAP_PARTS: usize = 4;

/// Committed rows of a vat's store remembered during a crank, in bytes. A crank may look at far more
/// than fits into memory; what it has forgotten it asks for again.
pub(super) const COMMITTED_BYTES_MAX: usize = 4 << 20;
