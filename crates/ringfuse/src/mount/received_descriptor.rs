//! Descriptors that come over a socket.
#![expect(unsafe_code, reason = "nix gives received descriptors as numbers")]

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// Receives one descriptor over a socket, close-on-exec; nothing if the other side closes it without sending one.
///
/// # Errors
/// The errno of `recvmsg(2)`.
pub(super) fn receive(socket: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut control = cmsg_space!(RawFd);
    let message = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Err(Errno::EINTR) => {}
            result => break result?,
        }
    };
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = part
            && let [number, ..] = numbers[..]
        {
            // SAFETY: `recvmsg` has just made it for this process, and nobody else knows its number. There is no
            // other one: the buffer has room for one.
            return Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use nix::sys::socket::{AddressFamily, ControlMessage, SockFlag, SockType, sendmsg, socketpair};

    use super::*;

    fn sockets() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap()
    }

    #[test]
    fn a_descriptor_that_was_sent_is_received_close_on_exec() {
        let (ours, theirs) = sockets();
        let file = std::fs::File::open("/dev/null").unwrap();
        let rights = [file.as_raw_fd()];
        let message = [ControlMessage::ScmRights(&rights)];
        sendmsg::<()>(theirs.as_raw_fd(), &[IoSlice::new(b"x")], &message, MsgFlags::empty(), None).unwrap();
        let received = receive(&ours).unwrap().unwrap();
        assert_ne!(received.as_raw_fd(), file.as_raw_fd());
        assert_eq!(fcntl(&received, FcntlArg::F_GETFD), Ok(FdFlag::FD_CLOEXEC.bits()));
    }

    #[test]
    fn a_socket_that_is_closed_gives_nothing() {
        let (ours, theirs) = sockets();
        drop(theirs);
        assert!(receive(&ours).unwrap().is_none());
    }
}
