//! Vats: the JavaScript engine, its hardened realm, our supervisor, and the processes they run in.

pub mod engine;
pub mod frame;
