//! What a mount may be told, and how `mount(2)` and `fusermount3` are told it.

use nix::mount::MsFlags;

use crate::error::{Error, Result};

/// Longest source, bytes: what fits beside the rest into the page that `mount(2)` takes.
const LONGEST_FSNAME: usize = 1024;

/// Options of a FUSE mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOptions {
    /// Shown in /proc/mounts as the source, and after `fuse.` as the type, where the next two say nothing.
    pub name: String,
    /// Shown in /proc/mounts as the source.
    pub fsname: Option<String>,
    /// Shown in /proc/mounts after `fuse.` as the type.
    pub subtype: Option<String>,
    /// Let other users in.
    pub allow_other: bool,
    /// Let the kernel check permissions by mode, owner and group. `None`: exactly if other users are let in, so that
    /// nobody has more rights than the modes say. `Some(false)` is for a filesystem that checks permissions itself.
    pub default_permissions: Option<bool>,
    /// What any mount can be told.
    pub flags: MountFlags,
    /// Have `fusermount3` unmount when this process is gone, however it ended.
    pub auto_unmount: bool,
    /// Take a mount whose server is gone away from the mountpoint first.
    pub replace_stale: bool,
}

impl Default for MountOptions {
    fn default() -> Self {
        Self {
            name: "ringfuse".to_owned(),
            fsname: None,
            subtype: None,
            allow_other: false,
            default_permissions: None,
            flags: MountFlags::empty(),
            auto_unmount: false,
            replace_stale: false,
        }
    }
}

bitflags::bitflags! {
    /// The options of mount(8) that any filesystem has, by their names there. Without [`Self::SUID`] and
    /// [`Self::DEV`], a mount is `nosuid` and `nodev`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct MountFlags: u16 {
        /// Refuse all changes.
        const RO = 1;
        /// Let set-user-ID and set-group-ID bits and file capabilities work. Not through `fusermount3`.
        const SUID = 1 << 1;
        /// Let device files work. Not through `fusermount3`.
        const DEV = 1 << 2;
        /// Refuse to execute files.
        const NOEXEC = 1 << 3;
        /// No access times. FUSE leaves access times to the filesystem: the kernel shows this and does no more.
        const NOATIME = 1 << 4;
        /// No access times of directories. As for [`Self::NOATIME`].
        const NODIRATIME = 1 << 5;
        /// Every access time. As for [`Self::NOATIME`].
        const STRICTATIME = 1 << 6;
        /// Keep changed times in memory for a while.
        const LAZYTIME = 1 << 7;
        /// All writes are synchronous.
        const SYNC = 1 << 8;
        /// All changes of directories are synchronous.
        const DIRSYNC = 1 << 9;
        /// Follow no symbolic links. Linux 5.10.
        const NOSYMFOLLOW = 1 << 10;
    }
}

/// `MS_NOSYMFOLLOW` of `linux/mount.h`, which libc has not.
const MS_NOSYMFOLLOW: MsFlags = MsFlags::from_bits_retain(256);

/// `MS_LAZYTIME` of `linux/mount.h`, which not every libc has.
const MS_LAZYTIME: MsFlags = MsFlags::from_bits_retain(1 << 25);

impl MountFlags {
    /// The flag of a name of mount(8).
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::from_name(&word.to_ascii_uppercase())
    }

    /// Names of mount(8).
    fn words(self) -> impl Iterator<Item = String> {
        self.iter_names().map(|(name, _)| name.to_ascii_lowercase())
    }

    /// The flags of `mount(2)`.
    pub(super) fn system(self) -> MsFlags {
        let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        for flag in self.iter() {
            match flag {
                Self::RO => flags |= MsFlags::MS_RDONLY,
                Self::SUID => flags -= MsFlags::MS_NOSUID,
                Self::DEV => flags -= MsFlags::MS_NODEV,
                Self::NOEXEC => flags |= MsFlags::MS_NOEXEC,
                Self::NOATIME => flags |= MsFlags::MS_NOATIME,
                Self::NODIRATIME => flags |= MsFlags::MS_NODIRATIME,
                Self::STRICTATIME => flags |= MsFlags::MS_STRICTATIME,
                Self::LAZYTIME => flags |= MS_LAZYTIME,
                Self::SYNC => flags |= MsFlags::MS_SYNCHRONOUS,
                Self::DIRSYNC => flags |= MsFlags::MS_DIRSYNC,
                Self::NOSYMFOLLOW => flags |= MS_NOSYMFOLLOW,
                _ => {}
            }
        }
        flags
    }
}

impl MountOptions {
    /// Finds out whether all of it can be.
    ///
    /// # Errors
    /// [`Error::InvalidOption`].
    pub(super) fn check(&self) -> Result<()> {
        check_name("name", &self.name)?;
        if let Some(subtype) = &self.subtype {
            check_name("subtype", subtype)?;
        }
        let source = self.source();
        if source.is_empty() || source.len() > LONGEST_FSNAME || source.contains(char::is_control) {
            let problem = format!("{source:?} is not 1 to {LONGEST_FSNAME} bytes without control characters");
            return Err(Error::InvalidOption { option: "fsname", problem });
        }
        if self.flags.contains(MountFlags::NOATIME | MountFlags::STRICTATIME) {
            let problem = "noatime and strictatime are opposites".to_owned();
            return Err(Error::InvalidOption { option: "flags", problem });
        }
        Ok(())
    }

