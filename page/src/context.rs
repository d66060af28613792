//! What the pages of a request need.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::HOST;
use http::request::Parts;
use tranship::{Registry, Repository, RepositoryName};
use tranship_server::{Access, Event, Peer, Permission, RegistryService};
use url::form_urlencoded;

use crate::details::DetailsCache;
use crate::failure::Failure;
use crate::layer_readers::{LayerReaders, Reader, ReadingPermit};
use crate::names::NameCache;
use crate::options::PageOptions;
use crate::sessions::{Sessions, secret};
use crate::viewer::Viewer;

/// How long a request waits until it may read layers.
const LONGEST_QUEUE: Duration = Duration::from_secs(10);

/// The state that all requests share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: PageOptions,
    pub(crate) sessions: Sessions,
    pub(crate) details: DetailsCache,
    pub(crate) names: NameCache,
    /// The secret of forms on a server without users.
    open_form_token: Arc<str>,
    layer_readers: LayerReaders,
}

impl State {
    pub(crate) fn new(options: PageOptions) -> tranship::Result<Self> {
        Ok(Self {
            sessions: Sessions::new(options.session_lifetime, options.max_sessions),
            details: DetailsCache::default(),
            names: NameCache::default(),
            open_form_token: secret()?.into(),
            layer_readers: LayerReaders::new(options.max_layer_readers),
            options,
        })
    }
}

/// A request for a page.
pub(crate) struct Context<'a> {
    pub(crate) state: &'a State,
    pub(crate) service: &'a RegistryService,
    pub(crate) registry: Arc<dyn Registry>,
    /// `None` if every caller may do everything.
    pub(crate) access: Option<Access>,
    pub(crate) request: &'a Parts,
    /// The id of the request.
    pub(crate) id: String,
    pub(crate) viewer: Viewer,
    pub(crate) peer: Peer,
}

impl<'a> Context<'a> {
    pub(crate) async fn of(
        state: &'a State,
        service: &'a RegistryService,
        request: &'a Parts,
        id: String,
    ) -> Self {
        let (registry, access) = (service.registry(), service.access());
        let peer = Peer::of(&request.extensions);
        let viewer = Viewer::of(
            request,
            peer.is_tls,
            access.as_ref(),
            &state.sessions,
            &state.open_form_token,
        )
        .await;
        Self {
            state,
            service,
            registry,
            access,
            request,
            id,
            viewer,
            peer,
        }
    }

    /// Returns the first value of the parameter `name` in the address; empty if there is none.
    pub(crate) fn parameter(&self, name: &str) -> Cow<'a, str> {
        let query = self.request.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .find_map(|(key, value)| (key == name).then_some(value))
            .unwrap_or_default()
    }

    /// Opens the repository `name` for reading.
    ///
    /// # Errors
    /// The same failure as for a repository that does not exist if the viewer may not read it.
    pub(crate) async fn repository(
        &self,
        name: &RepositoryName,
    ) -> Result<Arc<dyn Repository>, Failure> {
        let name = &self.service.stored_name(name);
        if !self.viewer.may(name, Permission::Read) {
            return Err(Failure::not_found());
        }
        Ok(self.registry.repository(name).await?)
    }

    /// Reports a change by the viewer.
    pub(crate) fn report(&self, event: Event) {
        self.service
            .report(event, self.request, self.viewer.identity(), &self.id);
    }

    /// Waits until few enough other requests read layers, and no other one of the viewer.
    ///
    /// # Errors
    /// 503 if that takes longer than some seconds.
    pub(crate) async fn layer_reader(&self) -> Result<ReadingPermit, Failure> {
        let reader = match self.viewer.user() {
            Some(user) => Reader::User(user.to_owned()),
            None => Reader::Address(self.peer.address.map(|address| address.ip())),
        };
        let permit = self.state.layer_readers.acquire(reader);
        match tokio::time::timeout(LONGEST_QUEUE, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Failure::busy()),
        }
    }

    /// Returns the host of the registry for commands: what the browser has connected to.
    pub(crate) fn host(&self) -> &'a str {
        let host = self.request.headers.get(HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let is_host = |host: &&str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
            !host.is_empty() && host.len() <= 260 && host.bytes().all(allowed)
        };
        host.filter(is_host).unwrap_or("localhost:5000")
    }
}
