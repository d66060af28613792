//! How much a layout stores.

use futures_util::TryStreamExt as _;
use tranship::{Result, ResultExt as _};

use crate::driver::StoredName;
use crate::layout::Layout;

impl Layout {
    /// Returns how many bytes the manifests and blobs of the layout have, whether or not a tag leads to them. Only names
    /// and sizes are read. A layout that does not exist has none.
    ///
    /// Content that is stored or removed in the meantime may be counted or not.
    ///
    /// # Errors
    /// The error of listing the content.
    pub async fn stored_bytes(&self) -> Result<u64> {
        let count = async {
            let mut bytes = 0_u64;
            let driver = self.shared.store.driver().await?;
            let mut pages = driver.stored();
            while let Some(page) = pages.try_next().await? {
                let blobs = page.iter();
                let blobs = blobs.filter(|stored| matches!(stored.name, StoredName::Blob(_)));
                bytes = blobs.fold(bytes, |sum, stored| sum.saturating_add(stored.size));
            }
            Ok(bytes)
        };
        count.await.during("count", &self.shared.name)
    }
}
