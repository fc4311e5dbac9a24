//! Acting in the name of another user: files made as theirs, and files changed with no more than their rights.

use std::cell::RefCell;

use napi_derive::napi;
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use super::{done, kernel};
use crate::javascript_bytes::Bytes;

/// `CAP_DAC_OVERRIDE`, `CAP_FOWNER`, `CAP_FSETID` and `CAP_MKNOD`: the caller's rights are checked by the kernel above,
/// with all of the caller's groups and capabilities, and not a second time without them.
const KEPT: u32 = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 27;

/// What a user other than root loses of the capabilities (`CAP_FS_MASK` of Linux, its first 32): `CAP_CHOWN`,
/// `CAP_DAC_OVERRIDE`, `CAP_DAC_READ_SEARCH`, `CAP_FOWNER`, `CAP_FSETID`, `CAP_LINUX_IMMUTABLE`, `CAP_MKNOD`.
const OF_FILES: u32 = 0b1_1111 | 1 << 9 | 1 << 27;

/// Nobody's id: a call that sets it changes nothing, and tells the present one.
const NOBODY: u32 = u32::MAX;

/// Who this thread was.
struct Before {
    uid: Uid,
    gid: Gid,
    capabilities: kernel::CapabilitySets,
    /// The supplementary groups, if they were changed.
    groups: Option<Vec<u32>>,
}

thread_local! {
    static BEFORE: RefCell<Option<Before>> = const { RefCell::new(None) };
}

/// What this thread makes from now on is `uid`'s and `gid`'s, until `end_identity`.
///
/// # Errors
/// EPERM if this process may not do so, EBUSY if it is somebody else already.
#[napi]
#[must_use]
pub fn begin_identity(uid: u32, gid: u32) -> i32 {
    done(begin(uid, gid, None, KEPT))
}

/// This thread acts as `uid` and `gid` with supplementary `groups` (of 32 bits each, in the machine's order), until
/// `end_identity`. Of the capabilities of files those in the mask `kept` stay in effect.
///
/// # Errors
/// As [`begin_identity`].
#[napi]
#[must_use]
pub fn begin_caller(uid: u32, gid: u32, groups: Bytes<'_>, kept: u32) -> i32 {
    done(begin(uid, gid, Some(words(groups)), kept))
}

/// Numbers of 32 bits each, in the machine's order.
fn words(bytes: Bytes<'_>) -> Vec<u32> {
    (0..bytes.len() / size_of::<u32>()).map_while(|at| bytes.word32(at * size_of::<u32>())).collect()
}

/// The thread is itself again.
#[napi]
pub fn end_identity() {
    restore();
}

/// A user, with supplementary groups and the capabilities of files that stay in effect.
#[derive(Debug)]
pub(super) struct User {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    kept: u32,
}

impl User {
    /// A user as JavaScript names it; none if `uid` is negative.
    ///
    /// # Errors
    /// EINVAL if an id has more than 32 bits.
    pub(super) fn new(uid: i64, gid: i64, groups: Bytes<'_>, kept: u32) -> nix::Result<Option<Self>> {
        if uid < 0 {
            return Ok(None);
        }
        let id = |id: i64| u32::try_from(id).map_err(|_| Errno::EINVAL);
        Ok(Some(Self { uid: id(uid)?, gid: id(gid)?, groups: words(groups), kept }))
    }
}

/// The thread makes files as another user, as long as this lives.
pub(super) struct Identity(());

impl Identity {
    /// # Errors
    /// As [`begin_caller`].
    pub(super) fn of(User { uid, gid, groups, kept }: User) -> nix::Result<Self> {
        begin(uid, gid, Some(groups), kept).map(|()| Self(()))
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        restore();
    }
}

fn begin(uid: u32, gid: u32, groups: Option<Vec<u32>>, kept: u32) -> nix::Result<()> {
    if BEFORE.with_borrow(Option::is_some) {
        return Err(Errno::EBUSY);
    }
    let capabilities = kernel::capget()?;
    let own_groups = match groups {
        Some(groups) => {
            let own = kernel::getgroups()?;
            kernel::setgroups(&groups)?;
            Some(own)
        }
        None => None,
    };
    let before = Before {
        gid: setfsgid(Gid::from_raw(gid)),
        uid: setfsuid(Uid::from_raw(uid)),
        capabilities,
        groups: own_groups,
    };
    let taken =
        setfsgid(Gid::from_raw(NOBODY)).as_raw() == gid && setfsuid(Uid::from_raw(NOBODY)).as_raw() == uid;
    let is_exact = before.groups.is_some();
    BEFORE.set(Some(before));
    let set = || {
        if !taken {
            return Err(Errno::EPERM);
        }
        // Another user than root has lost the capabilities of files; root has not.
        let left = kernel::capget()?.with(kept & capabilities.effective());
        kernel::capset(if is_exact { left.without(OF_FILES & !kept) } else { left })
    };
    set().inspect_err(|_| restore())
}

fn restore() {
    if let Some(Before { uid, gid, capabilities, groups }) = BEFORE.take() {
        setfsuid(uid);
        setfsgid(gid);
        // What the thread had before, it may have.
        let _ = kernel::capset(capabilities);
        if let Some(groups) = groups {
            let _ = kernel::setgroups(&groups);
        }
    }
}
