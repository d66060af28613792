//! Repositories under every name that the grammar allows.

use crate::check;
use crate::content::{Image, Packed};
use crate::context::{Context, Repo};
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{all_tags, by_tag, push_tagged};

scenario_group! { "names":
    a_repository_knows_its_name [Registry]
        "A repository returns the name with which it was opened."
    a_name_of_one_character_is_a_name [Push Registry]
        "Components of one letter or digit are repositories."
    a_name_of_255_characters_is_a_name [Push Registry]
        "The longest name that registries commonly take is a repository."
    a_component_of_128_characters_is_a_name [Push Registry]
        "One component may be long."
    a_name_of_twenty_components_is_a_name [Push Registry]
        "Repositories lie as deep as names go."
    every_separator_makes_a_name [Push Registry]
        "Names with `.`, `_`, `__`, `-` and `---` are repositories."
    names_of_a_registrys_paths_are_names [Push Registry]
        "Components such as `blobs`, `manifests`, `uploads`, `tags` and `referrers` are names."
    names_of_a_layouts_files_are_names [Push Registry]
        "Below a repository, `blobs`, `index.json` and `oci-layout` are repositories too."
    a_repository_can_lie_in_another [Push Registry]
        "`a`, `a/b` and `a/b/c` are three repositories, in whatever order they come to be."
    repositories_are_apart [Push Registry]
        "Content and tags of one repository are not in another."
    two_handles_are_one_repository [Push Registry]
        "A repository that is opened twice is the same."
}

async fn filled(context: &Context, name: &str) -> Verdict<(Repo, Packed)> {
    let repository = context.another_repository(name).await?;
    let image = Image::new(format!("image of {name}")).build();
    push_tagged(&*repository, &image, "v1").await?;
    Ok((repository, image))
}

/// Fills all of `names`, and then finds in each what is its own.
async fn are_names(context: &Context, names: &[&str]) -> Verdict {
    let mut all = Vec::new();
    for name in names {
        all.push(filled(context, name).await?);
    }
    for (name, (_, image)) in names.iter().zip(&all) {
        // Opened anew, so that it is found by its name.
        let repository = context.another_repository(name).await?;
        let resolved = repository.resolve(&by_tag("v1")?).await;
        let resolved = check::succeeds(&format!("resolving v1 in {name}"), resolved)?;
        check::same(name, &resolved, image.descriptor())?;
        for item in image.blobs().iter().chain([image.manifest()]) {
            check::holds(&*repository, item).await?;
        }
        check::equal(
            &format!("the tags of {name}"),
            all_tags(&*repository).await?,
            ["v1"],
        )?;
    }
    Ok(())
}

async fn a_repository_knows_its_name(context: &Context) -> Verdict {
    let name = context.name("some/name")?;
    let repository = context.another_repository("some/name").await?;
    check::equal("the name", repository.name(), &name)
}

async fn a_name_of_one_character_is_a_name(context: &Context) -> Verdict {
    are_names(context, &["a", "z", "0", "9/9"]).await
}

async fn a_name_of_255_characters_is_a_name(context: &Context) -> Verdict {
    let room = 255 - context.prefix().len() - 1;
    let name: String = "abcdefghi/"
        .chars()
        .cycle()
        .take(room - 1)
        .chain(['z'])
        .collect();
    check::equal("the length", context.name(&name)?.as_str().len(), 255)?;
    are_names(context, &[&name]).await
}

async fn a_component_of_128_characters_is_a_name(context: &Context) -> Verdict {
    are_names(context, &[&"x".repeat(128)]).await
}

async fn a_name_of_twenty_components_is_a_name(context: &Context) -> Verdict {
    are_names(context, &[&["d"; 20].join("/")]).await
}

async fn every_separator_makes_a_name(context: &Context) -> Verdict {
    are_names(
        context,
        &["a.b", "a_b", "a__b", "a-b", "a---b", "1.2_3-4__5/6.7"],
    )
    .await
}

async fn names_of_a_registrys_paths_are_names(context: &Context) -> Verdict {
    let names = [
        "v2",
        "blobs",
        "blobs/uploads",
        "manifests",
        "manifests/latest",
        "uploads",
        "tags",
        "tags/list",
        "referrers",
        "sha256",
        "catalog",
    ];
    are_names(context, &names).await
}

async fn names_of_a_layouts_files_are_names(context: &Context) -> Verdict {
    let names = [
        "a",
        "a/blobs",
        "a/blobs/sha256",
        "a/index.json",
        "a/oci-layout",
        "blobs",
        "index.json",
        "oci-layout",
    ];
    are_names(context, &names).await
}

async fn a_repository_can_lie_in_another(context: &Context) -> Verdict {
    are_names(context, &["a", "a/b/c", "a/b"]).await?;
    are_names(context, &["x/y/z", "x/y", "x"]).await
}

async fn repositories_are_apart(context: &Context) -> Verdict {
    let (one, image) = filled(context, "one").await?;
    let (two, other) = filled(context, "two").await?;
    check::lacks(&*two, image.descriptor()).await?;
    for blob in image.blobs() {
        check::lacks(&*two, blob.descriptor()).await?;
    }
    check::lacks(&*one, other.descriptor()).await?;
    let resolved = one.resolve(&by_tag("v1")?).await?;
    check::same("v1 of one", &resolved, image.descriptor())?;
    let resolved = two.resolve(&by_tag("v1")?).await?;
    check::same("v1 of two", &resolved, other.descriptor())
}

async fn two_handles_are_one_repository(context: &Context) -> Verdict {
    let again = context.another_repository("same").await?;
    let (_, image) = filled(context, "same").await?;
    let resolved = again.resolve(&by_tag("v1")?).await?;
    check::same("v1", &resolved, image.descriptor())?;
    check::holds(&*again, image.manifest()).await
}
