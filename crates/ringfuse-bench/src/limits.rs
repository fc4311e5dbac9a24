//! What the system lets servers have.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The most descriptors that the kernel lets any process have.
const MOST: &str = "/proc/sys/fs/nr_open";

/// Lets this process, and servers that it starts, have as many open files as the kernel allows: a mirror holds one for
/// each file that the kernel knows. Where that needs more rights, the limit stays as near as it may be.
pub fn raise_open_files() {
    let most = fs::read_to_string(MOST).ok().and_then(|text| text.trim().parse().ok());
    let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let raised = most.map_or(Ok(()), |most| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if raised.is_err() {
        // A soft limit of no more than the hard one is everybody's to set.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one_at_least() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        raise_open_files();
        let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(soft >= hard);
    }
}
