//! A deterministic simulator of the kernel: the real core on the real store trait, with model vats,
//! hosts, services, channels and a disk that fails.
//!
//! A run is a function of its [`script`], a list of steps; a seed makes a script. After each step
//! the core's own walk over the store is to find nothing; on top of it [`model`] knows what every
//! vat may know and what became of every message, and is put back with the store at a crash. A
//! script that fails is shrunk ([`mod@shrink`]) and kept under `regressions/`.
//!
//! Modules, from the outside in: `jobs` plays many seeds at once, `run` one script; `world` is the kernel's surroundings, with
//! `crank`, `host`, `outside` and `commit` for what they do; `program` is what a model vat does in a
//! crank, `misdeed` what it may not do; `model` the truth; `coverage` what has been met, `hunt` how the
//! rest is.

#![forbid(unsafe_code)]

mod commit;
pub mod coverage;
mod crank;
mod disk;
mod host;
mod hunt;
pub mod jobs;
pub mod limits;
mod misdeed;
pub mod model;
mod outside;
mod program;
pub mod rng;
pub mod run;
pub mod script;
pub mod shrink;
mod state;
mod urls;
mod world;
