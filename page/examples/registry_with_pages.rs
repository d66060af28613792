//! An empty registry in memory, with pages, on the port that is given.
//!
//!     cargo run -p tranship-page --example registry_with_pages 5000

use std::net::Ipv4Addr;
use std::sync::Arc;

use tranship_memory::MemoryRegistry;
use tranship_page::{Page, PageOptions};
use tranship_server::{Server, ServerOptions, router};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "5000".to_owned());
    let service = router(Arc::new(MemoryRegistry::new()), ServerOptions::default());
    let page = Page::new(service, PageOptions::default())?;
    let server = Server::bind((Ipv4Addr::LOCALHOST, port.parse()?), page).await?;
    println!("http://{}/ui/", server.address()?);
    server.run(std::future::pending()).await;
    Ok(())
}
