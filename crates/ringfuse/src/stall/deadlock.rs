//! Serving threads that wait for themselves: directly, or for one another.
//!
//! A thread that sleeps until a FUSE filesystem answers waits for one request of one connection. If
//! only threads that sleep as well can answer it, none of them ever wakes. This is decided by facts
//! that hold for every system call:
//!
//! | fact | from |
//! | --- | --- |
//! | the thread sleeps for a FUSE filesystem, and has not run since | `fuse_wait` |
//! | a channel of this process holds a request with the thread's id | the request's header |
//! | a ring has a request that only its thread can see: the connection counts more than its channels hold | fusectl |
//! | no connection of another process had a request all that time | fusectl |
//! | a serving thread is responsive: it gave a sign of life since | `watchdog` |

use std::collections::{BTreeMap, BTreeSet};

use nix::unistd::Pid;

use crate::channel::HeldRequest;

/// A channel of this process, as the watchdog sees it at one moment.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// The connection's number.
    pub connection: u32,
    /// The thread that serves it.
    pub thread: Pid,
    /// Whether that thread gave a sign of life after the sleeping threads were seen to sleep, and could
    /// take another request.
    pub responsive: bool,
    /// Requests that it took and did not answer. `None` while its thread is at work on it.
    pub held: Option<Vec<HeldRequest>>,
}

/// A connection of this process at the same moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Requests that are not answered, if the kernel says.
    pub waiting: Option<u64>,
    /// The channels that it has, watched or not.
    pub channels: usize,
}

/// A thread that sleeps for a FUSE filesystem.
#[derive(Debug, Clone)]
pub(super) struct Sleeper {
    pub thread: Pid,
    /// Whether it waits for the answer to a request of its own.
    pub answer: bool,
    /// Whether it may wait for a connection of another process, or for something else.
    pub elsewhere: bool,
    /// Connections that its system call names.
    pub named: BTreeSet<u32>,
}

/// A thread that waits for a request that nobody can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadlock {
    pub thread: Pid,
    /// The connection that the request belongs to.
    pub connection: u32,
}

/// All that is known at one moment.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub views: Vec<View>,
    pub connections: BTreeMap<u32, Counts>,
    pub sleepers: Vec<Sleeper>,
}

impl Scene {
    /// The threads that surely never wake, each with the connection to end it by.
    pub fn deadlocks(&self) -> Vec<Deadlock> {
        let mut stuck: BTreeMap<Pid, Vec<u32>> = BTreeMap::new();
        for sleeper in &self.sleepers {
            let candidates = self.surely_ours(sleeper);
            if !candidates.is_empty() {
                stuck.insert(sleeper.thread, candidates);
            }
        }
        // A thread that another thread can still answer is not stuck.
        loop {
            let is_stuck = |(thread, candidates): (&Pid, &Vec<u32>)| {
                candidates.iter().all(|connection| {
                    let answering = self.may_answer(*thread, *connection);
                    answering.is_some_and(|threads| threads.iter().all(|other| stuck.contains_key(other)))
                })
            };
            let freed: Vec<Pid> =
                stuck.iter().filter(|entry| !is_stuck(*entry)).map(|(thread, _)| *thread).collect();
            if freed.is_empty() {
                break;
            }
            stuck.retain(|thread, _| !freed.contains(thread));
        }
        stuck
            .iter()
            .filter_map(|(thread, candidates)| {
                Some(Deadlock { thread: *thread, connection: self.likeliest(*thread, candidates)? })
            })
            .collect()
    }

    /// The connections of this process that a thread can be waiting for. None if it may wait for
    /// another process's.
    fn surely_ours(&self, sleeper: &Sleeper) -> Vec<u32> {
        let holding = self.holding(sleeper.thread);
        if !holding.is_empty() {
            return holding;
        }
        let candidates: Vec<u32> = self
            .connections
            .keys()
            .copied()
            .filter(|number| self.may_have_request(*number, sleeper))
            .collect();
        if !sleeper.elsewhere {
            return candidates;
        }
        // Among several, only a call that names nothing else decides.
        match sleeper.named.iter().collect::<Vec<_>>()[..] {
            [named] if candidates.contains(named) => vec![*named],
            _ => Vec::new(),
        }
    }

    /// The connections with a request of the thread that a channel has taken.
    fn holding(&self, thread: Pid) -> Vec<u32> {
        let holds = |view: &&View| view.holds(thread);
        let numbers: BTreeSet<u32> = self.views.iter().filter(holds).map(|view| view.connection).collect();
        numbers.into_iter().collect()
    }

    /// Whether a request of the sleeping thread can be in this connection although no channel holds it.
    fn may_have_request(&self, connection: u32, sleeper: &Sleeper) -> bool {
        let Some(waiting) = self.connections.get(&connection).and_then(|counts| counts.waiting) else {
            return true;
        };
        // A page or a lock that it waits for may belong to another caller's request.
        if !sleeper.answer {
            return waiting > 0;
        }
        let mut held = 0;
        for view in self.views.iter().filter(|view| view.connection == connection) {
            let Some(requests) = &view.held else { return true };
            held += requests.len() as u64;
        }
        waiting > held
    }

    /// The threads that can answer a request of `thread`. `None` if that is not known, or if it is
    /// being answered.
    fn may_answer(&self, thread: Pid, connection: u32) -> Option<BTreeSet<Pid>> {
        let views = || self.views.iter().filter(|view| view.connection == connection);
        let holding: BTreeSet<Pid> =
            views().filter(|view| view.holds(thread)).map(|view| view.thread).collect();
        if !holding.is_empty() {
            return Some(holding);
        }
        // A channel that is being started or replaced is not watched yet.
        if views().count() < self.connections.get(&connection)?.channels {
            return None;
        }
        let threads: BTreeSet<Pid> =
            views().filter(|view| !view.responsive).map(|view| view.thread).collect();
        (!threads.is_empty()).then_some(threads)
    }

