//! How far an extended copy has come against the direction of the graph.
//!
//! It makes one step after the other: everything that a step reaches, and everything below that, is
//! known before the next step begins. So a node has its fewest steps when it is found, in whatever order
//! the single pieces of work end.

use super::extended::{ExtendedCopyOptions, Follow};
use super::nodes::Id;

pub(super) struct Levels {
    /// What a step follows; `None` for a copy that makes none.
    follow: Option<Follow>,
    /// How many steps may be made.
    depth: usize,
    /// How many have been made.
    current: usize,
    /// How many pieces of work may still find nodes on this level.
    searching: usize,
    /// The nodes from which the next step is made. A node that was found in two ways is there twice.
    reached: Vec<Id>,
}

impl Levels {
    pub(super) fn new(options: Option<&ExtendedCopyOptions>) -> Self {
        let follow = options.map(|options| options.follow);
        let depth = options.map_or(0, |options| options.depth.unwrap_or(usize::MAX));
        Self {
            follow,
            depth,
            current: 0,
            searching: 0,
            reached: Vec::new(),
        }
    }

    /// Whether steps lead to whatever refers to a node, and not only to its referrers.
    pub(super) fn go_upward(&self) -> bool {
        self.follow == Some(Follow::Predecessors)
    }

    /// Whether another step will be made.
    pub(super) fn will_step(&self) -> bool {
        self.follow.is_some() && self.current < self.depth
    }

    /// How many steps have been made.
    pub(super) fn steps(&self) -> usize {
        self.current
    }

    /// Notes a node from which the next step is made.
    pub(super) fn reach(&mut self, id: Id) {
        if self.will_step() {
            self.reached.push(id);
        }
    }

    /// Notes work that may find nodes.
    pub(super) fn search_begins(&mut self) {
        self.searching += 1;
    }

    /// Notes that such work has ended, and that what it found is known.
    pub(super) fn search_ends(&mut self) {
        self.searching -= 1;
    }

    /// The nodes from which to make the next step, each once, if this level is known; otherwise none.
    pub(super) fn step(&mut self) -> Vec<Id> {
        if self.searching > 0 || self.reached.is_empty() {
            return Vec::new();
        }
        self.current += 1;
        let mut reached = std::mem::take(&mut self.reached);
        reached.sort_unstable();
        reached.dedup();
        reached
    }
}
