//! The io_uring that carries FUSE: its flags, its submissions, its completions.
#![expect(unsafe_code, reason = "hands slot memory to the kernel through submission entries")]

use std::collections::VecDeque;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{Ordering, fence};

use fuse_abi::{UringCmd, UringCmdReq};
use io_uring::squeue::Entry128;
use io_uring::{EnterFlags, IoUring, cqueue, opcode, types};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zerocopy::IntoBytes;

use crate::device::Device;
use crate::error::{Error, Result, RingUnavailable};
use crate::forked::ClosedInChildren;
use crate::kernel::RingSide;
use crate::slot::{SlotIndex, Slots};

/// Offset of `len` in `struct io_uring_sqe`: for FUSE's REGISTER, the number of iovecs at `addr`.
const SQE_LEN: usize = 24;

/// How long [`RingSide::close`] waits at most.
const CLOSE_MILLISECONDS: u16 = 5000;

/// The fuse device's index in the ring's table of fixed files.
const DEVICE: types::Fixed = types::Fixed(0);

/// How the thread that owns the ring waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// In an event loop that polls the ring's fd. Task work interrupts the loop's wait
    /// (`COOP_TASKRUN`); with `DEFER_TASKRUN` the fd would never become readable.
    EventLoop,
    /// In an event loop that polls an eventfd (`DEFER_TASKRUN`, `IORING_REGISTER_EVENTFD`): a request that comes alone takes
    /// a system call more, but another thread can take the ring from one that is stuck in the kernel. Requests that
    /// wait for its task work are then ended by the kernel's worker (`io_move_task_work_from_local`). Without
    /// `DEFER_TASKRUN` they wait for that thread for ever, and nothing ends them, no abort and no SIGKILL.
    Eventfd,
    /// In `io_uring_enter` itself (`DEFER_TASKRUN`).
    Enter,
}

/// What a ring watches besides its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// /dev/fuse, for requests that do not come by the ring.
    Device,
    /// The bell of the channel's mailbox.
    Mailbox,
}

/// What a completion belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// A slot's REGISTER or COMMIT_AND_FETCH.
    Slot(SlotIndex),
    /// The watch on a file descriptor.
    Watch(Watched),
}

const WATCH_DEVICE: u64 = 1 << 32;
const WATCH_MAILBOX: u64 = 2 << 32;

impl Token {
    fn encode(self) -> u64 {
        match self {
            Self::Slot(slot) => u64::from(slot),
            Self::Watch(Watched::Device) => WATCH_DEVICE,
            Self::Watch(Watched::Mailbox) => WATCH_MAILBOX,
        }
    }

    fn decode(user_data: u64) -> Self {
        match u32::try_from(user_data) {
            Ok(slot) => Self::Slot(slot),
            Err(_) if user_data == WATCH_DEVICE => Self::Watch(Watched::Device),
            Err(_) => Self::Watch(Watched::Mailbox),
        }
    }
}

/// One completion.
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    /// What it belongs to.
    pub token: Token,
    /// 0 or more on success, otherwise a negative errno.
    pub result: i32,
    /// Whether the watch goes on (`IORING_CQE_F_MORE`).
    pub more: bool,
}

/// An io_uring of 128-byte entries that only one thread may submit to (`SINGLE_ISSUER`): the one that calls
/// [`Ring::adopt`].
pub struct Ring {
    /// Before `uring`, and so dropped before it.
    closed_in_children: ClosedInChildren,
    uring: IoUring<Entry128>,
    /// Entries that found the submission queue full, as a clamped ring's can be. They go with the next calls.
    backlog: VecDeque<Entry128>,
    /// What REGISTER points to: kept as long as the ring, as the kernel may look at it late.
    iovecs: Box<[[libc::iovec; 2]]>,
    /// The end of a pipe whose other end only the kernel's part of the ring has: it hangs up when that is gone, some
    /// time after the ring is closed.
    grave: PipeReader,
}

