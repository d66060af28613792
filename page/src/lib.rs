//! Web pages of a registry: its repositories, tags, images and artifacts, for people with a browser.
//!
//! [`Page`] wraps the [`RegistryService`](tranship_server::RegistryService) of a registry. It responds to requests below
//! `/ui/`, redirects a browser from `/` to there, and passes every other request to the service.
//!
//! ```
//! use std::sync::Arc;
//! use tranship_memory::MemoryRegistry;
//! use tranship_page::{Page, PageOptions};
//! use tranship_server::{ServerOptions, TestServer, router};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> tranship::Result<()> {
//! let registry = Arc::new(MemoryRegistry::new());
//! let service = router(registry, ServerOptions::default());
//! let page = Page::new(service, PageOptions::default())?;
//! let server = TestServer::serve(page).await?;
//! println!("http://{}/ui/", server.host());
//! # Ok(())
//! # }
//! ```
//!
//! Pages are rendered on the server and work without JavaScript. Everything that they show comes from a registry and is
//! hostile: it is escaped, its control characters are shown visibly, and the browser is told to run nothing but the one
//! script of this crate. Every read is bounded in size, number and time. What a user may not read is neither shown nor
//! counted, and looks like something that does not exist.
//!
//! The pages need a tokio runtime with timers enabled.

mod assets;
mod audit;
mod body;
mod context;
mod details;
mod documents;
mod failure;
mod form;
mod html;
mod layer_readers;
mod links;
mod names;
mod options;
mod origin;
mod pages;
mod response;
mod route;
mod service;
mod sessions;
mod viewer;

pub use body::PageBody;
pub use options::PageOptions;
pub use service::Page;
