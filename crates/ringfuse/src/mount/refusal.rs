//! Why `fusermount3` refused, in its own words, and what mends it.

use std::fmt;
use std::fs;
use std::io;

use nix::errno::Errno;

use super::fusermount::{Helper, PROGRAM};
use crate::error::Error;

/// Why something was not mounted or unmounted, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub errno: Errno,
    pub problem: String,
    /// Empty where nothing is known to.
    pub remedy: String,
}

impl Refusal {
    pub fn new(errno: Errno, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { errno, problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.problem)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.remedy) }
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self::new(errno, errno.to_string(), "")
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::new(error.errno().unwrap_or(Errno::EIO), error.to_string(), "")
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        Self::new(errno, format!("{PROGRAM} cannot be run: {error}"), "")
    }
}

/// Text that `fusermount3` prints → what it stands for, and what mends it. The first that is found counts.
const REMEDIES: &[(&str, Errno, &str)] = &[
    (
        "only allowed if 'user_allow_other' is set",
        Errno::EPERM,
        "`echo user_allow_other | sudo tee -a /etc/fuse.conf`, or mount without allowOther",
    ),
    (
        "not owned by user",
        Errno::EACCES,
        "the directory has the sticky bit: mount on a directory that belongs to this user",
    ),
    (
        "has no write access to mountpoint",
        Errno::EACCES,
        "mount on a directory that this user may write to (`sudo chown $USER DIR`)",
    ),
    (
        "failed to open /dev/fuse: Permission denied",
        Errno::EACCES,
        "`sudo chmod 0666 /dev/fuse`, as udev does",
    ),
    (
        "failed to open /dev/fuse: Operation not permitted",
        Errno::EPERM,
        "in a container, pass the device (`docker run --device /dev/fuse`)",
    ),
    ("fuse device not found", Errno::ENODEV, "`sudo modprobe fuse`; in a container: `--device /dev/fuse`"),
    (
        "too many FUSE filesystems mounted",
        Errno::ENOSPC,
        "unmount some, or raise mount_max in /etc/fuse.conf",
    ),
    ("mounting over filesystem type", Errno::EPERM, "mount on a directory of another filesystem"),
    (
        "not found in /etc/mtab",
        Errno::EPERM,
        "it is not mounted any more, or another user mounted it: `sudo umount DIR`",
    ),
    (
        "could not determine username",
        Errno::EPERM,
        "this user is not in /etc/passwd: add it there, or unmount as root",
    ),
];

/// What else keeps the program from mounting.
const CONTAINED: &str = "in a container, `docker run --cap-add SYS_ADMIN --device /dev/fuse`; and see that the program's \
                         filesystem is not mounted nosuid";

/// What a refusal says: all that `fusermount3` printed, and the remedy.
pub(super) fn explain(said: &str, helper: &Helper) -> Refusal {
    let said: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = said.join("; ");
    let known = REMEDIES.iter().find(|(text, ..)| said.contains(text));
    let (errno, remedy) = match known {
        Some((_, errno, remedy)) => (*errno, (*remedy).to_owned()),
        None if said.contains("unknown option") => (
            Errno::EINVAL,
            format!("{PROGRAM} {} cannot set it: leave it out, or mount as root", helper.version),
        ),
        None if said.contains("Operation not permitted") => {
            let why = powerless(helper).map_or_else(|| CONTAINED.to_owned(), |refusal| refusal.to_string());
            (Errno::EPERM, why)
        }
        None => (Errno::EPERM, "see `ringfuse doctor`".to_owned()),
    };
    let said = if said.is_empty() { format!("{PROGRAM} failed and said nothing") } else { said };
    Refusal::new(errno, said, remedy)
}

/// What keeps the program from doing what it is for, as far as that can be told without trying.
pub(super) fn powerless(helper: &Helper) -> Option<Refusal> {
    let program = helper.program.display();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.starts_with("NoNewPrivs:") && line.ends_with('1')) {
        let remedy = "allow it (in Kubernetes `allowPrivilegeEscalation: true`, in systemd `NoNewPrivileges=no`), \
                      or mount from outside and pass the descriptor";
        let problem = format!("this process may gain no privileges (no_new_privs), so {program} has none");
        return Some(Refusal::new(Errno::EPERM, problem, remedy));
    }
    if !helper.is_set_user_id_root() {
        let remedy = format!("`sudo chown root {program} && sudo chmod u+s {program}`");
        return Some(Refusal::new(Errno::EPERM, format!("{program} is not set-user-ID root"), remedy));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn explained(said: &str) -> Refusal {
        explain(
            said,
            &Helper { program: PathBuf::from("/nowhere/fusermount3"), version: "3.14.0".to_owned() },
        )
    }

    #[test]
    fn its_own_words_and_the_remedy_are_said_in_one_line() {
        let refusal = explained(
            "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf\n",
        );
        assert_eq!(refusal.errno, Errno::EPERM);
        assert_eq!(
            refusal.to_string(),
            "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf: `echo \
             user_allow_other | sudo tee -a /etc/fuse.conf`, or mount without allowOther"
        );
    }

    #[test]
    fn an_option_that_it_does_not_know_is_told_with_its_version() {
        let refusal = explained("fusermount3: unknown option 'lazytime'\n");
        assert_eq!(refusal.errno, Errno::EINVAL);
        assert!(refusal.remedy.contains("3.14.0"), "{refusal}");
    }

    #[test]
    fn a_program_that_is_not_set_user_id_is_told_to_be_made_so() {
        let refusal = explained("fusermount3: mount failed: Operation not permitted\n");
        let no_new_privileges = refusal.remedy.contains("no_new_privs");
        assert!(no_new_privileges || refusal.remedy.contains("chmod u+s"), "{refusal}");
    }

    #[test]
    fn what_is_not_known_is_passed_on_and_silence_is_told() {
        assert_eq!(explained("fusermount3: something new\n").problem, "fusermount3: something new");
        assert!(explained("").problem.contains("said nothing"));
    }
}
