//! Privileges of this thread, and limits of the process.

use napi_derive::napi;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{kernel, outcome, outcome64};

/// Puts one of the first 32 `CAP_*` of this thread out of effect, or into it again if it is permitted: 1 if it was in
/// effect, or 0.
#[napi]
#[must_use]
pub fn set_capability(capability: u32, effective: bool) -> i32 {
    let set = || {
        let mask = 1_u32.checked_shl(capability).unwrap_or(0);
        let sets = kernel::capget()?;
        kernel::capset(if effective { sets.with(mask) } else { sets.without(mask) })?;
        Ok(i32::from(sets.effective() & mask != 0))
    };
    outcome(set())
}

/// Lets the process have up to `wanted` descriptors, or as many as it may: how many that is.
#[napi]
#[must_use]
pub fn raise_descriptor_limit(wanted: i64) -> i64 {
    let raise = || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let wanted = u64::try_from(wanted).unwrap_or(0);
        if soft >= wanted {
            return Ok(soft);
        }
        // Beyond the hard limit with CAP_SYS_RESOURCE only, and never beyond fs.nr_open.
        if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).is_ok() {
            return Ok(wanted);
        }
        let most = hard.min(wanted);
        setrlimit(Resource::RLIMIT_NOFILE, most, hard).map(|()| most)
    };
    outcome64(raise().map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)))
}
