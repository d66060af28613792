//! Files as artifacts: pushes, pulls, and what they refuse.

mod failures;
mod hostile;
mod pull;
mod push;
mod support;
