//! Notifications: messages to the kernel that answer no request, and the thread that sends them.
//!
//! Some wait in the kernel, for a page or an inode's lock that a request may hold which this very server is to
//! answer. So a serving thread must not write them itself: a [`Notifier`] has a thread of its own.

use std::sync::Arc;
use std::sync::mpsc;

use fuse_abi::{
    ExpireFlags, NotifyCode, NotifyDeleteOut, NotifyInvalEntryOut, NotifyInvalInodeOut, NotifyPollWakeupOut,
    NotifyPruneOut, NotifyRetrieveOut, NotifyStoreOut,
};
use nix::errno::Errno;
use zerocopy::{Immutable, IntoBytes};

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::kernel::DeviceSide;

/// A message to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    code: NotifyCode,
    body: Vec<u8>,
}

impl Notification {
    /// A notification of any kind, by its code and the bytes that follow the header.
    #[must_use]
    pub fn from_parts(code: NotifyCode, body: Vec<u8>) -> Self {
        Self { code, body }
    }

    fn new(code: NotifyCode, arguments: &(impl IntoBytes + Immutable), parts: &[&[u8]]) -> Self {
        let mut body = arguments.as_bytes().to_vec();
        for part in parts {
            body.extend_from_slice(part);
        }
        Self { code, body }
    }

    /// Whoever waits for a POLL request's `kh` is to ask again.
    #[must_use]
    pub fn poll(kh: u64) -> Self {
        Self::new(NotifyCode::Poll, &NotifyPollWakeupOut { kh }, &[])
    }

    /// Drops cached attributes of a node, and cached pages from `offset` on: `length` bytes, or to the end if it is
    /// 0. With a negative `offset`, only the attributes.
    #[must_use]
    pub fn inval_inode(ino: u64, offset: i64, length: i64) -> Self {
        Self::new(NotifyCode::InvalInode, &NotifyInvalInodeOut { ino, off: offset, len: length }, &[])
    }

    /// Drops a cached name.
    #[must_use]
    pub fn inval_entry(parent: u64, name: &[u8]) -> Self {
        Self::entry(parent, name, ExpireFlags::empty())
    }

    /// Lets a cached name be looked up again before it is next used, without unmounting what is below it.
    #[must_use]
    pub fn expire_entry(parent: u64, name: &[u8]) -> Self {
        Self::entry(parent, name, ExpireFlags::ONLY)
    }

    fn entry(parent: u64, name: &[u8], flags: ExpireFlags) -> Self {
        let arguments = NotifyInvalEntryOut { parent, namelen: length(name), flags: flags.bits() };
        Self::new(NotifyCode::InvalEntry, &arguments, &[name, b"\0"])
    }

    /// A name was removed, and whoever watches it is told.
    #[must_use]
    pub fn delete(parent: u64, child: u64, name: &[u8]) -> Self {
        let arguments = NotifyDeleteOut { parent, child, namelen: length(name), ..Default::default() };
        Self::new(NotifyCode::Delete, &arguments, &[name, b"\0"])
    }

    /// Puts bytes into the page cache of a node.
    #[must_use]
    pub fn store(nodeid: u64, offset: u64, data: &[u8]) -> Self {
        let arguments = NotifyStoreOut { nodeid, offset, size: length(data), ..Default::default() };
        Self::new(NotifyCode::Store, &arguments, &[data])
    }

    /// Asks for bytes of the page cache, which come as a `NOTIFY_REPLY` request with `unique` as its id.
    #[must_use]
    pub fn retrieve(unique: u64, nodeid: u64, offset: u64, size: u32) -> Self {
        let arguments =
            NotifyRetrieveOut { notify_unique: unique, nodeid, offset, size, ..Default::default() };
        Self::new(NotifyCode::Retrieve, &arguments, &[])
    }

    /// Lets the kernel send all requests again that were not answered. Linux 6.9.
    #[must_use]
    pub fn resend() -> Self {
        Self { code: NotifyCode::Resend, body: Vec::new() }
    }

    /// Lets all cached names be looked up again before they are next used. Linux 6.16.
    #[must_use]
    pub fn inc_epoch() -> Self {
        Self { code: NotifyCode::IncEpoch, body: Vec::new() }
    }

    /// Asks the kernel to forget nodes that nothing uses. Linux 6.18.
    #[must_use]
    pub fn prune(nodes: &[u64]) -> Self {
        let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
        Self::new(NotifyCode::Prune, &NotifyPruneOut { count, ..Default::default() }, &[nodes.as_bytes()])
    }

    pub(crate) fn send(&self, device: &impl DeviceSide) -> Outcome {
        // The code travels in the place of the error, with 0 for the request that it answers.
        let code = u32::from(self.code).cast_signed();
        match device.reply_bytes(0, code, &self.body) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// What became of a notification: true if the kernel acted on it, false if it does not know what it is about.
pub type Outcome = Result<bool, Errno>;

type Message = (Notification, Box<dyn FnOnce(Outcome) + Send>);

/// Sends a connection's notifications, one after the other, from a thread of its own.
#[derive(Debug)]
pub struct Notifier {
    sender: mpsc::Sender<Message>,
}

impl Notifier {
    /// Starts the thread. It ends when the notifier is dropped and all that was sent is done.
    ///
    /// # Errors
    /// [`Error::Thread`].
    pub fn new(connection: Arc<Connection>) -> Result<Self> {
        let (sender, receiver) = mpsc::channel::<Message>();
        std::thread::Builder::new()
            .name("ringfuse-notify".to_owned())
            .spawn(move || {
                for (notification, done) in receiver {
                    done(connection.notify(&notification));
                }
            })
            .map_err(Error::Thread)?;
        Ok(Self { sender })
    }

    /// Sends a notification; `done` runs on the notifier's thread.
    pub fn send(&self, notification: Notification, done: impl FnOnce(Outcome) + Send + 'static) {
        if let Err(mpsc::SendError((_, done))) = self.sender.send((notification, Box::new(done))) {
            done(Err(Errno::ENODEV));
        }
    }
}

impl Connection {
    /// Sends a notification. This may wait until requests are answered: see [`Notifier`] for serving threads.
    ///
    /// # Errors
    /// The errno of `write(2)`: ENODEV if the connection ended, EINVAL if the kernel does not know the kind.
    pub fn notify(&self, notification: &Notification) -> Outcome {
        notification.send(self.device())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_with_its_length_and_a_nul() {
        let Notification { code, body } = Notification::delete(1, 2, b"name");
        assert_eq!(code, NotifyCode::Delete);
        assert_eq!(body.len(), size_of::<NotifyDeleteOut>() + 5);
        assert!(body.ends_with(b"name\0"));
    }

    #[test]
    fn a_list_of_nodes_goes_with_its_count() {
        let Notification { body, .. } = Notification::prune(&[7, 8]);
        assert_eq!(body.len(), size_of::<NotifyPruneOut>() + 16);
        assert_eq!(body[0], 2);
    }
}
