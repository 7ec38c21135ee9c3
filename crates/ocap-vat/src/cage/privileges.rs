//! Capabilities and resource limits of a worker.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use crate::limits::{
    HEAP_BYTES_MAX, MEMORY_SLACK_BYTES, WORKER_FILES_MAX, WORKER_STACK_BYTES, ZYGOTE_MAPPED_BYTES,
};

/// No files, no core dumps, no processes, and memory as for the largest vat.
pub(super) fn limit() -> io::Result<()> {
    set_limit(Resource::Core, 0)?;
    set_limit(Resource::Fsize, 0)?;
    set_limit(Resource::Nofile, WORKER_FILES_MAX)?;
    // Does not bind root; the filter does.
    set_limit(Resource::Nproc, 0)?;
    set_limit(Resource::Memlock, 0)?;
    set_limit(Resource::Stack, WORKER_STACK_BYTES)?;
    limit_memory(HEAP_BYTES_MAX)
}

/// Allows address space for a vat's heap beyond what is mapped now.
pub(crate) fn limit_memory(heap_bytes_max: u64) -> io::Result<()> {
    let allowed = heap_bytes_max.min(HEAP_BYTES_MAX) + MEMORY_SLACK_BYTES;
    set_limit(Resource::Data, allowed)?;
    // Shared mappings are not data.
    set_limit(Resource::As, allowed + ZYGOTE_MAPPED_BYTES)
}

fn set_limit(resource: Resource, value: u64) -> io::Result<()> {
    // Somebody outside may have set a lower one, which stays.
    let hard = rustix::process::getrlimit(resource).maximum;
    let value = hard.map_or(value, |hard| hard.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

/// No capabilities, and nothing that could give any back; not open to debuggers of the same user.
pub(super) fn drop_all() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_no_new_privs(true)?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}
