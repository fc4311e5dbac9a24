//! What a forked child closes before it does anything else.
//!
//! Close-on-exec is not enough: between `fork` and `exec` a child holds /dev/fuse and the rings of its parent. It may
//! wait there for a mount that the parent serves, because its program or working directory is inside it. If the parent
//! is killed then, the connection would not end, as the child holds it; and no signal ends the child, as it waits for
//! an answer of that connection.
//!
//! The handler runs in children of `fork(3)`, which is how libuv and `std::process` start programs. Children of
//! `vfork(2)` and `posix_spawn(3)` do not run it.
#![expect(unsafe_code, reason = "pthread_atfork(3)")]

use std::cell::Cell;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

/// A place for a descriptor that is free.
const FREE: RawFd = -1;

/// A place for a descriptor. Places are never freed, so that a child may walk along them at any moment.
struct Place {
    descriptor: AtomicI32,
    next: *const Place,
}

/// The place that was made last.
static LAST: AtomicPtr<Place> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// Whether the calling thread has a table of descriptors of its own, where the numbers mean something else.
    static OWN_TABLE: Cell<bool> = const { Cell::new(false) };
}

/// Children close a descriptor, as long as this lives. It must be dropped before the descriptor is closed: another
/// file may have the number after that.
#[derive(Debug)]
pub(crate) struct ClosedInChildren(&'static AtomicI32);

impl ClosedInChildren {
    /// From now on, children close `descriptor`.
    pub(crate) fn of(descriptor: BorrowedFd<'_>) -> Self {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            // SAFETY: the handler is a function of this module, which is never unloaded (`-z nodelete`). It does
            // nothing but loads of atomics and close(2), which a child of a process with threads may do
            // (signal-safety(7)).
            unsafe { libc::pthread_atfork(None, None, Some(close_in_child)) };
        });
        Self(take_place(descriptor.as_raw_fd()))
    }
}

impl Drop for ClosedInChildren {
    fn drop(&mut self) {
        self.0.store(FREE, Ordering::Release);
    }
}

/// Notes that the calling thread has a table of descriptors of its own, for its whole life.
pub(crate) fn table_is_own() {
    OWN_TABLE.set(true);
}

/// All places.
fn places() -> impl Iterator<Item = &'static Place> {
    let mut next = LAST.load(Ordering::Acquire).cast_const();
    std::iter::from_fn(move || {
        // SAFETY: null, or a place that was leaked by `take_place`, complete since before it was published.
        let place: &'static Place = unsafe { next.as_ref() }?;
        next = place.next;
        Some(place)
    })
}

fn take_place(descriptor: RawFd) -> &'static AtomicI32 {
    let take = |place: &&Place| {
        place.descriptor.compare_exchange(FREE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    };
    if let Some(place) = places().find(take) {
        return &place.descriptor;
    }
    let place = Box::leak(Box::new(Place { descriptor: AtomicI32::new(descriptor), next: ptr::null() }));
    let mut last = LAST.load(Ordering::Acquire);
    loop {
        place.next = last;
        match LAST.compare_exchange_weak(last, place, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return &place.descriptor,
            Err(newer) => last = newer,
        }
    }
}

/// In a child, on its only thread.
extern "C" fn close_in_child() {
    if OWN_TABLE.get() {
        return;
    }
    for place in places() {
        let descriptor = place.descriptor.swap(FREE, Ordering::Relaxed);
        if descriptor != FREE {
            // SAFETY: takes a number. It is the child's copy of a descriptor that the parent still has; nothing in
            // the child uses it.
            unsafe { libc::close(descriptor) };
        }
    }
}