// SAFETY: the raw pointers in `iovecs` only go to the kernel; moving the ring to the thread that will own it
// moves no memory that they point to.
unsafe impl Send for Ring {}

impl std::fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ring").field("fd", &self.uring.as_raw_fd()).finish_non_exhaustive()
    }
}

impl Ring {
    /// Makes a ring for up to `slots` slots, `usual` of which may be submitted at once without a detour.
    ///
    /// # Errors
    /// [`Error::Ring`] if io_uring is forbidden or lacks what FUSE needs.
    fn for_device(
        slots: usize,
        usual: usize,
        waiting: Waiting,
        device: &impl AsFd,
        watcher: Option<BorrowedFd<'_>>,
    ) -> Result<Self> {
        let entries = u32::try_from(usual + 1).unwrap_or(u32::MAX).next_power_of_two();
        let mut builder = IoUring::<Entry128, cqueue::Entry>::builder();
        builder.dontfork().setup_clamp().setup_submit_all().setup_single_issuer().setup_r_disabled();
        // The flag shows task work to who polls, in either mode.
        builder.setup_taskrun_flag();
        match waiting {
            Waiting::EventLoop => builder.setup_coop_taskrun(),
            Waiting::Eventfd | Waiting::Enter => builder.setup_defer_taskrun(),
        };
        let uring = builder.build(entries).map_err(|error| unavailable(&error))?;
        let (grave, life) = io::pipe().map_err(|error| unavailable(&error))?;
        let mut files = vec![device.as_fd().as_raw_fd(), life.as_raw_fd()];
        files.extend(watcher.map(|watcher| watcher.as_raw_fd()));
        uring.submitter().register_files(&files).map_err(|error| unavailable(&error))?;
        check_enter(&uring)?;
        let nothing = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let iovecs = vec![[nothing; 2]; slots].into_boxed_slice();
        // SAFETY: the ring's own descriptor, which is open as long as the ring.
        let closed_in_children = ClosedInChildren::of(unsafe { BorrowedFd::borrow_raw(uring.as_raw_fd()) });
        Ok(Self { closed_in_children, uring, backlog: VecDeque::new(), iovecs, grave })
    }

    fn push_command(
        &mut self,
        command: UringCmd,
        queue: u16,
        slot: SlotIndex,
        commit_id: u64,
        iovecs: Option<u64>,
    ) {
        let request = UringCmdReq { commit_id, qid: queue, ..UringCmdReq::default() };
        let mut area = [0; 80];
        area[..size_of::<UringCmdReq>()].copy_from_slice(request.as_bytes());
        let mut entry = opcode::UringCmd80::new(DEVICE, command as u32)
            .cmd(area)
            .addr(iovecs)
            .build()
            .user_data(Token::Slot(slot).encode());
        if iovecs.is_some() {
            set_length(&mut entry, 2);
        }
        self.push(entry);
    }

    fn push(&mut self, entry: Entry128) {
        self.backlog.push_back(entry);
        self.fill();
    }

    /// Moves the backlog into the submission queue, as far as there is room.
    fn fill(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            // SAFETY: the entry points to nothing, or (REGISTER) to iovecs that live as long as the ring and name
            // slot memory, which outlives the ring: see `Channel`'s field order.
            let pushed = unsafe { self.uring.submission().push(&entry) };
            if pushed.is_err() {
                return self.backlog.push_front(entry);
            }
        }
    }
}

/// Whether a ring that is not enabled can be entered: a seccomp profile may forbid that alone.
fn check_enter(uring: &IoUring<Entry128>) -> Result<()> {
    // SAFETY: nothing is submitted, and no argument beyond the numbers is passed.
    let entered = unsafe { uring.submitter().enter::<libc::sigset_t>(0, 0, 0, None) };
    match entered {
        Err(error) if error.raw_os_error() != Some(libc::EBADFD) => Err(unavailable(&error)),
        _ => Ok(()),
    }
}

impl RingSide for Ring {
    type Device = Device;

