//! Layers: what can be put around any repository and any registry.
//!
//! A layer wraps a [`Backend`](crate::Backend) or a [`Registry`](crate::Registry) and is one, so layers combine in
//! any order. `MemoryRepository`, `Layout` and every other backend can be wrapped, and so can an
//! `Arc<dyn Repository>`, an `Arc<dyn Registry>` or a reference to one of them.
//!
//! | Layer | What it does |
//! |---|---|
//! | [`ReadOnly`] | refuses every change |
//!
//! Every layer passes the conformance suite with the capabilities that it declares, alone and around every other
//! layer.

mod read_only;

pub use read_only::ReadOnly;
