//! /dev/fuse: read into slots. Beside a ring for what never comes by it; without one for everything.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::channel::{Channel, Wait};
use crate::device::Arrival;
use crate::error::{Error, Result};
use crate::kernel::{DeviceSide, Kernel};
use crate::ring::Waiting;
use crate::stats::add;

/// /dev/fuse and the mailbox's bell as one descriptor, for an event loop that watches one.
#[derive(Debug)]
pub(super) struct BothDescriptors {
    epoll: Epoll,
    /// Whether requests are watched for. The connection's end is in any case.
    requests: bool,
}

impl BothDescriptors {
    fn new(device: impl AsFd, bell: impl AsFd) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(device, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        epoll.add(bell, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        Ok(Self { epoll, requests: true })
    }

    /// Whether requests are watched for. A descriptor that stays readable while nobody can read it would keep the
    /// loop spinning.
    fn set_requests(&mut self, device: impl AsFd, requests: bool) -> Result<(), Errno> {
        if requests == self.requests {
            return Ok(());
        }
        self.requests = requests;
        let events = if requests { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        self.epoll.modify(device, &mut EpollEvent::new(events, 0))
    }
}

impl AsFd for BothDescriptors {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

impl<K: Kernel> Channel<K> {
    pub(super) fn start_device(&mut self) -> Result<()> {
        // A channel that is alone gets no letters.
        if self.waiting != Waiting::Enter && self.shared.post_office.is_shared() {
            let both = BothDescriptors::new(&*self.device, &*self.mailbox);
            self.both = Some(both.map_err(|errno| Error::Mailbox { errno })?);
        }
        Ok(())
    }

    pub(super) fn turn_device(&mut self, wait: Wait) -> Result<()> {
        self.receive_from_device()?;
        if wait == Wait::Block && self.has_nothing_to_tell() {
            self.wait_for_device()?;
            self.receive_from_device()?;
        }
        let requests = self.can_read_device();
        match &mut self.both {
            Some(both) => {
                both.set_requests(&*self.device, requests).map_err(|errno| Error::Mailbox { errno })
            }
            None => Ok(()),
        }
    }

    fn receive_from_device(&mut self) -> Result<()> {
        self.read_device()?;
        self.open_mail();
        self.find_interrupted()
    }

    fn wait_for_device(&self) -> Result<()> {
        let requests = if self.can_read_device() { PollFlags::POLLIN } else { PollFlags::empty() };
        let device = PollFd::new(self.device.as_fd(), requests);
        let bell = PollFd::new(self.mailbox.as_fd(), PollFlags::POLLIN);
        match poll(&mut [device, bell], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::Device { operation: "poll", errno, remedy: "the mount cannot go on" }),
        }
    }

    /// Whether there is a slot to read into, or can be.
    pub(super) fn can_read_device(&self) -> bool {
        !self.device_idle.is_empty() || self.device_queue.growth(self.depth) > 0
    }

    /// Reads requests from /dev/fuse into idle slots until there is none of either.
    pub(super) fn read_device(&mut self) -> Result<()> {
        let setxattr_ext = self.shared.agreement.setxattr_ext();
        loop {
            if self.add_device_slots(self.device_queue.growth(self.depth)).is_err() {
                self.device_queue.run_short();
            }
            let Some(slot) = self.device_idle.pop() else {
                // Nothing can be read, not even the end.
                if self.device.has_ended() {
                    self.end();
                }
                return Ok(());
            };
            let arrival = self.device.read(&self.slots, slot, setxattr_ext);
            if !matches!(arrival, Ok(Arrival::Request { .. })) {
                self.device_idle.push(slot);
            }
            match arrival {
                Ok(Arrival::Request { payload_length }) => {
                    add(&self.counters.device_requests, 1);
                    self.arrive(slot, payload_length);
                }
                Ok(Arrival::Garbled { unique }) => {
                    add(&self.counters.malformed, 1);
                    let _ = self.device.reply_bytes(unique, -(Errno::EIO as i32), &[]);
                }
                Ok(Arrival::Nothing) => {
                    self.device_readable = false;
                    return Ok(());
                }
                Ok(Arrival::Ended) => {
                    self.end();
                    return Ok(());
                }
                Err(errno) => {
                    return Err(Error::Device { operation: "read", errno, remedy: "the mount cannot go on" });
                }
            }
        }
    }
}