    fn new(slots: usize, usual: usize, waiting: Waiting, device: &Device) -> Result<Self> {
        Self::for_device(slots, usual, waiting, device, device.watcher())
    }

    fn adopt(&self) -> Result<()> {
        let enabled = self.uring.submitter().register_enable_rings();
        enabled.map_err(|source| Error::IoUring { operation: "enable the ring", source })
    }

    fn signal(&self, eventfd: BorrowedFd<'_>) -> Result<()> {
        let registered = self.uring.submitter().register_eventfd(eventfd.as_raw_fd());
        registered.map_err(|source| Error::IoUring { operation: "register an eventfd", source })
    }

    fn set_quiet(&mut self, quiet: bool) {
        let completions = self.uring.completion();
        if quiet {
            completions.disable_eventfd();
        } else {
            completions.enable_eventfd();
            // The kernel puts its work down before it looks at the flag.
            fence(Ordering::SeqCst);
        }
    }

    fn register(&mut self, queue: u16, slot: SlotIndex, slots: &Slots) {
        let header = libc::iovec {
            iov_base: slots.header_address(slot).cast(),
            iov_len: size_of::<fuse_abi::UringReqHeader>(),
        };
        let payload =
            libc::iovec { iov_base: slots.payload_address(slot).cast(), iov_len: slots.payload_size() };
        let iovecs = &mut self.iovecs[slot as usize];
        *iovecs = [header, payload];
        let address = iovecs.as_ptr() as u64;
        self.push_command(UringCmd::Register, queue, slot, 0, Some(address));
    }

    fn commit(&mut self, queue: u16, slot: SlotIndex, commit_id: u64) {
        self.push_command(UringCmd::CommitAndFetch, queue, slot, commit_id, None);
    }

    fn watch(&mut self, watched: Watched, fd: BorrowedFd<'_>) {
        let poll = opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), libc::POLLIN as u32).multi(true).build();
        self.push(Entry128::from(poll.user_data(Token::Watch(watched).encode())));
    }

    fn enter(&mut self, minimum: u32) -> Result<bool> {
        loop {
            self.fill();
            let more = !self.backlog.is_empty();
            let submitted = u32::try_from(self.uring.submission().len()).unwrap_or(u32::MAX);
            // SAFETY: no argument beyond the numbers is passed; submitted entries are vouched for in `fill`.
            let entered = unsafe {
                self.uring.submitter().enter::<libc::sigset_t>(
                    submitted,
                    if more { 0 } else { minimum },
                    EnterFlags::GETEVENTS.bits(),
                    None,
                )
            };
            match entered {
                // There is room now.
                Ok(taken) if more && taken > 0 => {}
                Ok(_) => return Ok(!more),
                Err(error) => {
                    return match error.raw_os_error() {
                        // EINTR: a signal; EAGAIN, EBUSY: the kernel is short of memory or completions wait to be
                        // taken.
                        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(false),
                        _ => Err(Error::IoUring { operation: "io_uring_enter", source: error }),
                    };
                }
            }
        }
    }

    fn has_submissions(&mut self) -> bool {
        !self.backlog.is_empty() || !self.uring.submission().is_empty()
    }

    fn has_completions(&mut self) -> bool {
        // What overflowed the completion queue comes into it with a call only, and keeps the fd readable until then:
        // a watch has a completion for each wake-up, as many as there are system calls of this thread meanwhile.
        let waits_for_call = {
            let submission = self.uring.submission();
            submission.taskrun() || submission.cq_overflow()
        };
        waits_for_call || !self.uring.completion().is_empty()
    }

    fn next(&mut self) -> Option<Completion> {
        let entry = self.uring.completion().next()?;
        Some(Completion {
            token: Token::decode(entry.user_data()),
            result: entry.result(),
            more: cqueue::more(entry.flags()),
        })
    }

    fn close(self) {
        let Self { closed_in_children, uring, backlog: _, iovecs, grave } = self;
        drop(closed_in_children);
        drop(uring);
        let limit = PollTimeout::from(CLOSE_MILLISECONDS);
        // If it takes longer, requests that are given to the old ring meanwhile end with ECANCELED; nothing else.
        let _ = poll(&mut [PollFd::new(grave.as_fd(), PollFlags::empty())], limit);
        drop(iovecs);
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.uring.as_raw_fd()
    }
}

