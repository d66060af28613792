//! What the pages are made of.

pub(crate) mod commands;
pub(crate) mod frame;
pub(crate) mod parts;
pub(crate) mod text;
pub(crate) mod time;
