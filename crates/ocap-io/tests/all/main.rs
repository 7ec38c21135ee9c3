//! Channels against real sockets, files and pipes.

mod console;
mod faults;
mod pressure;
mod rig;
mod serving;
