//! The manifests that an index lists.

use std::ops::Deref;
use std::sync::Arc;

use tranship::Descriptor;

/// What names them, and no more. They can be very many, so whoever needs them shares them; most
/// manifests have none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Children(Option<Arc<Vec<Descriptor>>>);

impl From<Vec<Descriptor>> for Children {
    fn from(mut children: Vec<Descriptor>) -> Self {
        children.shrink_to_fit();
        Self((!children.is_empty()).then(|| Arc::new(children)))
    }
}

impl Deref for Children {
    type Target = [Descriptor];

    fn deref(&self) -> &[Descriptor] {
        match &self.0 {
            Some(children) => children,
            None => &[],
        }
    }
}
