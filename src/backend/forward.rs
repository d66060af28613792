//! What a layer passes on as it is.

/// Implements methods of [`Backend`](crate::Backend) by calling them on another backend, inside the `impl` of a layer.
///
/// The call names `self`, the backend to call, and the methods. A method that is neither named nor written is one
/// that the layer has not decided about: `#[deny(clippy::missing_trait_methods)]` reports it.
///
/// ```
/// use async_trait::async_trait;
/// use tranship::{Backend, Content, ContentKind, Descriptor, Result};
///
/// /// Prints what is read.
/// #[derive(Debug)]
/// struct Printing<B>(B);
///
/// #[deny(clippy::missing_trait_methods)]
/// #[async_trait]
/// impl<B: Backend> Backend for Printing<B> {
///     async fn read(&self, kind: ContentKind, target: &Descriptor) -> Result<Content> {
///         println!("reading {}", target.digest());
///         self.0.read(kind, target).await
///     }
///
///     tranship::forward_backend!(self, self.0;
///         info stat write read_range read_reference direct_url find mount_blob remove set_tag remove_tag
///         list_tags list_referrers list_predecessors start_upload resume_upload begin_batch prepare_for_pushes);
/// }
/// ```
#[macro_export]
macro_rules! forward_backend {
    ($self:ident, $inner:expr; $($method:ident)*) => {
        $($crate::forward_backend!(@$method $self, $inner);)*
    };
    (@info $self:ident, $inner:expr) => {
        fn info(&$self) -> $crate::RepositoryInfo<'_> {
            $crate::Backend::info(&$inner)
        }
    };
    (@read $self:ident, $inner:expr) => {
        fn read<'life0, 'life1, 'async_trait>(
            &'life0 $self,
            kind: $crate::ContentKind,
            target: &'life1 $crate::Descriptor,
        ) -> $crate::forward_backend!(@future $crate::Content)
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::read(&$inner, kind, target)
        }
    };
    (@stat $self:ident, $inner:expr) => {
        fn stat<'life0, 'life1, 'async_trait>(
            &'life0 $self,
            kind: $crate::ContentKind,
            reference: &'life1 $crate::TagOrDigest,
        ) -> $crate::forward_backend!(@future $crate::Descriptor)
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::stat(&$inner, kind, reference)
        }
    };
    (@write $self:ident, $inner:expr) => {
        fn write<'life0, 'life1, 'life2, 'life3, 'life4, 'async_trait>(
            &'life0 $self,
            kind: $crate::ContentKind,
            expected: &'life1 $crate::Descriptor,
            source: $crate::Source<'life2>,
            options: &'life3 $crate::PushOptions<'life4>,
        ) -> $crate::forward_backend!(@future $crate::PushOutcome)
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            'life2: 'async_trait,
            'life3: 'async_trait,
            'life4: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::write(&$inner, kind, expected, source, options)
        }
    };
    (@read_range $self:ident, $inner:expr) => {
        fn read_range<'life0, 'life1, 'async_trait>(
            &'life0 $self,
            kind: $crate::ContentKind,
            target: &'life1 $crate::Descriptor,
            range: $crate::ByteRange,
        ) -> $crate::forward_backend!(@future $crate::Content)
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::read_range(&$inner, kind, target, range)
        }
    };
    (@read_reference $self:ident, $inner:expr) => {
        fn read_reference<'life0, 'life1, 'async_trait>(
            &'life0 $self,
            kind: $crate::ContentKind,
            reference: &'life1 $crate::TagOrDigest,
        ) -> $crate::forward_backend!(@future $crate::Content)
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::read_reference(&$inner, kind, reference)
        }
    };
    (@direct_url $self:ident, $inner:expr) => {
        fn direct_url<'life0, 'life1, 'async_trait>(
            &'life0 $self,
            kind: $crate::ContentKind,
            target: &'life1 $crate::Descriptor,
            valid_for: ::std::time::Duration,
        ) -> $crate::forward_backend!(@future ::std::option::Option<$crate::DirectUrl>)
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::direct_url(&$inner, kind, target, valid_for)
        }
    };
    (@find $self:ident, $inner:expr) => {
        fn find<'life0, 'life1, 'async_trait>(
            &'life0 $self,
            kind: $crate::ContentKind,
            target: &'life1 $crate::Descriptor,
            access: $crate::Access,
        ) -> $crate::forward_backend!(@future $crate::Presence)
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::find(&$inner, kind, target, access)
        }
    };
    (@mount_blob $self:ident, $inner:expr) => {
        fn mount_blob<'life0, 'life1, 'life2, 'life3, 'async_trait>(
            &'life0 $self,
            target: &'life1 $crate::Descriptor,
            from: &'life2 $crate::RepositoryName,
            fallback: ::std::option::Option<$crate::Source<'life3>>,
        ) -> $crate::forward_backend!(@future $crate::PushOutcome)
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            'life2: 'async_trait,
            'life3: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::mount_blob(&$inner, target, from, fallback)
        }
    };
    (@remove $self:ident, $inner:expr) => {
        fn remove<'life0, 'life1, 'async_trait>(
            &'life0 $self,
            kind: $crate::ContentKind,
            target: &'life1 $crate::Descriptor,
        ) -> $crate::forward_backend!(@future ())
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::remove(&$inner, kind, target)
        }
    };
    (@set_tag $self:ident, $inner:expr) => {
        fn set_tag<'life0, 'life1, 'life2, 'async_trait>(
            &'life0 $self,
            target: &'life1 $crate::Descriptor,
            tag: &'life2 $crate::Tag,
        ) -> $crate::forward_backend!(@future ())
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            'life2: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::set_tag(&$inner, target, tag)
        }
    };
    (@remove_tag $self:ident, $inner:expr) => {
        fn remove_tag<'life0, 'life1, 'async_trait>(
            &'life0 $self,
            tag: &'life1 $crate::Tag,
        ) -> $crate::forward_backend!(@future ())
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::remove_tag(&$inner, tag)
        }
    };
    (@list_tags $self:ident, $inner:expr) => {
        fn list_tags(&$self, options: $crate::ListOptions) -> $crate::Listing<'_, $crate::Tag> {
            $crate::Backend::list_tags(&$inner, options)
        }
    };
    (@list_referrers $self:ident, $inner:expr) => {
        fn list_referrers<'a>(
            &'a $self,
            subject: &$crate::Descriptor,
            artifact_type: ::std::option::Option<&$crate::MediaType>,
        ) -> $crate::Listing<'a, $crate::Descriptor> {
            $crate::Backend::list_referrers(&$inner, subject, artifact_type)
        }
    };
    (@list_predecessors $self:ident, $inner:expr) => {
        fn list_predecessors<'life0, 'life1, 'async_trait>(
            &'life0 $self,
            node: &'life1 $crate::Descriptor,
        ) -> $crate::forward_backend!(@future ::std::vec::Vec<$crate::Descriptor>)
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::list_predecessors(&$inner, node)
        }
    };
    (@start_upload $self:ident, $inner:expr) => {
        fn start_upload<'life0, 'async_trait>(
            &'life0 $self,
        ) -> $crate::forward_backend!(@future ::std::boxed::Box<dyn $crate::Upload>)
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::start_upload(&$inner)
        }
    };
    (@resume_upload $self:ident, $inner:expr) => {
        fn resume_upload<'life0, 'life1, 'async_trait>(
            &'life0 $self,
            id: &'life1 $crate::UploadId,
        ) -> $crate::forward_backend!(@future ::std::boxed::Box<dyn $crate::Upload>)
        where
            'life0: 'async_trait,
            'life1: 'async_trait,
            Self: 'async_trait,
        {
            $crate::Backend::resume_upload(&$inner, id)
        }
    };
    (@begin_batch $self:ident, $inner:expr) => {
        fn begin_batch(
            &$self,
        ) -> ::std::option::Option<::std::boxed::Box<dyn $crate::Batch + '_>> {
            $crate::Backend::begin_batch(&$inner)
        }
    };
    (@prepare_for_pushes $self:ident, $inner:expr) => {
        fn prepare_for_pushes(&$self) {
            $crate::Backend::prepare_for_pushes(&$inner);
        }
    };
    // The type that `#[async_trait]` gives to the methods of the trait.
    (@future $output:ty) => {
        ::std::pin::Pin<
            ::std::boxed::Box<
                dyn ::std::future::Future<Output = $crate::Result<$output>>
                    + ::std::marker::Send
                    + 'async_trait,
            >,
        >
    };
}
