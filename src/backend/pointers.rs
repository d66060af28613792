//! What points to a backend is one, so that a layer can own its backend, share it or borrow it.

use std::sync::Arc;

use super::{Backend, Batch};

macro_rules! point_to_backend {
    ([$($generics:tt)*] $pointer:ty, $self:ident => $backend:expr) => {
        #[deny(clippy::missing_trait_methods)]
        impl<$($generics)*> Backend for $pointer {
            crate::forward_backend!($self, *$backend;
                info read stat write read_range read_reference direct_url find mount_blob remove set_tag remove_tag
                list_tags list_referrers list_predecessors start_upload resume_upload begin_batch
                prepare_for_pushes);
        }
    };
}

point_to_backend!([T: Backend + ?Sized] &T, self => *self);
point_to_backend!([T: Backend + ?Sized] Box<T>, self => *self);
point_to_backend!([T: Backend + ?Sized] Arc<T>, self => *self);
point_to_backend!(['b] Box<dyn Batch + 'b>, self => self.backend());
