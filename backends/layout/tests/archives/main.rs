//! Layouts in archives, against files made by hand.

#[path = "../support/mod.rs"]
mod support;

mod archive;
mod damage;
mod docker;
mod reading;
mod writing;
