//! What is around every page.

use maud::{DOCTYPE, Markup, html};

use super::parts::token_field;
use super::text::Text;
use crate::assets;
use crate::context::Context;
use crate::links;

/// A link in the path that leads to a page.
pub(crate) struct Crumb {
    pub(crate) label: String,
    pub(crate) address: String,
}

impl Crumb {
    pub(crate) fn new(label: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            address: address.into(),
        }
    }
}

/// Returns the page with the title `title`, to which `crumbs` lead.
pub(crate) fn frame(
    context: &Context<'_>,
    title: &str,
    crumbs: &[Crumb],
    content: Markup,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (Text(title)) " · tranship" }
                link rel="icon" href=(assets::icon()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::style());
                script src=(assets::script()) defer {}
            }
            body {
                a.skip href="#content" { "Skip to content" }
                header.top {
                    div.width {
                        a.brand href=(links::ROOT) {
                            img src=(assets::icon()) alt="" width="22" height="22";
                            "tranship"
                        }
                        span.host { (context.host()) }
                        (user(context))
                    }
                }
                div.width {
                    @if !crumbs.is_empty() {
                        nav.crumbs aria-label="Breadcrumb" {
                            ol {
                                @for crumb in crumbs {
                                    li { a href=(crumb.address) { (Text(&crumb.label)) } }
                                }
                                li aria-current="page" { (Text(title)) }
                            }
                        }
                    }
                    main #content tabindex="-1" { (content) }
                }
                footer {
                    div.width { "tranship " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    }
}

fn user(context: &Context<'_>) -> Markup {
    html! {
        div.user {
            @if let Some(user) = context.viewer.user() {
                span { "Logged in as " strong { (Text(user)) } }
                form method="post" action=(links::LOGOUT) {
                    (token_field(context))
                    button type="submit" { "Log out" }
                }
            } @else if context.viewer.could_log_in() {
                a.button href=(links::LOGIN) { "Log in" }
            }
        }
    }
}
