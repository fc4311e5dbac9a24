//! Who waits for a FUSE filesystem, as /proc tells.

use std::fs::{read_dir, read_to_string};

use nix::unistd::Pid;

use crate::stall::system_calls::call_of;

/// A thread that waits for the answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its process.
    pub process: Pid,
    /// The thread itself.
    pub thread: Pid,
    /// Whether it is of this process, or of one that it started.
    pub ours: bool,
    /// Its program's name (`comm`).
    pub program: String,
    /// The system call that it is in.
    pub call: Option<String>,
}

/// Finds all threads of the machine that wait for a FUSE filesystem, of those that this process may look at. It may
/// wait itself, for locks that they hold.
pub(super) fn waiting(mut found: impl FnMut(Caller)) {
    for process in numbers("/proc") {
        for thread in numbers(&format!("/proc/{process}/task")) {
            if waits_for_fuse(process, thread) {
                let ours = process == Pid::this() || is_descendant(process);
                let call = call_of(process, thread);
                found(Caller { process, thread, ours, program: program(thread), call });
            }
        }
    }
}

/// Whether a thread waits for the answer to a request: in `request_wait_answer`, which the compiler may have made a
/// part of one of its callers in the module `fuse`.
pub(super) fn waits_for_fuse(process: Pid, thread: Pid) -> bool {
    sleeps_in(process, thread).is_some_and(|function| is_fuse(&function))
}

fn is_fuse(function: &str) -> bool {
    let function = function.trim_start_matches('_');
    // A server that waits for requests is in `fuse_dev_do_read`.
    function == "request_wait_answer" || (function.starts_with("fuse_") && !function.starts_with("fuse_dev_"))
}

/// The kernel's function that a thread sleeps in; nothing if it does not sleep, or where this is not told.
pub(super) fn sleeps_in(process: Pid, thread: Pid) -> Option<String> {
    let function = read_to_string(format!("/proc/{process}/task/{thread}/wchan")).ok()?;
    (!function.is_empty() && function != "0").then_some(function)
}

/// Name of the program that a process or thread runs.
pub(crate) fn program(id: Pid) -> String {
    read_to_string(format!("/proc/{id}/comm"))
        .map_or_else(|_| "gone".to_owned(), |name| name.trim_end().to_owned())
}

/// Whether a process descends from this one.
fn is_descendant(mut process: Pid) -> bool {
    while let Some(parent) = parent(process) {
        if parent == Pid::this() {
            return true;
        }
        process = parent;
    }
    false
}

/// proc_pid_stat(5): the parent comes behind the name, which is in parentheses, and the state.
fn parent(process: Pid) -> Option<Pid> {
    let stat = read_to_string(format!("/proc/{process}/stat")).ok()?;
    let parent: i32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    (parent > 0).then(|| Pid::from_raw(parent))
}

/// The entries of a directory that are numbers.
fn numbers(path: &str) -> Vec<Pid> {
    let Ok(entries) = read_dir(path) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).map(Pid::from_raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_wait_for_an_answer_are_known() {
        for function in ["request_wait_answer", "__fuse_simple_request", "fuse_lookup_name"] {
            assert!(is_fuse(function), "{function}");
        }
        for function in ["fuse_dev_do_read", "fuse_dev_poll", "do_epoll_wait", "futex_do_wait", "0"] {
            assert!(!is_fuse(function), "{function}");
        }
    }

    #[test]
    fn a_child_descends_from_this_process_and_the_first_process_does_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(is_descendant(Pid::from_raw(child.id().cast_signed())));
        assert!(!is_descendant(Pid::from_raw(1)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
