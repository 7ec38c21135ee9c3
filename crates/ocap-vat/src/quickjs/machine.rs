//! One engine instance and its orderly end.

use std::cell::Cell;
use std::rc::Rc;

use rquickjs::{Context, Ctx, Runtime, qjs};

use super::code;
use super::errors::caught;
use super::limits::{
    COLLECT_HEAP_BYTES_MAX, COLLECT_STACK_BYTES, GC_FLOOR_BYTES, GC_FLOOR_HEAP_PARTS,
    STACK_BYTES_MAX, STACK_BYTES_MIN,
};
use super::memory::{Memory, MeteredAllocator};
use super::meter::Meter;
use super::modules::{self, Modules, Purpose};
use super::shared::Shared;
use super::supervisor::Supervisor;
use crate::engine::{Bundle, Limits, ModuleGraph, ModuleSource};
use crate::realm;

/// Runtime, context and what was installed in them.
pub(super) struct Machine {
    /// `None` only while it is dropped.
    engine: Option<(Runtime, Context)>,
    supervisor: Option<Supervisor>,
    memory: Rc<Memory>,
    /// Heap, in bytes, below which garbage is not looked for during a crank; 0 until there is a vat.
    gc_floor_bytes: Cell<usize>,
    pub(super) shared: Rc<Shared>,
}

impl Machine {
    pub(super) fn new() -> Result<Self, String> {
        let memory = Memory::new();
        let failed = |error: rquickjs::Error| format!("the engine does not start: {error}");
        let runtime = Runtime::new_with_alloc(MeteredAllocator(memory.clone())).map_err(failed)?;
        runtime.set_max_stack_size(COLLECT_STACK_BYTES);
        let context = Context::full(&runtime).map_err(failed)?;
        let shared = Rc::new(Shared::new(Meter::new(memory.clone())));
        let tracked = shared.clone();
        runtime.set_host_promise_rejection_tracker(Some(Box::new(
            move |ctx, promise, reason, is_handled| {
                tracked.track_rejection(&ctx, promise, reason, is_handled);
            },
        )));
        runtime.set_loader(Modules(shared.clone()), Modules(shared.clone()));
        let engine = Some((runtime, context));
        let mut machine =
            Machine { engine, supervisor: None, memory, gc_floor_bytes: Cell::new(0), shared };
        let supervisor = machine.with(|ctx, shared| {
            realm::install(ctx)
                .and_then(|()| Supervisor::install(ctx, shared))
                .map_err(|error| format!("the engine's own scripts fail: {}", caught(ctx, &error)))
        })?;
        machine.supervisor = Some(supervisor);
        Ok(machine)
    }

    /// Runs `f` with the engine, from the stack of now: the engine may have been made on another
    /// thread's, or deeper.
    #[allow(clippy::expect_used)] // both are there until the drop
    pub(super) fn with<R>(&self, f: impl FnOnce(&Ctx<'_>, &Rc<Shared>) -> R) -> R {
        let (_, context) = self.engine.as_ref().expect("not dropped");
        context.with(|ctx| {
            // SAFETY: the context is alive and so is its runtime.
            let runtime = unsafe {
                let runtime = qjs::JS_GetRuntime(ctx.as_raw().as_ptr());
                qjs::JS_UpdateStackTop(runtime);
                runtime
            };
            // SAFETY: as above.
            unsafe { raise_gc_threshold(runtime, self.gc_floor_bytes.get()) };
            f(&ctx, &self.shared)
        })
    }

    /// The supervisor's functions.
    #[allow(clippy::expect_used)] // set by `new`
    pub(super) fn supervisor(&self) -> &Supervisor {
        self.supervisor.as_ref().expect("installed")
    }

    /// From now on this is one vat's, with these limits.
    pub(super) fn limit(&self, limits: &Limits) {
        if let Some((runtime, context)) = &self.engine {
            let raw = context.get_runtime_ptr();
            let stack = usize::try_from(limits.stack_bytes_max).unwrap_or(usize::MAX);
            runtime.set_max_stack_size(stack.clamp(STACK_BYTES_MIN, STACK_BYTES_MAX));
            let shared = self.shared.clone();
            runtime.set_interrupt_handler(Some(Box::new(move || {
                if let Some(bytes) = shared.meter.collect_at() {
                    // SAFETY: the runtime is alive, since it calls this.
                    unsafe { lower_gc_threshold(raw, bytes) };
                }
                shared.meter.on_interrupt()
            })));
        }
        let heap = usize::try_from(limits.heap_bytes_max).unwrap_or(usize::MAX);
        self.gc_floor_bytes.set(GC_FLOOR_BYTES.min(heap / GC_FLOOR_HEAP_PARTS));
        self.shared.meter.limit(limits);
    }

    pub(super) fn collect(
        &self,
        entry: &str,
        files: &dyn ModuleSource,
    ) -> Result<ModuleGraph, String> {
        self.read(|ctx, shared| modules::collect(shared, ctx, entry, files, Purpose::Run))
    }

    pub(super) fn bundle(&self, entry: &str, files: &dyn ModuleSource) -> Result<Bundle, String> {
        self.read(|ctx, shared| modules::bundle(shared, ctx, entry, files))
    }

    pub(super) fn parse(&self, code: &str) -> Result<(), String> {
        self.read(|ctx, _| code::parse(ctx, code))
    }

    pub(super) fn link(&self, graph: ModuleGraph) -> Result<(), String> {
        self.read(|ctx, shared| code::link(ctx, shared, graph))
    }

    /// Reads code without running it, within the limits for that.
    fn read<T>(
        &self,
        read: impl FnOnce(&Ctx<'_>, &Rc<Shared>) -> Result<T, String>,
    ) -> Result<T, String> {
        self.memory.limit(COLLECT_HEAP_BYTES_MAX);
        let result = self.with(read);
        if self.memory.is_exhausted() {
            return Err(format!(
                "the modules need more than {COLLECT_HEAP_BYTES_MAX} bytes of memory"
            ));
        }
        result
    }
}

/// The engine sets its threshold to half as much again as a collection has left, which for a small
/// heap means a collection of the whole realm every few hundred messages.
///
/// # Safety
/// `runtime` must be alive.
unsafe fn raise_gc_threshold(runtime: *mut qjs::JSRuntime, bytes: usize) {
    let bytes = bytes as qjs::size_t;
    // SAFETY: alive; both only touch a number.
    unsafe {
        if qjs::JS_GetGCThreshold(runtime) < bytes {
            qjs::JS_SetGCThreshold(runtime, bytes);
        }
    }
}

/// # Safety
/// `runtime` must be alive.
unsafe fn lower_gc_threshold(runtime: *mut qjs::JSRuntime, bytes: usize) {
    let bytes = bytes as qjs::size_t;
    // SAFETY: alive; both only touch a number.
    unsafe {
        if qjs::JS_GetGCThreshold(runtime) > bytes {
            qjs::JS_SetGCThreshold(runtime, bytes);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The engine aborts the process if a value of its outlives it.
        self.supervisor = None;
        self.shared.clear();
        let engine = self.engine.take();
        // Interrupted code may have left values behind; such an engine is better leaked.
        if self.shared.meter.is_faulted() {
            std::mem::forget(engine);
        }
    }
}