    /// What /proc/mounts shows as the source.
    pub(super) fn source(&self) -> &str {
        self.fsname.as_ref().unwrap_or(&self.name)
    }

    /// What /proc/mounts shows as the type.
    pub(super) fn kind(&self) -> String {
        format!("fuse.{}", self.subtype())
    }

    fn subtype(&self) -> &str {
        self.subtype.as_ref().unwrap_or(&self.name)
    }

    /// Whether the kernel checks permissions.
    pub(crate) fn kernel_checks_permissions(&self) -> bool {
        self.default_permissions.unwrap_or(self.allow_other)
    }

    /// What the kernel's FUSE itself is told, but for the connection.
    pub(super) fn data(&self) -> impl Iterator<Item = &'static str> {
        let all =
            [("default_permissions", self.kernel_checks_permissions()), ("allow_other", self.allow_other)];
        all.into_iter().filter(|(_, given)| *given).map(|(word, _)| word)
    }

    /// The argument of `fusermount3 -o`.
    pub(super) fn for_fusermount(&self) -> String {
        let escape = |text: &str| text.replace('\\', "\\\\").replace(',', "\\,");
        let mut words =
            vec![format!("fsname={}", escape(self.source())), format!("subtype={}", escape(self.subtype()))];
        words.extend(self.data().map(str::to_owned));
        words.extend(self.flags.words());
        if self.auto_unmount {
            words.push("auto_unmount".to_owned());
        }
        words.join(",")
    }
}

fn check_name(option: &'static str, name: &str) -> Result<()> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+@:#/".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
        let problem = format!("{name:?} is not 1 to 64 letters, digits or any of - _ . + @ : # /");
        return Err(Error::InvalidOption { option, problem });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_mount_options_could_not_hold_is_refused() {
        let named = |name: &str| MountOptions { name: name.to_owned(), ..MountOptions::default() };
        assert!(named("hello").check().is_ok());
        for name in ["", "a,b", "a b", "ü", &"x".repeat(65)] {
            assert!(named(name).check().is_err(), "{name}");
            let subtype = Some(name.to_owned());
            assert!(MountOptions { subtype, ..MountOptions::default() }.check().is_err(), "{name}");
        }
    }

    #[test]
    fn a_source_is_any_text_without_control_characters() {
        let from = |source: &str| MountOptions { fsname: Some(source.to_owned()), ..MountOptions::default() };
        for source in ["user@host:/a path", "a,b\\c", "ü"] {
            assert!(from(source).check().is_ok(), "{source}");
        }
        for source in ["", "a\nb", "a\0b", &"x".repeat(1025)] {
            assert!(from(source).check().is_err(), "{source}");
        }
    }

    #[test]
    fn what_fusermount_is_told_says_everything_and_escapes_commas() {
        let options = MountOptions {
            fsname: Some("a,b\\c".to_owned()),
            subtype: Some("hello".to_owned()),
            allow_other: true,
            default_permissions: Some(true),
            flags: MountFlags::RO | MountFlags::NOEXEC,
            auto_unmount: true,
            ..MountOptions::default()
        };
        assert_eq!(
            options.for_fusermount(),
            "fsname=a\\,b\\\\c,subtype=hello,default_permissions,allow_other,ro,noexec,auto_unmount"
        );
    }

    #[test]
    fn the_kernel_checks_other_users_unless_that_is_refused() {
        let checked = |allow_other, default_permissions| {
            MountOptions { allow_other, default_permissions, ..MountOptions::default() }
                .data()
                .any(|word| word == "default_permissions")
        };
        assert!(checked(true, None) && !checked(false, None));
        assert!(checked(false, Some(true)) && !checked(true, Some(false)));
    }

    #[test]
    fn a_mount_is_nosuid_and_nodev_unless_it_is_told_otherwise() {
        assert_eq!(MountFlags::empty().system(), MsFlags::MS_NOSUID | MsFlags::MS_NODEV);
        assert_eq!((MountFlags::SUID | MountFlags::DEV).system(), MsFlags::empty());
    }

    #[test]
    fn every_flag_has_the_name_that_mount_8_gives_it() {
        for flag in MountFlags::all().iter() {
            let word = flag.words().next().unwrap();
            assert_eq!(MountFlags::from_word(&word), Some(flag), "{word}");
        }
        assert_eq!(MountFlags::from_word("mand"), None);
    }

    #[test]
    fn opposites_are_refused() {
        let flags = MountFlags::NOATIME | MountFlags::STRICTATIME;
        assert!(MountOptions { flags, ..MountOptions::default() }.check().is_err());
    }
}
