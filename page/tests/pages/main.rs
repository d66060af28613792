//! The pages over real connections.

mod access;
mod changes;
mod content;
mod downloads;
mod hostile;
mod layers;
mod lists;
mod mirrors;
mod refused_changes;
mod requests;
mod service;
mod support;
