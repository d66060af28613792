//! Registries of all sorts, as servers of bytes: odd ones that a client has to cope with, and those that mean
//! harm. What they send is bounded, what they claim is checked, and where they lead the secrets of others
//! do not go.

mod bounds;
mod callers_client;
mod certificates;
mod connections;
mod edges;
mod elsewhere;
mod errors;
mod fake;
mod lies;
mod logins;
mod referrers;
mod schemes;