    /// The connection to begin with: the one that the call names, or the one with the fewest requests.
    /// If it was not that one, the thread goes on sleeping, and the next one follows.
    fn likeliest(&self, thread: Pid, candidates: &[u32]) -> Option<u32> {
        let sleeper = self.sleepers.iter().find(|sleeper| sleeper.thread == thread)?;
        let rank = |connection: &&u32| {
            let waiting = self.connections.get(connection).and_then(|counts| counts.waiting);
            (!sleeper.named.contains(connection), waiting)
        };
        candidates.iter().min_by_key(rank).copied()
    }
}

impl View {
    fn holds(&self, thread: Pid) -> bool {
        let id = thread.as_raw().cast_unsigned();
        self.held.iter().flatten().any(|request| request.pid == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: u32 = 40;
    const B: u32 = 41;

    fn pid(number: i32) -> Pid {
        Pid::from_raw(number)
    }

    fn request(of: i32) -> HeldRequest {
        HeldRequest { slot: 0, unique: 2, opcode: 3, nodeid: 1, pid: of.cast_unsigned() }
    }

    fn view(connection: u32, thread: i32, held: &[i32]) -> View {
        let held = Some(held.iter().copied().map(request).collect());
        View { connection, thread: pid(thread), responsive: false, held }
    }

    fn sleeper(thread: i32) -> Sleeper {
        Sleeper { thread: pid(thread), answer: true, elsewhere: false, named: BTreeSet::new() }
    }

    fn scene(views: Vec<View>, waiting: &[(u32, u64)], sleepers: Vec<Sleeper>) -> Scene {
        let channels = |number: u32| views.iter().filter(|view| view.connection == number).count();
        let connections = waiting
            .iter()
            .map(|(number, waiting)| {
                (*number, Counts { waiting: Some(*waiting), channels: channels(*number) })
            })
            .collect();
        Scene { views, connections, sleepers }
    }

    fn found(scene: &Scene) -> Vec<(i32, u32)> {
        scene.deadlocks().iter().map(|found| (found.thread.as_raw(), found.connection)).collect()
    }

    #[test]
    fn a_thread_whose_own_channel_holds_its_request_waits_for_itself() {
        let mut scene = scene(vec![view(A, 1, &[1])], &[(A, 1)], vec![sleeper(1)]);
        assert_eq!(found(&scene), [(1, A)]);
        scene.sleepers[0].elsewhere = true;
        assert_eq!(found(&scene), [(1, A)], "the header says whose request it is");
    }

    #[test]
    fn a_thread_waits_for_itself_if_its_connection_counts_a_request_that_no_channel_holds() {
        let mut scene = scene(vec![view(A, 1, &[9])], &[(A, 2)], vec![sleeper(1)]);
        assert_eq!(found(&scene), [(1, A)]);
        scene.connections.get_mut(&A).unwrap().waiting = Some(1);
        assert_eq!(found(&scene), []);
    }

    #[test]
    fn a_thread_that_may_wait_for_another_process_is_left_alone() {
        let mut scene = scene(vec![view(A, 1, &[])], &[(A, 1)], vec![sleeper(1)]);
        scene.sleepers[0].elsewhere = true;
        assert_eq!(found(&scene), []);
        scene.sleepers[0].named = [A, 77].into();
        assert_eq!(found(&scene), []);
        scene.sleepers[0].named = [A].into();
        assert_eq!(found(&scene), [(1, A)], "its call names only this one");
    }

    #[test]
    fn the_inner_of_two_mounts_of_one_thread_is_the_one_that_is_ended() {
        let scene = scene(vec![view(A, 1, &[9]), view(B, 1, &[])], &[(A, 1), (B, 1)], vec![sleeper(1)]);
        assert_eq!(found(&scene), [(1, B)]);
    }

    #[test]
    fn a_thread_that_waits_for_a_lock_waits_for_the_requests_of_the_mount_that_its_call_names() {
        let mut scene = scene(vec![view(A, 1, &[9])], &[(A, 1)], vec![sleeper(1)]);
        scene.sleepers[0].answer = false;
        scene.sleepers[0].elsewhere = true;
        assert_eq!(found(&scene), []);
        scene.sleepers[0].named = [A].into();
        assert_eq!(found(&scene), [(1, A)]);
        scene.connections.get_mut(&A).unwrap().waiting = Some(0);
        assert_eq!(found(&scene), [], "nobody's request can hold the lock");
    }

    #[test]
    fn threads_that_wait_for_each_other_never_wake() {
        let views = vec![view(A, 1, &[2]), view(B, 2, &[1])];
        let both = scene(views.clone(), &[(A, 1), (B, 1)], vec![sleeper(1), sleeper(2)]);
        assert_eq!(found(&both), [(1, B), (2, A)]);
        let one = scene(views, &[(A, 1), (B, 1)], vec![sleeper(1)]);
        assert_eq!(found(&one), [], "the other one can answer");
    }

    #[test]
    fn a_worker_that_can_have_the_request_is_waited_for() {
        let mut scene = scene(vec![view(A, 1, &[]), view(A, 2, &[])], &[(A, 1)], vec![sleeper(1)]);
        assert_eq!(found(&scene), []);
        scene.views[1].responsive = true;
        assert_eq!(found(&scene), [(1, A)], "it would have taken the request");
        scene.views[1].held = Some(vec![request(1)]);
        assert_eq!(found(&scene), [], "it has taken the request");
        scene.views[1].held = Some(Vec::new());
        scene.connections.get_mut(&A).unwrap().channels = 3;
        assert_eq!(found(&scene), [], "a third one is being started");
    }
}
