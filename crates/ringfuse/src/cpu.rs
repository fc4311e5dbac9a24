//! The machine's CPUs, as the kernel numbers its FUSE queues.

use std::fs;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Number of queues that the kernel makes: `num_possible_cpus()`, from
/// `/sys/devices/system/cpu/possible`. CPUs that are offline, or outside this process's cpuset, count.
#[must_use]
pub fn possible_cpus() -> usize {
    fs::read_to_string("/sys/devices/system/cpu/possible")
        .ok()
        .and_then(|list| count_cpu_list(list.trim()))
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into))
}

/// Lets the calling thread run on `cpus` only. CPUs that are offline or outside this process's cpuset do not count; if
/// none is left, the thread stays where it may run now. Whether it could be done.
pub fn pin_thread(cpus: impl IntoIterator<Item = usize>) -> bool {
    let mut set = CpuSet::new();
    for cpu in cpus {
        // A number beyond what the set can hold is no CPU of this machine.
        let _ = set.set(cpu);
    }
    sched_setaffinity(Pid::from_raw(0), &set).is_ok()
}

/// Counts the CPUs of a list such as `0-3,8`.
fn count_cpu_list(list: &str) -> Option<usize> {
    list.split(',').try_fold(0, |count, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(count + last.checked_sub(first)? + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::count_cpu_list;

    #[test]
    fn a_cpu_list_is_counted() {
        assert_eq!(count_cpu_list("0"), Some(1));
        assert_eq!(count_cpu_list("0-1"), Some(2));
        assert_eq!(count_cpu_list("0-3,8,10-11"), Some(7));
        assert_eq!(count_cpu_list("3-0"), None);
        assert_eq!(count_cpu_list(""), None);
    }
}
