//! Warnings about what refers to a manifest that another one takes the place of.

use futures_util::StreamExt as _;
use tranship::{Descriptor, Repository, digest_tagged};
use tranship_backends::Location;

use crate::location::quoted;
use crate::output::Output;

/// Warns if something refers to `old`: signatures, SBOMs and the like do not cover the manifest that replaces it.
///
/// Asks for one page of referrers and for three tags, and does not ask if no warning would be shown. If that fails,
/// there is no warning.
pub(super) async fn warn(
    repository: &dyn Repository,
    location: &Location,
    old: &Descriptor,
    output: Output,
) {
    if output.quiet {
        return;
    }
    let first = repository.referrers(old, None).next().await;
    let has_referrer = matches!(first, Some(Ok(_)));
    let has_any = has_referrer
        || digest_tagged(repository, old.digest())
            .await
            .is_ok_and(|found| !found.is_empty());
    if has_any {
        let location = location.clone().with_reference(*old.digest());
        output.note(format_args!(
            "warning: signatures or other artifacts refer to {}, and do not cover the new manifest: `tranship discover {}` shows them",
            old.digest(),
            quoted(&location)
        ));
    }
}
