//! Registries that mean harm: what they send is bounded, what they claim is checked, and where they lead
//! the secrets of others do not go.

mod bounds;
mod elsewhere;
mod fake;
mod lies;
mod logins;
