//! Files as artifacts: what is pushed, what is pulled, and what is refused.

mod failures;
mod hostile;
mod pull;
mod push;
mod support;
