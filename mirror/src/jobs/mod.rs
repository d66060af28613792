//! Copies many images, shared content once, and reports what happened to each.
