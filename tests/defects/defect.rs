//! The mistakes that a backend can make, one at a time.

/// A deliberate mistake of the decorator around a backend that is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// No mistake: the decorator passes everything on.
    None,

    // Reading.
    LosesLastByte,
    FetchIgnoresSize,
    FlipsByteInRange,
    RangeStartsOneLate,
    RangePastTheEndFails,
    RangeAtTheEndFails,
    RangeBeyondTheEndIsEmpty,
    RangeIgnoresSize,
    ReversedRangesAreEmpty,
    AbsentRangesAreEmpty,
    RangesOfManifestsStartAtZero,
    AnswersAnotherType,
    ResolvesBlobsWithoutSize,
    ResolvesTheAbsent,
    ResolvesTagsAsBlobs,
    ExistsAlways,
    ExistsIgnoresSize,
    ForgetsEmptyBlobs,

    // Pushing.
    StoresUnverified,
    CutsLongContent,
    CleansUpTooMuch,
    ReadsThePresentSource,
    FindsPresentContentByDigestAlone,
    LooksAtTheDigestAlone,
    SwallowsTheSourcesError,
    VisibleWhenBegun,
    GathersPushes,
    KeepsTheLockOfADroppedPush,
    PanicsOnEmptyContent,

    // Deleting.
    DeletesNothing,
    DeletesTheAbsent,
    DeleteIgnoresSize,
    DeleteKeepsTags,
    DeleteTakesLayers,

    // Manifests.
    WritesManifestsAnew,
    TakesInvalidManifests,
    TakesManifestsOfAnySize,
    WantsLayersFirst,
    ForgetsMediaTypes,
    ResolvesBlobs,
    SetsTheFirstTagOnly,
    SkipsTagsOfPresentManifests,
    DropsTagsOfRefusedManifests,
    RefusesRepeatedTags,
    PushesBlobsWithTags,
    PushesInTwoSteps,

    // Tags.
    MoveDeletesTheOldManifest,
    TagsWhatIsAbsent,
    TagIgnoresSize,
    TagsIgnoreCase,
    LosesTagsSetTogether,
    UntagDeletesTheManifest,
    UntagsTheAbsent,
    RefusesToMoveTags,
    CutsLongTags,
    CachesTags,
    TagsResolveToAnotherType,
    TagsOfIndexesNameAChild,
    KeepsTheLockOfADroppedTag,

    // Listing.
    TagsReversed,
    TagsSortedWithoutCase,
    LastIsIncluded,
    LastMustExist,
    OnePageOfTags,
    RepeatsTheEdgeOfPages,
    ListsTagsThatAreNone,
    EmptyListingsFail,
    ListingsHoldALock,
    CatalogUnsorted,
    CatalogSortedByComponents,
    CatalogListsParents,
    CatalogListsTheEmpty,

    // Referrers.
    FilterIsIgnored,
    AnnotationsAreMissing,
    ArtifactTypesAreMissing,
    ConfigTypesAreMissing,
    ReferrersNeedTheirSubject,
    ReferrersComeTwice,
    ReferrersAreCached,
    ParentsAreReferrers,
    DockerManifestsDoNotRefer,
    ManifestsReferToThemselves,
    PredecessorsUnsorted,
    ManifestsPrecedeThemselves,

    // Mounting.
    MountsNothing,
    MountForgetsTheFallback,
    MountReadsTheFallback,

    // Uploading.
    WritesAtAnyOffset,
    PauseLosesTheUpload,
    CommitsUnverified,
    ResumesFromTheStart,
    ResumesTheUnknown,
    CancelKeepsTheUpload,
    FailedCommitKeepsTheUpload,

    // Batches.
    BatchForgetsBetweenViews,
    BatchWritesThrough,
    BatchHasNoUseForPushes,
    CommitsNothing,
    LosesOneOfTwoBatches,

    // Registries.
    OneRepositoryForAll,
    FlattensNames,
    StandsAlone,

    // Capabilities.
    RepositoriesClaimLess,
    OffersNothing,
    DoesWhatItDisclaims,
    WritesAlthoughReadOnly,
    RefusesWhatItClaims,
}
