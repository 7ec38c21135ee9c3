//! The door between a vat's engine and the rest: deliveries in, one report out, and the few
//! synchronous questions an engine may ask on the way. Only bytes and text pass.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use ocap_types::crank::{CrankReport, Delivery, Fault};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a vat runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VatCode {
    /// The `code` of a bundle in the reference's format (kernel.md section 18.5): a script that
    /// declares `__vatExports__`.
    Bundle(String),
    /// ES modules.
    Modules(ModuleGraph),
}

/// ES modules with every import already resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleGraph {
    /// The module that exports `buildRootObject`.
    pub entry: String,
    /// By name. Names are relative paths such as `main.js` or `lib/greet.js`, for stack traces.
    pub modules: BTreeMap<String, Module>,
}

/// One module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its text.
    pub source: String,
    /// Import specifiers as written, to module names. A specifier that is missing here names one of
    /// the runtime's built-in modules.
    pub imports: BTreeMap<String, String>,
}

/// A script made of a module and all it imports, in the bundle format of the reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    /// The script, which declares `__vatExports__`.
    pub code: String,
    /// What the module exports, sorted.
    pub exports: Vec<String>,
    /// What its author should know, each with its place.
    pub warnings: Vec<String>,
}

/// What is known of a vat's code in compiled form. Only bundles are compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compiled {
    /// Nothing, and nobody wants to know.
    #[default]
    Unknown,
    /// Nothing; [`UpCalls::compiled`] is to be told.
    Wanted,
    /// What [`UpCalls::compiled`] was told for the same code, by the same build of the engine.
    Known(Bytecode),
}

/// The engine's compiled form of a script. The engine believes what is in it: it may be loaded only
/// where the script itself may be run.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytecode(pub Arc<[u8]>);

impl fmt::Debug for Bytecode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytecode({} bytes)", self.0.len())
    }
}

impl Serialize for Bytecode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytecode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Bytecode;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytecode, E> {
                Ok(Bytecode(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Limits of one vat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Engine interrupts per crank.
    pub crank_ticks_max: u64,
    /// CPU time per crank, in milliseconds. Wall time may be twenty times that.
    pub crank_cpu_ms_max: u64,
    /// Heap, in bytes.
    pub heap_bytes_max: u64,
    /// Stack of the engine, in bytes.
    pub stack_bytes_max: u64,
    /// Syscalls per crank.
    pub crank_syscalls_max: u64,
    /// Bytes of syscalls and vatstore writes per crank.
    pub crank_bytes_max: u64,
}

/// What a worker is told before its first delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInit {
    /// The vat's id, for logs only; vat code cannot see it.
    pub vat: String,
    /// The vat's name in its cluster, for logs.
    pub name: String,
    /// Its code.
    pub code: VatCode,
    /// The same, compiled.
    pub compiled: Compiled,
    /// Host globals it asked for.
    pub globals: Vec<String>,
    /// Those any vat of this kernel may have; all if `None`.
    pub allowed_globals: Option<Vec<String>>,
    /// What it has of the host's platform.
    pub platform: Platform,
    /// Its limits.
    pub limits: Limits,
}

/// What of the host's platform a vat's config lets it use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Whether there is a list of hosts for `fetch`. The kernel holds requests against it.
    pub network: bool,
    /// Operations of the global `fs`; there is none without.
    pub files: Option<FileOperations>,
}

/// Operations of the global `fs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOperations {
    /// `existsSync`.
    pub exists: bool,
    /// `promises.readFile`.
    pub read: bool,
    /// `promises.access`.
    pub access: bool,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// `console.debug`.
    Debug,
    /// `console.info` and `console.log`.
    Info,
    /// `console.warn`.
    Warn,
    /// `console.error`.
    Error,
}

/// What an engine may ask during a crank. The answers about the store do not contain what this
/// crank itself has written: the engine keeps its own overlay.
pub trait UpCalls {
    /// The committed value of one of the vat's own keys.
    fn vatstore_get(&self, key: &str) -> Option<String>;
    /// The vat's first key greater than `prior` (bytewise).
    fn vatstore_next_key(&self, prior: &str) -> Option<String>;
    /// Whether there is a file, below the folder the vat's config names.
    fn exists(&self, path: &str) -> bool;
    /// A line for the kernel's log.
    fn log(&self, level: LogLevel, message: &str);
    /// The vat's code has been compiled, and none of it has run yet.
    fn compiled(&self, bytecode: Bytecode);
}

/// Answers imports while a module graph is collected.
pub trait ModuleSource {
    /// The module `specifier` means in `referrer` (empty for the entry itself): its name and text.
    /// `Ok(None)` if it is not a file, so that a built-in module may answer.
    fn load(&self, referrer: &str, specifier: &str) -> Result<Option<(String, String)>, String>;
}

/// An engine that has everything but a vat: what a zygote prepares before it forks.
pub trait PreparedEngine {
    /// Becomes one vat's engine. Vat code does not run before the `Start` delivery.
    fn into_vat(self: Box<Self>, init: WorkerInit, up: Rc<dyn UpCalls>) -> Box<dyn Engine>;
    /// Parses a module and all it imports, without running any of it. Errors name file and line.
    fn collect(
        self: Box<Self>,
        entry: &str,
        files: Rc<dyn ModuleSource>,
    ) -> Result<ModuleGraph, String>;
    /// Makes one script of a module and all it imports, without running any of it.
    fn bundle(self: Box<Self>, entry: &str, files: Rc<dyn ModuleSource>) -> Result<Bundle, String>;
    /// Parses a bundle's script, without running any of it.
    fn parse(self: Box<Self>, code: &str) -> Result<(), String>;
    /// Whether each module exports what others import of it, and the entry `buildRootObject`, without
    /// running any of them.
    fn link(self: Box<Self>, graph: ModuleGraph) -> Result<(), String>;
}

/// One vat's engine.
pub trait Engine {
    /// Runs one crank to quiescence. After a fault the engine is not used again.
    fn deliver(&mut self, delivery: Delivery) -> Result<CrankReport, Fault>;
}
