//! `fusermount3`, the set-user-ID program of libfuse that mounts and unmounts for users who may not.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::Receiver;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access, geteuid};

use super::options::{MountFlags, MountOptions};
use super::received_descriptor::receive;
use super::refusal::{Refusal, explain, powerless};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::outside::{outside, outside_with};

/// The program's name.
pub(super) const PROGRAM: &str = "fusermount3";

/// Where it may be beside the directories of PATH. NixOS has its set-user-ID programs in the last one.
const USUAL_PLACES: [&str; 5] = ["/usr/bin", "/bin", "/usr/local/bin", "/sbin", "/run/wrappers/bin"];

/// First version that speaks the protocol of today.
const OLDEST: (u32, u32) = (3, 0);

/// First version that looks at a mount as its owner where root is not let in, before it unmounts what is dead.
const LOOKS_AS_OWNER: (u32, u32) = (3, 15);

/// Mounts on `path`. With `auto_unmount`, `fusermount3` waits until the device is closed, when this process ends at
/// the latest, and unmounts what is dead then.
///
/// # Errors
/// [`Error::Fusermount`], with the program's own words and what mends it.
pub(super) fn mount(path: &Path, options: &MountOptions) -> Result<Device> {
    begin(path, options).map_err(|refusal| Error::Fusermount {
        path: path.to_owned(),
        errno: refusal.errno,
        problem: refusal.to_string(),
    })
}

fn begin(path: &Path, options: &MountOptions) -> Result<Device, Refusal> {
    if !geteuid().is_root() && options.flags.intersects(MountFlags::SUID | MountFlags::DEV) {
        let problem = "only root may mount with suid or dev";
        return Err(Refusal::new(Errno::EPERM, problem, format!("{PROGRAM} would ignore them")));
    }
    let helper = Helper::find()?;
    if options.auto_unmount
        && !options.allow_other
        && !geteuid().is_root()
        && !helper.is_since(LOOKS_AS_OWNER)
    {
        let problem =
            format!("{PROGRAM} {} cannot see whether a mount without allowOther is dead", helper.version);
        let remedy = "install version 3.15 or later, or leave autoUnmount out, or mount with allowOther";
        return Err(Refusal::new(Errno::EOPNOTSUPP, problem, remedy));
    }
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    let arguments = vec!["-o".into(), options.for_fusermount().into(), "--".into(), path.into()];
    let outcome = helper.run(arguments, Some(theirs.as_fd()))?;
    drop(theirs);
    let Some(device) = receive(&ours)? else {
        let output = outcome.recv().map_err(io::Error::other)??;
        return Err(explain(&String::from_utf8_lossy(&output.stderr), &helper));
    };
    if !options.auto_unmount {
        // It ends now: that it has is waited for.
        let _ = outcome.recv();
        return Ok(Device::from_fd(device, None)?);
    }
    let device = above(device, ours.as_raw_fd())?;
    Ok(Device::from_fd(device, Some(ours))?)
}

/// The device, with a number above the socket's. A process that dies lets go of its descriptors from the highest number
/// down, and when the socket goes, the connection must be dead: `fusermount3` looks at it only once. (The kernel closes
/// them upwards, but does the work that this makes in the opposite order: `task_work_run`.)
fn above(mut device: OwnedFd, socket: RawFd) -> io::Result<OwnedFd> {
    let mut below = Vec::new();
    while device.as_raw_fd() < socket {
        let next = device.try_clone()?;
        below.push(mem::replace(&mut device, next));
    }
    Ok(device)
}

/// Takes the topmost mount at `path` out of the tree, lazily: open files go on until they are closed.
///
/// # Errors
/// What the program said, and what mends it.
pub(super) fn unmount(path: &Path) -> Result<(), Refusal> {
    let helper = Helper::find()?;
    let arguments = vec!["-u".into(), "-z".into(), "--".into(), path.into()];
    let output = helper.run(arguments, None)?.recv().map_err(io::Error::other)??;
    if output.status.success() {
        return Ok(());
    }
    Err(explain(&String::from_utf8_lossy(&output.stderr), &helper))
}

/// What keeps `fusermount3` from mounting for this process, as far as that can be told without trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helplessness {
    /// What is wrong.
    pub problem: String,
    /// What mends it.
    pub remedy: String,
}

/// Looks for `fusermount3`, which mounts for ordinary users; returns where it is and its version.
///
/// # Errors
/// That it is not there, or cannot do what it is for.
pub fn probe_fusermount() -> Result<String, Helplessness> {
    let found = Helper::find().and_then(|helper| match powerless(&helper) {
        Some(refusal) if !geteuid().is_root() => Err(refusal),
        _ => Ok(format!("{} ({})", helper.version, helper.program.display())),
    });
    found.map_err(|Refusal { problem, remedy, .. }| Helplessness { problem, remedy })
}