/// Sets `len`, which the crate's builder of URING_CMD leaves at 0.
fn set_length(entry: &mut Entry128, length: u32) {
    let bytes = (&raw mut *entry).cast::<u8>();
    // SAFETY: `Entry128` is `repr(C)` over a 128-byte `struct io_uring_sqe`, so the offset is inside of it.
    let field = unsafe { bytes.add(SQE_LEN) };
    // SAFETY: `field` points to the 4 bytes of `len`, exclusively borrowed through `entry`.
    unsafe { field.cast::<u32>().write_unaligned(length) }
}

/// Tests whether a ring can be made with the flags that mounts use.
///
/// # Errors
/// [`Error::Ring`], with what `io_uring_setup(2)` said.
pub fn probe_io_uring() -> Result<()> {
    let somewhere = std::fs::File::open("/dev/null").map_err(|error| unavailable(&error))?;
    Ring::for_device(1, 1, Waiting::Eventfd, &somewhere, None).map(drop)
}

fn unavailable(source: &io::Error) -> Error {
    Error::Ring(RingUnavailable::IoUring(Errno::from_raw(source.raw_os_error().unwrap_or(libc::EIO))))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::BorrowedFd;

    use super::*;

    #[test]
    fn entries_beyond_the_queue_wait_for_the_call_that_takes_them() {
        const WATCHES: usize = 20;
        let device = std::fs::File::open("/dev/null").unwrap();
        let Ok(mut ring) = Ring::for_device(1, 1, Waiting::EventLoop, &device, None) else {
            return eprintln!("not tested: there is no io_uring here");
        };
        let (bell, mut ringer) = io::pipe().unwrap();
        // The queue has room for 2, and nothing can be submitted before the ring is adopted.
        for _ in 0..WATCHES {
            ring.watch(Watched::Device, bell.as_fd());
        }
        assert!(ring.has_submissions());
        assert!(ring.enter(0).is_err());
        ring.adopt().unwrap();
        assert!(ring.enter(0).unwrap());
        assert!(!ring.has_submissions());
        ringer.write_all(&[0]).unwrap();
        let mut taken = 0;
        while ring.has_completions() {
            ring.enter(0).unwrap();
            taken += std::iter::from_fn(|| ring.next()).count();
        }
        assert_eq!(taken, WATCHES);
    }

    #[test]
    fn completions_that_overflow_the_queue_are_had_all_the_same() {
        const WAKE_UPS: usize = 100;
        let device = std::fs::File::open("/dev/null").unwrap();
        let Ok(mut ring) = Ring::for_device(1, 1, Waiting::EventLoop, &device, None) else {
            return eprintln!("not tested: there is no io_uring here");
        };
        ring.adopt().unwrap();
        let (bell, mut ringer) = io::pipe().unwrap();
        ring.watch(Watched::Device, bell.as_fd());
        ring.enter(0).unwrap();
        // Each write wakes the watch, and has its completion when the call returns: the queue has room for 4.
        for _ in 0..WAKE_UPS {
            ringer.write_all(&[0]).unwrap();
        }

        let mut taken = 0;
        while ring.has_completions() {
            ring.enter(0).unwrap();
            while let Some(completion) = ring.next() {
                assert_eq!(completion.token, Token::Watch(Watched::Device));
                taken += 1;
            }
            assert!(taken <= WAKE_UPS, "completions do not end");
        }
        assert!(taken > 4, "nothing overflowed: {taken}");
        // SAFETY: the ring has its fd open until it is dropped, after the last use.
        let fd = unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) };
        let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, PollTimeout::ZERO), Ok(0), "the ring is readable, and has nothing");
    }
}
