//! Finds the images that rules choose, and the repositories that they are copied to.

mod choose;
mod destinations;
mod opener;

pub use choose::{Choice, Chosen, Failure, Unmatched, choose};
pub use destinations::{Selection, Target, assign};
pub use opener::{End, Opener};
