//! Logging in and out.

use http::header::{HeaderValue, SET_COOKIE};
use http::{Response, StatusCode};
use maud::{Markup, html};
use tranship::ErrorKind;

use crate::body::PageBody;
use crate::context::Context;
use crate::failure::Failure;
use crate::form::Form;
use crate::html::frame::{Crumb, frame};
use crate::html::text::Text;
use crate::links;
use crate::response;
use crate::viewer;

pub(super) fn show(context: &Context<'_>) -> Response<PageBody> {
    if !context.viewer.could_log_in() {
        return response::see_other(links::ROOT);
    }
    response::html(StatusCode::OK, page(context, "", None))
}

fn page(context: &Context<'_>, user: &str, problem: Option<&str>) -> Markup {
    let content = html! {
        div.narrow {
            h1 { "Log in" }
            @if let Some(problem) = problem {
                p.problem #problem role="alert" { (problem) }
            }
            form.stacked method="post" action=(links::LOGIN) {
                label for="user" { "User" }
                input #user name="user" value=(Text(user)) autocomplete="username" autocapitalize="none"
                    spellcheck="false" required autofocus
                    aria-describedby=[problem.map(|_| "problem")];
                label for="password" { "Password" }
                input #password name="password" type="password" autocomplete="current-password" required;
                button.primary type="submit" { "Log in" }
            }
        }
    };
    frame(
        context,
        "Log in",
        &[Crumb::new("Repositories", links::ROOT)],
        content,
    )
}

pub(super) async fn log_in(
    context: &Context<'_>,
    form: &Form,
) -> Result<Response<PageBody>, Failure> {
    let Some(access) = &context.access else {
        return Err(Failure::not_found());
    };
    let (user, password) = (form.field("user"), form.field("password"));
    let identity = access
        .log_in(user, password.as_bytes(), &context.peer)
        .await;
    let service = context.service;
    let login = service.audit_login(context.request, &context.id, user, &identity);
    login.await;
    let identity = match identity {
        Ok(identity) => identity,
        Err(error) if error.kind() == ErrorKind::Unauthorized => {
            let problem = Some("The user or the password is wrong.");
            return Ok(response::html(
                StatusCode::FORBIDDEN,
                page(context, user, problem),
            ));
        }
        Err(error) => return Err(Failure::from(error).recorded()),
    };
    end_session(context);
    let secret = context.state.sessions.begin(identity)?;
    Ok(with_cookie(context, &secret))
}

pub(super) fn log_out(context: &Context<'_>, form: &Form) -> Result<Response<PageBody>, Failure> {
    form.check_token(context)?;
    end_session(context);
    Ok(with_cookie(context, ""))
}

fn end_session(context: &Context<'_>) {
    if let Some(secret) = viewer::cookie(context.request, context.peer.is_tls) {
        context.state.sessions.end(secret);
    }
}

/// Sends the browser to the list of repositories with `secret` as its session.
fn with_cookie(context: &Context<'_>, secret: &str) -> Response<PageBody> {
    let mut response = response::see_other(links::ROOT);
    let cookie = viewer::set_cookie(secret, context.peer.is_tls);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}
