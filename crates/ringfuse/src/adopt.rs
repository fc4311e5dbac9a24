//! Connections that somebody else made: a supervisor, a container's runtime, a storage driver opened /dev/fuse,
//! mounted it, and passed the descriptor on.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat, major, minor};

use crate::connection::{Handshake, read_init};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::kernel::DeviceSide;
use crate::mount::Mount;
use crate::negotiate::{Agreement, Wanted};

/// Device number of /dev/fuse: `MISC_MAJOR` and `FUSE_MINOR`.
const FUSE_DEVICE: (u64, u64) = (10, 229);

/// Finds out whether a descriptor is an open /dev/fuse, without reading from it.
///
/// # Errors
/// [`Error::Descriptor`].
pub fn check_descriptor(descriptor: BorrowedFd<'_>) -> Result<()> {
    let refuse = |errno, problem| Err(refusal(descriptor, errno, problem));
    match fstat(descriptor) {
        Err(errno) => refuse(errno, "it is not open"),
        Ok(found) => {
            let is_device = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
            if is_device && (major(found.st_rdev), minor(found.st_rdev)) == FUSE_DEVICE {
                Ok(())
            } else {
                refuse(
                    Errno::ENODEV,
                    "it is no open /dev/fuse: see which number the descriptor was passed as",
                )
            }
        }
    }
}

impl Handshake {
    /// Reads FUSE_INIT from a connection that is mounted and was not served yet. `default_permissions` says whether
    /// it was mounted so.
    ///
    /// # Errors
    /// [`Error::Descriptor`] if it is no such connection, [`Error::Negotiation`], [`Error::Capability`],
    /// [`Error::InvalidOption`].
    pub fn adopt(descriptor: OwnedFd, wanted: &Wanted, default_permissions: bool) -> Result<Self> {
        check_descriptor(descriptor.as_fd())?;
        let device = open(descriptor)?;
        let (unique, offer) = read_init(&device).map_err(|error| match error {
            // EPERM: Linux has no mount for it. Kernels before 6.18 say the same.
            Error::Device { errno: Errno::EPERM, .. } => refusal(
                device.as_fd(),
                Errno::EPERM,
                "it is not mounted: mount(2) with its number as fd=N must come before it is passed on",
            ),
            Error::Negotiation(_) if device.has_ended() => {
                refusal(device.as_fd(), Errno::ENOTCONN, "what was mounted with it is unmounted already")
            }
            // EINVAL: the kernel wants room for requests as large as were agreed on.
            Error::Negotiation(_) | Error::Device { errno: Errno::EINVAL, .. } => refusal(
                device.as_fd(),
                Errno::EALREADY,
                "another server has answered FUSE_INIT before: it can be taken over with what was agreed on then \
                 (the option agreement) if it had no ring, and must be mounted anew if it had one",
            ),
            error => error,
        })?;
        let agreement = Agreement::new(&offer, wanted, default_permissions)?;
        let mount = Mount::of_other(&device);
        Ok(Self::new(device, mount, agreement, Some(unique)))
    }

    /// Takes over a connection whose server is gone, by /dev/fuse. `agreement` is what that server agreed on with
    /// the kernel: [`Agreement::restore`]. Requests that it took and never answered come again (Linux 6.9).
    ///
    /// # Errors
    /// [`Error::Descriptor`] if it is no connection, or has ended.
    pub fn take_over(descriptor: OwnedFd, agreement: Agreement) -> Result<Self> {
        check_descriptor(descriptor.as_fd())?;
        let device = open(descriptor)?;
        if device.has_ended() {
            let problem = "it is not mounted, or was unmounted or aborted: there is nothing to take over";
            return Err(refusal(device.as_fd(), Errno::ENOTCONN, problem));
        }
        let mount = Mount::of_other(&device);
        Ok(Self::new(device, mount, agreement, None))
    }
}

fn open(descriptor: OwnedFd) -> Result<Device> {
    let number = descriptor.as_raw_fd();
    Device::from_fd(descriptor, None).map_err(|errno| Error::Descriptor {
        number,
        errno,
        problem: errno.to_string(),
    })
}

fn refusal(descriptor: BorrowedFd<'_>, errno: Errno, problem: &str) -> Error {
    Error::Descriptor { number: descriptor.as_raw_fd(), errno, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_descriptor_of_something_else_is_refused() {
        let file = File::open("/dev/null").unwrap();
        let error = check_descriptor(file.as_fd()).unwrap_err();
        assert_eq!((error.code(), error.errno()), ("ERR_RINGFUSE_DESCRIPTOR", Some(Errno::ENODEV)));
        assert!(Handshake::adopt(file.into(), &Wanted::default(), false).is_err());
    }
}
