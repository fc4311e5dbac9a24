//! The FUSE connections of the machine. No filesystem is asked.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

use super::table::{self, MountInfo};

const CONTROL: &str = "/sys/fs/fuse/connections";

/// All connections, by number. Where the control filesystem is not mounted, those that are mounted in
/// this process's mount namespace.
pub(crate) fn fuse_connections() -> BTreeSet<u32> {
    let entries = read_dir(CONTROL).into_iter().flatten();
    let numbers: BTreeSet<u32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    if !numbers.is_empty() {
        return numbers;
    }
    table::all().iter().filter(|mount| mount.is_fuse()).map(|mount| mount.device_minor).collect()
}

/// The requests of a connection that are not answered, including those that handlers hold. `None`
/// where the control filesystem is not mounted or not readable.
pub(crate) fn waiting_requests(connection: u32) -> Option<u64> {
    read_to_string(format!("{CONTROL}/{connection}/waiting")).ok()?.trim().parse().ok()
}

/// Where connections are mounted, as far as this process can see.
pub(crate) fn mountpoints(connections: &BTreeSet<u32>) -> Vec<PathBuf> {
    let mounts = table::all().into_iter().filter(MountInfo::is_fuse);
    mounts.filter(|mount| connections.contains(&mount.device_minor)).map(|mount| mount.mountpoint).collect()
}

/// The connections that a call on an absolute path can ask, by the path's text alone: symbolic links are
/// not followed. Empty if the innermost mount on the path has nothing to do with FUSE.
pub(crate) fn connections_at(path: &Path) -> BTreeSet<u32> {
    let mounts = table::all();
    innermost(&mounts, path).map(|mount| behind(&mounts, mount)).unwrap_or_default()
}

/// The connections that a call on an open file can ask, by the `mnt_id` in its `fdinfo`. `owner` is whose
/// descriptor it is: `self` or `thread-self`.
pub(crate) fn connections_of(owner: &str, descriptor: u64) -> BTreeSet<u32> {
    let information = read_to_string(format!("/proc/{owner}/fdinfo/{descriptor}")).unwrap_or_default();
    let id = information.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
    let mounts = table::all();
    let mount = mounts.iter().find(|mount| Some(mount.id) == id);
    mount.map(|mount| behind(&mounts, mount)).unwrap_or_default()
}

/// A FUSE filesystem's own connection, or those of an overlay's layers.
fn behind(mounts: &[MountInfo], mount: &MountInfo) -> BTreeSet<u32> {
    if mount.is_fuse() {
        return BTreeSet::from([mount.device_minor]);
    }
    let layers = mount.layers().filter_map(|layer| innermost(mounts, &layer));
    layers.filter(|mount| mount.is_fuse()).map(|mount| mount.device_minor).collect()
}

/// The mount that a path is in.
fn innermost<'a>(mounts: &'a [MountInfo], path: &Path) -> Option<&'a MountInfo> {
    // Of mounts at one path, the topmost comes last.
    let around = mounts.iter().filter(|mount| path.starts_with(&mount.mountpoint));
    around.max_by_key(|mount| mount.mountpoint.components().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(id: u32, mountpoint: &str, kind: &str, options: &str) -> MountInfo {
        let (kind, options) = (kind.to_owned(), options.to_owned());
        MountInfo { id, device_minor: id, mountpoint: mountpoint.into(), kind, options }
    }

    #[test]
    fn a_path_leads_to_its_innermost_mount_and_an_overlay_to_its_layers() {
        let mounts = [
            mount(1, "/", "ext4", ""),
            mount(2, "/mnt", "fuse.outer", ""),
            mount(3, "/mnt/inner", "fuse.inner", ""),
            mount(4, "/over", "overlay", "rw,lowerdir=/mnt/a:/mnt/b,upperdir=/up,workdir=/work"),
        ];
        let at = |path: &str| behind(&mounts, innermost(&mounts, Path::new(path)).unwrap());
        assert_eq!(at("/mnt/a/b"), [2].into());
        assert_eq!(at("/mnt/inner/b"), [3].into());
        assert_eq!(at("/over/b"), [2].into());
        assert_eq!(at("/home"), BTreeSet::new());
    }
}
