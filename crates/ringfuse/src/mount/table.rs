//! What is mounted where: /proc/self/mountinfo.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One line of /proc/self/mountinfo.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MountInfo {
    /// Number of the mount, used again when it is gone.
    pub id: u32,
    /// Minor number of its `st_dev`; for FUSE also the number of the connection.
    pub device_minor: u32,
    pub mountpoint: PathBuf,
    /// Type, such as `fuse.hello`.
    pub kind: String,
    /// The filesystem's own options.
    pub options: String,
}

impl MountInfo {
    pub fn is_fuse(&self) -> bool {
        self.kind == "fuse" || self.kind == "fuseblk" || self.kind.starts_with("fuse.")
    }

    /// The directories beneath an overlay, as they were named when it was mounted.
    pub fn layers(&self) -> impl Iterator<Item = PathBuf> {
        let options = self.options.split(',').filter(|_| self.kind == "overlay");
        let values = options.filter_map(|option| {
            let (name, value) = option.split_once('=')?;
            matches!(name, "lowerdir" | "lowerdir+" | "upperdir" | "workdir").then_some(value)
        });
        values
            .flat_map(|value| value.split(':'))
            .map(|path| OsString::from_vec(unescape(path.as_bytes())).into())
    }
}

/// The mounts that this process sees, in the order in which they were made.
pub(super) fn read() -> io::Result<Vec<MountInfo>> {
    let table = fs::read("/proc/self/mountinfo")?;
    Ok(table.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// As [`read`]; none where the table cannot be read.
pub(super) fn all() -> Vec<MountInfo> {
    read().unwrap_or_default()
}

/// The mounts at `path`, the topmost last.
pub(super) fn at(path: &Path) -> Vec<MountInfo> {
    let mut mounts = all();
    mounts.retain(|found| found.mountpoint == path);
    mounts
}

/// Parses `ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS … - TYPE SOURCE OPTIONS`, proc_pid_mountinfo(5).
fn parse(line: &[u8]) -> Option<MountInfo> {
    let text = String::from_utf8_lossy(line);
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = std::str::from_utf8(fields.nth(1)?).ok()?;
    let device_minor = device.split_once(':')?.1.parse().ok()?;
    let mountpoint = PathBuf::from(OsString::from_vec(unescape(fields.nth(1)?)));
    let mut filesystem = text.split_once(" - ")?.1.split(' ');
    let kind = filesystem.next()?.to_owned();
    let options = filesystem.nth(1).unwrap_or_default().to_owned();
    Some(MountInfo { id, device_minor, mountpoint, kind, options })
}

/// Undoes the octal escapes of blanks, tabs, line feeds and backslashes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let octal = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        };
        let escaped = if *first == b'\\' { after.get(..3).and_then(octal) } else { None };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_is_read() {
        let line = b"36 35 0:44 / /mnt/a\\040b rw,nosuid shared:7 - fuse.hello hello rw,user_id=0";
        let expected = MountInfo {
            id: 36,
            device_minor: 44,
            mountpoint: PathBuf::from("/mnt/a b"),
            kind: "fuse.hello".to_owned(),
            options: "rw,user_id=0".to_owned(),
        };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse(b"nonsense"), None);
    }
}