/// The program, found and known to be of a version that can be used.
#[derive(Debug)]
pub(super) struct Helper {
    pub program: PathBuf,
    pub version: String,
}

impl Helper {
    fn find() -> Result<Self, Refusal> {
        let path = env::var_os("PATH").unwrap_or_default();
        let directories = env::split_paths(&path).chain(USUAL_PLACES.map(PathBuf::from));
        let candidates: Vec<_> = directories
            .filter(|directory| directory.is_absolute())
            .map(|directory| directory.join(PROGRAM))
            .filter(|program| program.is_file() && access(program, AccessFlags::X_OK).is_ok())
            .collect();
        // One that nobody installed set-user-ID can do no more than this process.
        let able = candidates.iter().find(|program| is_set_user_id_root(program));
        let Some(program) = able.or(candidates.first()).cloned() else {
            let problem = format!(
                "{PROGRAM}, which mounts for ordinary users, is neither in PATH nor in {}",
                USUAL_PLACES.join(", ")
            );
            let remedy = "`sudo apt-get install fuse3`, or the package fuse3 of this distribution; or mount as root, \
                          or in a user namespace (`unshare --user --map-root-user --mount`)";
            return Err(Refusal::new(Errno::ENOENT, problem, remedy));
        };
        let mut helper = Self { program, version: String::new() };
        let output = helper.run(vec!["--version".into()], None)?.recv().map_err(io::Error::other)??;
        let text = String::from_utf8_lossy(&output.stdout);
        helper.version = parse_version(&text).unwrap_or_default();
        if !helper.is_since(OLDEST) {
            let problem = format!(
                "{} is no {PROGRAM} of version {} or later; it says {:?}",
                helper.program.display(),
                OLDEST.0,
                text.trim()
            );
            return Err(Refusal::new(Errno::ENOEXEC, problem, "`sudo apt-get install fuse3`"));
        }
        Ok(helper)
    }

    /// Whether it has the version `since` or a later one.
    fn is_since(&self, since: (u32, u32)) -> bool {
        let mut numbers = self.version.split('.').map_while(|number| number.parse().ok());
        numbers.next().is_some_and(|major| (major, numbers.next().unwrap_or(0)) >= since)
    }

    /// Whether it runs with root's rights, whoever starts it.
    pub fn is_set_user_id_root(&self) -> bool {
        is_set_user_id_root(&self.program)
    }

    /// Starts it, on a thread that waits for its end: what comes of it can be received. With a `socket`, it has
    /// a duplicate of it and is told its number.
    fn run(
        &self,
        arguments: Vec<OsString>,
        socket: Option<BorrowedFd<'_>>,
    ) -> Result<Receiver<io::Result<Output>>, Error> {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let Some(socket) = socket else {
            return outside(PROGRAM, move || execute(command, None));
        };
        command.env("_FUSE_COMMFD", socket.as_raw_fd().to_string());
        outside_with(PROGRAM, socket, move |socket| execute(command, Some(socket)))
    }
}

/// Runs a command to its end, on a thread that has no descriptors but perhaps a socket, which the command inherits.
fn execute(mut command: Command, socket: Option<OwnedFd>) -> io::Result<Output> {
    // The numbers of standard input, output and error must be taken before pipes are made.
    while let null = open("/dev/null", OFlag::O_RDWR, Mode::empty())?
        && null.as_raw_fd() <= libc::STDERR_FILENO
    {
        let _ = null.into_raw_fd();
    }
    if let Some(socket) = &socket {
        // The table is this thread's own: no other child inherits it.
        fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    let child = command.spawn()?;
    drop(socket);
    child.wait_with_output()
}

fn is_set_user_id_root(program: &Path) -> bool {
    fs::metadata(program).is_ok_and(|found| found.uid() == 0 && found.mode() & libc::S_ISUID != 0)
}

/// The version in `fusermount3 version: 3.14.0`.
fn parse_version(text: &str) -> Option<String> {
    let version = text.strip_prefix(PROGRAM)?.strip_prefix(" version: ")?;
    let end = version.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(version.len());
    (end > 0).then(|| version[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_the_program_says() {
        assert_eq!(parse_version("fusermount3 version: 3.14.0\n").as_deref(), Some("3.14.0"));
        let helper = |version: &str| Helper { program: PathBuf::new(), version: version.to_owned() };
        assert!(helper("3.14.0").is_since((3, 0)) && helper("3.15.1").is_since((3, 15)));
        assert!(!helper("3.9.2").is_since((3, 15)) && !helper("2.9").is_since((3, 0)));
        assert!(!helper("").is_since((3, 0)));
        assert_eq!(parse_version("fusermount3 version: 3.17.1-rc0").as_deref(), Some("3.17.1"));
        assert_eq!(parse_version("echo 9.1, under the GPL version 3"), None);
    }
}
