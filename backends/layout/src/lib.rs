//! Placeholder while the core takes shape.
