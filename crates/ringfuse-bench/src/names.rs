//! The names in the null filesystem's directory, and the nodes that they lead to.

use std::{
    array,
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Maps that are locked each on its own, so that threads seldom wait for each other.
const SHARDS: usize = 64;

type Shard = HashMap<Box<[u8]>, u64>;

/// The names of one directory. No node ever returns under another name.
#[derive(Debug)]
pub struct Names {
    shards: [Mutex<Shard>; SHARDS],
    choice: RandomState,
    next_node: AtomicU64,
}

impl Names {
    /// No names; the first one that is added gets `first_node`.
    #[must_use]
    pub fn new(first_node: u64) -> Self {
        Self {
            shards: array::from_fn(|_| Mutex::default()),
            choice: RandomState::new(),
            next_node: AtomicU64::new(first_node),
        }
    }

    /// The node of that name.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<u64> {
        self.shard(name).get(name).copied()
    }

    /// Adds the name with a new node; its node as it is, and false, if the name is there already.
    pub fn add(&self, name: &[u8]) -> (u64, bool) {
        let mut shard = self.shard(name);
        if let Some(&node) = shard.get(name) {
            return (node, false);
        }
        let node = self.next_node.fetch_add(1, Ordering::Relaxed);
        shard.insert(name.into(), node);
        (node, true)
    }

    /// Takes the name away; false if there is none.
    #[must_use]
    pub fn remove(&self, name: &[u8]) -> bool {
        self.shard(name).remove(name).is_some()
    }

    /// Gives the node of `name` the name `new_name`, whatever had it before; false if there is none.
    #[must_use]
    pub fn rename(&self, name: &[u8], new_name: &[u8]) -> bool {
        let Some(node) = self.shard(name).remove(name) else { return false };
        self.shard(new_name).insert(new_name.into(), node);
        true
    }

    /// The nodes above `node` and their names, in ascending order.
    #[must_use]
    pub fn after(&self, node: u64) -> Vec<(u64, Box<[u8]>)> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            found.extend(shard.iter().filter(|(_, at)| **at > node).map(|(name, at)| (*at, name.clone())));
        }
        found.sort_unstable();
        found
    }

    fn shard(&self, name: &[u8]) -> MutexGuard<'_, Shard> {
        let hash = usize::try_from(self.choice.hash_one(name) % SHARDS as u64).unwrap_or_default();
        lock(&self.shards[hash])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_exists_from_its_addition_to_its_removal() {
        let names = Names::new(2);
        assert_eq!(names.find(b"bench-0"), None);
        assert_eq!(names.add(b"bench-0"), (2, true));
        assert_eq!(names.find(b"bench-0"), Some(2));
        assert!(names.remove(b"bench-0"));
        assert_eq!(names.find(b"bench-0"), None);
        assert!(!names.remove(b"bench-0"));
    }

    #[test]
    fn a_name_that_is_there_keeps_its_node() {
        let names = Names::new(2);
        assert_eq!(names.add(b"file"), (2, true));
        assert_eq!(names.add(b"file"), (2, false));
    }

    #[test]
    fn a_removed_name_that_comes_back_has_a_new_node() {
        let names = Names::new(2);
        names.add(b"file");
        assert!(names.remove(b"file"));
        assert_eq!(names.add(b"file"), (3, true));
    }

    #[test]
    fn a_renamed_node_has_its_new_name_only() {
        let names = Names::new(2);
        names.add(b"old");
        names.add(b"taken");
        assert!(names.rename(b"old", b"taken"));
        assert_eq!((names.find(b"old"), names.find(b"taken")), (None, Some(2)));
        assert!(!names.rename(b"old", b"new"));
    }

    #[test]
    fn names_are_listed_in_the_order_of_their_nodes_from_any_of_them_on() {
        let names = Names::new(2);
        let expected: Vec<_> = (0..200_u64).map(|number| (number + 2, format!("bench-{number}"))).collect();
        for (_, name) in &expected {
            names.add(name.as_bytes());
        }
        for start in [0, 100, 201] {
            let listed: Vec<_> = names
                .after(start)
                .into_iter()
                .map(|(node, name)| (node, String::from_utf8(name.into()).unwrap()))
                .collect();
            let rest: Vec<_> = expected.iter().filter(|(node, _)| *node > start).cloned().collect();
            assert_eq!(listed, rest);
        }
    }
}
