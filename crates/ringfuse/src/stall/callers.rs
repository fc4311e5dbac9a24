//! The threads that wait for a FUSE filesystem, according to /proc.

use std::fs::{read_dir, read_to_string};

use nix::unistd::Pid;

use crate::stall::system_calls::call_of;

/// A thread that waits for the answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The process.
    pub process: Pid,
    /// The thread.
    pub thread: Pid,
    /// Whether this process, or a process that it started, owns the thread.
    pub ours: bool,
    /// The program's name (`comm`).
    pub program: String,
    /// The system call that the thread is in.
    pub call: Option<String>,
}

/// Finds the threads of the machine that wait for a FUSE filesystem and that this process may inspect.
/// This can block: a process in `execve(2)` holds locks that /proc needs.
pub(super) fn waiting(mut found: impl FnMut(Caller)) {
    for process in numbers("/proc") {
        for thread in numbers(&format!("/proc/{process}/task")) {
            if waits_for_answer(process, thread) {
                let ours = process == Pid::this() || is_descendant(process);
                let call = call_of(process, thread);
                found(Caller { process, thread, ours, program: program(thread), call });
            }
        }
    }
}

/// Whether a thread sleeps in `request_wait_answer`. The compiler may have inlined it into a caller in
/// the module `fuse`.
pub(super) fn waits_for_answer(process: Pid, thread: Pid) -> bool {
    wait_channel(process, thread).is_some_and(|function| is_fuse(&function))
}

/// Whether a function of the kernel acts for a caller of a FUSE filesystem, not for the server.
pub(super) fn is_fuse(function: &str) -> bool {
    let function = function.trim_start_matches('_');
    let serves = function.starts_with("fuse_dev_") || function.starts_with("fuse_uring_");
    function == "request_wait_answer" || (function.starts_with("fuse_") && !serves)
}

/// The kernel's function that a thread sleeps in. `None` if it runs, or if the kernel does not say.
pub(super) fn wait_channel(process: Pid, thread: Pid) -> Option<String> {
    let function = read_to_string(format!("/proc/{process}/task/{thread}/wchan")).ok()?;
    (!function.is_empty() && function != "0").then_some(function)
}

/// The name of the program that a process or thread runs.
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

/// The parent follows the state, which follows the name in parentheses: proc_pid_stat(5).
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
        for function in
            ["fuse_dev_do_read", "fuse_dev_poll", "fuse_uring_cmd", "do_epoll_wait", "futex_do_wait", "0"]
        {
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
