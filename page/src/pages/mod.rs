//! The pages.

mod artifact;
mod compare;
mod delete;
mod download;
pub(crate) mod failure;
mod files;
mod image;
mod layer;
mod login;
mod manifest;
mod mirrors;
mod referrers;
mod repositories;
mod repository;
mod sbom;
mod tag_list;
mod view;

use http::Response;
use tranship_server::AuditOperation;

use crate::assets;
use crate::audit::Change;
use crate::body::PageBody;
use crate::context::Context;
use crate::failure::Failure;
use crate::form::Form;
use crate::route::{RepositoryRoute, Route};

/// Shows the page at `route`.
pub(crate) async fn show(
    context: &Context<'_>,
    route: Route,
) -> Result<Response<PageBody>, Failure> {
    let (name, page) = match route {
        Route::Repositories => return repositories::show(context).await,
        Route::Mirrors => return mirrors::show(context).await,
        Route::Login => return Ok(login::show(context)),
        Route::Asset(name) => return assets::respond(&name),
        Route::Logout => return Err(Failure::method_not_allowed()),
        Route::Repository(name, page) => (name, page),
    };
    let repository = context.repository(&name).await?;
    let repository = &*repository;
    match page {
        RepositoryRoute::Tags => repository::show(context, repository).await,
        RepositoryRoute::Compare => compare::show(context, repository).await,
        RepositoryRoute::Manifest(reference) => {
            manifest::show(context, repository, &reference).await
        }
        RepositoryRoute::RawManifest(reference) => download::manifest(repository, &reference).await,
        RepositoryRoute::Referrers(reference) => {
            referrers::show(context, repository, &reference).await
        }
        RepositoryRoute::Files(reference) => files::show(context, repository, &reference).await,
        RepositoryRoute::FileContent(reference) => {
            download::file(context, repository, &reference).await
        }
        RepositoryRoute::Layer(reference, layer) => {
            layer::show(context, repository, &reference, &layer).await
        }
        RepositoryRoute::Blob(reference, blob) => {
            view::show(context, repository, &reference, &blob).await
        }
        RepositoryRoute::BlobContent(reference, blob) => {
            download::blob(repository, &reference, &blob).await
        }
        RepositoryRoute::Delete(reference) => {
            delete::confirm(context, repository, &reference).await
        }
        RepositoryRoute::Untag(tag) => delete::confirm_untag(context, repository, &tag).await,
    }
}

/// Does what a form asks for.
pub(crate) async fn submit(
    context: &Context<'_>,
    route: Route,
    form: &Form,
) -> Result<Response<PageBody>, Failure> {
    match route {
        Route::Login => login::log_in(context, form).await,
        Route::Logout => login::log_out(context, form),
        Route::Repository(name, RepositoryRoute::Delete(reference)) => {
            let change = Change::new(AuditOperation::DeleteManifest, &name, &reference);
            let deleted = async {
                let repository = context.repository(&name).await?;
                delete::delete(context, &*repository, &reference, form).await
            };
            change.attempt(context, deleted).await
        }
        Route::Repository(name, RepositoryRoute::Untag(tag)) => {
            let change = Change::new(AuditOperation::DeleteTag, &name, &tag);
            let removed = async {
                let repository = context.repository(&name).await?;
                delete::untag(context, &*repository, &tag, form).await
            };
            change.attempt(context, removed).await
        }
        _ => Err(Failure::method_not_allowed()),
    }
}
