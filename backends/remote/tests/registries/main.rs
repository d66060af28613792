//! Unusual and hostile registries, as servers that send given bytes. What they send is limited, what they claim is
//! verified, and secrets are sent to no other host than the one that they are for.

mod callers_client;
mod certificates;
mod connections;
mod edge_cases;
mod errors;
mod fake;
mod limits;
mod logins;
mod other_origins;
mod rate_limit;
mod referrers;
mod schemes;
mod wrong_content;
