//! Named misbehaviours, and the registries that have them.

use std::fmt;

macro_rules! quirks {
    ($($(#[doc = $doc:literal])+ $quirk:ident $name:literal [$($group:literal)*])+) => {
        /// A way in which a registry strays from the distribution spec, or makes use of what it
        /// leaves open.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Quirk {
            $($(#[doc = $doc])+ $quirk,)+
        }

        impl Quirk {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$quirk),+];

            /// The name, such as `no-digest-on-tag-get`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$quirk => $name,)+
                }
            }

            /// The groups of scenarios that the quirk touches, for
            /// [`Suite::with_groups`](crate::Suite::with_groups). None for a quirk that no client
            /// should put up with: in this case the client has to return an error.
            #[must_use]
            pub const fn groups(self) -> &'static [&'static str] {
                match self {
                    $(Self::$quirk => &[$($group),*],)+
                }
            }
        }
    };
}

quirks! {
    /// `GET` of a manifest has no `Docker-Content-Digest`, as at ECR.
    NoDigestOnGet "no-digest-on-get" ["tags" "routing"]
    /// `HEAD` of a manifest has no `Docker-Content-Digest`, as behind caches that know nothing of it.
    NoDigestOnHead "no-digest-on-head" ["tags" "routing"]
    /// No response has a `Docker-Content-Digest`: the spec does not ask for it, and static registries
    /// on object storage have none.
    NoDigest "no-digest" ["tags" "routing" "blobs" "mounts"]
    /// `GET` and `HEAD` of manifests tell the digest of something else.
    WrongManifestDigest "wrong-manifest-digest" []
    /// `GET` and `HEAD` of blobs tell the digest of something else.
    WrongBlobDigest "wrong-blob-digest" []
    /// `HEAD` has no `Content-Length`, as behind proxies that compress.
    NoLengthOnHead "no-length-on-head" ["tags" "routing"]
    /// Bodies come in HTTP's chunks without a `Content-Length`, as behind proxies
    /// that change bodies.
    NoLengthOnGet "no-length-on-get" ["manifests" "ranges" "tag_listing"]
    /// Manifests have no `Content-Type`, as on plain file servers.
    NoContentType "no-content-type" ["manifests" "routing"]
    /// Manifests have the `Content-Type` `application/octet-stream`, as on object storage.
    WrongContentType "wrong-content-type" ["manifests" "routing"]
    /// Every `Content-Type` has a parameter, `; charset=utf-8`, as web frameworks add it.
    ContentTypeParameter "content-type-parameter" ["manifests" "routing" "referrers"]
    /// `HEAD` of manifests is not allowed (405), as behind caches that know `GET` alone.
    NoManifestHead "no-manifest-head" ["tags" "routing"]
    /// `HEAD` is not implemented at all (501), as at servers that know `GET` alone.
    NoHead "no-head" ["blobs" "manifests" "tags" "routing" "mounts" "deletion"]
    /// Responses do not have an `ETag`: the spec does not mention it.
    NoEtag "no-etag" ["ranges"]
    /// Manifests and blobs have a `Content-Encoding` and are not encoded, as where a server takes gzip
    /// layers for files that it has compressed itself.
    EncodingLabel "encoding-label" ["manifests" "blobs" "ranges" "tags" "routing"]
    /// A tag `sha256-HEX` that does not exist is resolved to the digest `sha256:HEX`, as at GitLab. The
    /// referrers API, for which that tag is the substitute, is missing.
    DigestTags "digest-tags" ["referrers" "predecessors" "tags"]

    /// Every `Location` is a whole URL, as at distribution.
    AbsoluteLocation "absolute-location" ["uploads" "mounts"]
    /// The `Location` of an upload is relative to the request's path, as RFC 9110 allows.
    RelativeLocation "relative-location" ["uploads" "verification"]
    /// The `Location` of an upload has a query that has to be sent back unchanged, as at distribution
    /// and what is made of it.
    LocationQuery "location-query" ["uploads" "verification"]
    /// Every `Location` is a whole URL without the port, as behind proxies that are set up badly. That
    /// is another origin, unless the port is the scheme's own.
    PortlessLocation "portless-location" ["uploads" "mounts" "verification"]
    /// Every `Location` and `Link` is a whole URL with the scheme and host that the registry is configured
    /// with, `https://registry.example`, whatever it is reached by, as at Harbor.
    ConfiguredHost "configured-host" ["uploads" "mounts" "verification" "tag_listing" "catalog"]
    /// A manifest that was pushed has no `Location`, as at ECR.
    NoManifestLocation "no-manifest-location" ["tags"]
    /// The response to `PATCH` has no `Location`.
    NoPatchLocation "no-patch-location" ["uploads"]
    /// The response to `PATCH` is 201, as at ECR.
    CreatedOnPatch "created-on-patch" ["uploads"]
    /// The response to `PATCH` has no `Range`, although the spec wants one.
    NoPatchRange "no-patch-range" ["uploads"]
    /// An upload begins with the `Range` `0--1`, as at olareg.
    NegativeRange "negative-range" ["uploads"]
    /// The `Range` of an upload has a unit, `bytes=0-9`, as RFC 9110 has it and the spec has not.
    RangeUnit "range-unit" ["uploads"]
    /// `PATCH` is not allowed (405): blobs come in one request only.
    NoPatch "no-patch" ["blobs" "verification"]
    /// `PUT` of more than 64 KiB is too much (413), as behind proxies with a bound on bodies: larger
    /// blobs have to come in chunks.
    SmallPutsOnly "small-puts-only" ["blobs" "verification"]
    /// No request may bring more than 1 MiB (413), as behind proxies with a small bound on bodies: larger
    /// blobs have to come in chunks of that.
    SmallBodies "small-bodies" ["blobs" "uploads"]
    /// Asks for chunks of at least 64 KiB by `OCI-Chunk-Min-Length`, and refuses what follows a
    /// smaller one (400), as where chunks are parts of an upload to S3.
    MinChunk "min-chunk" ["blobs" "uploads"]
    /// How far an upload has come cannot be asked for (404), although the spec wants it.
    NoUploadStatus "no-upload-status" ["blobs" "verification"]
    /// Uploads cannot be cancelled (405): the spec does not ask for it before version 1.2.
    NoUploadCancel "no-upload-cancel" ["verification" "abandonment"]

    /// A mount without a source is a mistake (400), as where `from` was made mandatory.
    NoAnonymousMount "no-anonymous-mount" ["blobs" "mounts"]
    /// Mounts are refused by 404, as where the source is looked up first.
    NoMountNotFound "no-mount-not-found" ["mounts" "blobs"]
    /// Mounts are refused by 405, as at registries that know none.
    NoMountNotAllowed "no-mount-not-allowed" ["mounts" "blobs"]
    /// Mounts are taken for the start of an upload (202), as the spec allows.
    NoMountAccepted "no-mount-accepted" ["mounts" "blobs"]

    /// Ranges are ignored, and the response is the whole blob.
    NoRange "no-range" ["ranges"]
    /// What is missing is forbidden (403), as at Artifactory.
    ForbiddenWhereMissing "forbidden-where-missing" ["ranges" "uploads"]
    /// `GET` of a blob is redirected, as at Docker Hub and Quay.
    RedirectedBlobs "redirected-blobs" ["blobs" "ranges"]

    /// Listings have no `Link` to the next page, which was optional at first.
    NoLink "no-link" ["tag_listing" "catalog"]
    /// `n` and `last` are not looked at, and everything comes as one page, as at GCR.
    NoPages "no-pages" ["tag_listing" "catalog"]
    /// Pages have at most two items whatever is asked for, as Quay has its 100.
    SmallPages "small-pages" ["tag_listing" "catalog"]
    /// The `Link` to the next page is a whole URL, as RFC 8288 allows.
    AbsoluteLink "absolute-link" ["tag_listing" "catalog"]
    /// The `Link` to the next page does not say that it is one by `rel`.
    LinkWithoutRelation "link-without-relation" ["tag_listing" "catalog"]
    /// A page begins with what the one before has ended with, as where `last` is not exclusive.
    RepeatedItems "repeated-items" ["tag_listing" "catalog"]
    /// An empty list is `null`, as at distribution.
    NullLists "null-lists" ["tag_listing" "catalog" "referrers"]
    /// There is no catalog (404), as at Docker Hub.
    NoCatalog "no-catalog" ["catalog"]

    /// There is no referrers API (404) and no `OCI-Subject`, as at distribution.
    NoReferrers "no-referrers" ["referrers" "predecessors"]
    /// There is no referrers API, and the 404 says that there is no such repository, as where the rest of
    /// the path is taken for a part of its name.
    NoReferrersNameUnknown "no-referrers-name-unknown" ["referrers"]
    /// There is no referrers API, and the response is a page of HTML (200), as at registries
    /// with a web interface.
    HtmlReferrers "html-referrers" ["referrers"]
    /// Referrers of all types come, whatever is asked for, as the spec allows.
    NoReferrersFilter "no-referrers-filter" ["referrers"]
    /// There is a referrers API, and the response to a push does not say so by `OCI-Subject`, as in drafts
    /// of version 1.1 of the spec.
    NoSubject "no-subject" ["referrers"]

    /// The parameter `tag` of a push is not looked at, as everywhere before version 1.2 of the spec.
    NoTagParameters "no-tag-parameters" ["routing" "tags"]
    /// Tags cannot be removed (405), as at the many registries that delete by digest only.
    NoUntag "no-untag" ["tags" "refusals"]
    /// Nothing can be deleted (405), as at distribution unless it is configured.
    NoDelete "no-delete" ["deletion" "tags" "refusals"]

    /// Errors have a body for people, as from proxies.
    HtmlErrors "html-errors" ["blobs" "tags" "verification"]
    /// Errors have no body.
    EmptyErrors "empty-errors" ["blobs" "tags" "verification"]
    /// Every now and then two requests in a row are too many (429), and the client is told to wait for
    /// a second.
    RateLimit "rate-limit" ["mounts"]
    /// Every now and then two requests in a row meet an outage (503), and the client is told until
    /// when.
    Outage "outage" ["uploads"]
    /// Every response has a warning of code 299.
    Warnings "warnings" ["tags"]
    /// The connection ends with every response, as behind some load balancers.
    ShortConnections "short-connections" ["blobs" "uploads"]
    /// Tokens are wanted, and each is good for three requests: they expire in the middle of an upload.
    ShortTokens "short-tokens" ["uploads" "tags" "mounts"]
    /// Tokens are wanted, and a repository that does not exist yet is shown only with one that allows
    /// pushing (401), as at Quay.
    PushToLook "push-to-look" ["uploads" "mounts"]
    /// Nothing is shown to users who are not logged in (404), who are asked for credentials at `/v2/` alone.
    HiddenFromStrangers "hidden-from-strangers" ["tags" "blobs" "tag_listing" "referrers"]
    /// The challenge for a token stands between others, in one header and in several.
    ManyChallenges "many-challenges" ["tags"]
}

impl Quirk {
    /// Whether it is a lie that a client must not believe: where the right thing to do is to fail.
    #[must_use]
    pub const fn is_lie(self) -> bool {
        self.groups().is_empty()
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_the_variants_in_lower_case() {
        for quirk in Quirk::ALL {
            let variant = format!("{quirk:?}");
            assert_eq!(
                quirk.name().replace('-', ""),
                variant.to_lowercase(),
                "{variant}"
            );
        }
    }

    #[test]
    fn groups_are_those_of_scenarios() {
        let groups: HashSet<_> = crate::scenarios().map(crate::Scenario::group).collect();
        for quirk in Quirk::ALL {
            for group in quirk.groups() {
                assert!(groups.contains(group), "{quirk}: {group}");
            }
        }
    }
}
