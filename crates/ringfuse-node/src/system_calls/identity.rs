//! Files made in the name of another user.

use std::cell::RefCell;

use napi_derive::napi;
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use super::{done, kernel};

/// `CAP_DAC_OVERRIDE`, `CAP_FOWNER`, `CAP_FSETID` and `CAP_MKNOD`: the caller's rights are checked by the kernel above,
/// with all of the caller's groups and capabilities, and not a second time without them.
const KEPT: u32 = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 27;

/// Nobody's id: a call that sets it changes nothing, and tells the present one.
const NOBODY: u32 = u32::MAX;

/// Who this thread was.
struct Before {
    uid: Uid,
    gid: Gid,
    capabilities: kernel::CapabilitySets,
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
    done(begin(uid, gid))
}

/// The thread is itself again.
#[napi]
pub fn end_identity() {
    restore();
}

/// The thread makes files as another user, as long as this lives.
pub(super) struct Identity(());

impl Identity {
    /// # Errors
    /// As [`begin_identity`].
    pub(super) fn of(uid: u32, gid: u32) -> nix::Result<Self> {
        begin(uid, gid).map(|()| Self(()))
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        restore();
    }
}

fn begin(uid: u32, gid: u32) -> nix::Result<()> {
    if BEFORE.with_borrow(Option::is_some) {
        return Err(Errno::EBUSY);
    }
    let capabilities = kernel::capget()?;
    let before =
        Before { gid: setfsgid(Gid::from_raw(gid)), uid: setfsuid(Uid::from_raw(uid)), capabilities };
    let taken =
        setfsgid(Gid::from_raw(NOBODY)).as_raw() == gid && setfsuid(Uid::from_raw(NOBODY)).as_raw() == uid;
    BEFORE.set(Some(before));
    // Another user than root loses the capabilities of files.
    let kept = if taken { kernel::capset(capabilities_kept(capabilities)?) } else { Err(Errno::EPERM) };
    kept.inspect_err(|_| restore())
}

/// The capabilities that are left, with those that are [`KEPT`] as far as they were in effect.
fn capabilities_kept(before: kernel::CapabilitySets) -> nix::Result<kernel::CapabilitySets> {
    Ok(kernel::capget()?.with(KEPT & before.effective()))
}

fn restore() {
    if let Some(Before { uid, gid, capabilities }) = BEFORE.take() {
        setfsuid(uid);
        setfsgid(gid);
        // What the thread had before, it may have.
        let _ = kernel::capset(capabilities);
    }
}
