//! The control socket between a kernel and its zygote: datagrams, some with descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use crate::cage::CageReport;
use crate::limits::CONTROL_BYTES_MAX;

/// Kernel to zygote, with the worker's end of a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ToZygote {
    /// Fork a worker.
    Spawn,
}

/// Zygote to kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FromZygote {
    /// It is ready, or cannot be. The first message, and once.
    Ready(Result<CageReport, String>),
    /// Answer to `Spawn`: the worker's id (with a descriptor for it), or why there is none.
    Spawned(Result<i32, String>),
}

/// Sends one message, with at most one descriptor.
pub(crate) fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    passed: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    let Some(passed) = passed else {
        // The call that also a caged process may make.
        rustix::io::retry_on_intr(|| rustix::net::send(&socket, &bytes, SendFlags::NOSIGNAL))?;
        return Ok(());
    };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(&passed)));
    let bytes = [IoSlice::new(&bytes)];
    rustix::io::retry_on_intr(|| sendmsg(&socket, &bytes, &mut ancillary, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// Waits for one message. `None` if the other end is closed.
pub(crate) fn receive<T: for<'a> Deserialize<'a>>(
    socket: impl AsFd,
) -> io::Result<Option<(T, Option<OwnedFd>)>> {
    let mut bytes = [0; CONTROL_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let length = rustix::io::retry_on_intr(|| {
        let mut slices = [IoSliceMut::new(&mut bytes)];
        recvmsg(&socket, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?
    .bytes;
    let mut received = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            received = descriptors.last();
        }
    }
    if length == 0 {
        return Ok(None);
    }
    let message = postcard::from_bytes(&bytes[..length])
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Some((message, received)))
}
