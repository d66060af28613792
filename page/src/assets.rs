//! The style sheet, the script and the icon, under names that change with their content.

use std::sync::LazyLock;

use http::Response;
use tranship::Digest;

use crate::body::PageBody;
use crate::failure::Failure;
use crate::response;

struct Asset {
    path: String,
    content: &'static [u8],
    media_type: &'static str,
}

impl Asset {
    fn new(extension: &str, content: &'static [u8], media_type: &'static str) -> Self {
        let hash: String = Digest::of(content).hex().chars().take(16).collect();
        Self {
            path: format!("/ui/assets/{hash}.{extension}"),
            content,
            media_type,
        }
    }
}

static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "css",
        include_bytes!("../assets/page.css"),
        "text/css; charset=utf-8",
    )
});
static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "js",
        include_bytes!("../assets/page.js"),
        "text/javascript; charset=utf-8",
    )
});
static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("svg", include_bytes!("../assets/icon.svg"), "image/svg+xml"));

pub(crate) fn style() -> &'static str {
    &STYLE.path
}

pub(crate) fn script() -> &'static str {
    &SCRIPT.path
}

pub(crate) fn icon() -> &'static str {
    &ICON.path
}

/// Returns the asset with the file name `name`.
pub(crate) fn respond(name: &str) -> Result<Response<PageBody>, Failure> {
    let assets = [&*STYLE, &*SCRIPT, &*ICON];
    let mut assets = assets.into_iter();
    let asset = assets.find(|asset| asset.path.rsplit('/').next() == Some(name));
    let asset = asset.ok_or_else(Failure::not_found)?;
    Ok(response::asset(asset.content, asset.media_type))
}
