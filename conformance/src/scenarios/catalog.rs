//! Repositories of a registry: their names, their order, and that they are apart.

use futures_util::TryStreamExt as _;
use tranship::{ListOptions, RepositoryName};

use crate::check;
use crate::content::{Image, ImageIndex, Item};
use crate::context::Context;
use crate::failure::Verdict;
use crate::scenario::scenario_group;
use crate::steps::{all_tags, by_tag, push, push_tagged, push_with_tags, tags};

scenario_group! { "catalog":
    a_repository_with_content_is_listed [Push Registry Catalog]
        "A repository is listed once something was pushed to it."
    a_repository_without_content_is_not_listed [Push Registry Catalog]
        "Opening or reading a repository does not make it exist."
    repositories_are_in_ascii_order [Push Registry Catalog]
        "`a`, `a-b`, `a.b`, `a/b`, `a0` and `ab` come in that order."
    a_catalog_begins_behind_last [Push Registry Catalog]
        "A listing from a name on does not contain it, and the name need not exist."
    a_catalog_is_the_same_in_pages_of_any_size [Push Registry Catalog]
        "Pages of 1, 2 and 1000 names make the same listing."
    many_repositories_are_listed_once_each [Push Registry Catalog]
        "Forty repositories on three levels come in order, none twice and none missing."
    a_parent_of_repositories_is_none_itself [Push Registry Catalog]
        "`a` is not listed because `a/b` is."
}

/// Makes repositories of `names` that hold an index each.
async fn fill(context: &Context, names: &[&str]) -> Verdict {
    for name in names {
        let repository = context.another_repository(name).await?;
        push_with_tags(&*repository, &ImageIndex::of([]).build(), &tags(["v1"])?).await?;
    }
    Ok(())
}

/// The names of this trial's repositories, without what they all begin with.
async fn listed(context: &Context, options: ListOptions) -> Verdict<Vec<String>> {
    let names: Vec<RepositoryName> = context
        .registry()?
        .repositories(options)
        .try_collect()
        .await?;
    let prefix = format!("{}/", context.prefix());
    let own = names
        .iter()
        .filter_map(|name| name.as_str().strip_prefix(&prefix));
    Ok(own.map(str::to_owned).collect())
}

async fn a_repository_with_content_is_listed(context: &Context) -> Verdict {
    fill(context, &["tagged"]).await?;
    let bare = context.another_repository("untagged").await?;
    push(&*bare, &ImageIndex::of([]).build()).await?;
    let found = listed(context, ListOptions::default()).await?;
    check::equal("the repositories", found, ["tagged", "untagged"])
}

async fn a_repository_without_content_is_not_listed(context: &Context) -> Verdict {
    fill(context, &["real"]).await?;
    let unreal = context.another_repository("unreal").await?;
    check::not_found("resolving", unreal.resolve(&by_tag("v1")?).await)?;
    check::lacks(&*unreal, Item::blob("absent").descriptor()).await?;
    check::equal("the number of tags", all_tags(&*unreal).await?.len(), 0)?;
    let found = listed(context, ListOptions::default()).await?;
    check::equal("the repositories", found, ["real"])
}

const SORTED: [&str; 8] = ["0", "a", "a-b", "a.b", "a/b", "a0", "a_b", "ab"];

async fn repositories_are_in_ascii_order(context: &Context) -> Verdict {
    fill(context, &["ab", "a/b", "a_b", "a", "0", "a.b", "a0", "a-b"]).await?;
    let found = listed(context, ListOptions::default()).await?;
    check::equal("the repositories", found, SORTED)
}

async fn a_catalog_begins_behind_last(context: &Context) -> Verdict {
    fill(context, &SORTED).await?;
    for (last, expected) in [
        ("a-b", &SORTED[3..]),
        ("a/b", &SORTED[5..]),
        ("a/a", &SORTED[4..]),
        ("a/b/c", &SORTED[5..]),
        ("aa", &SORTED[7..]),
        ("ab", &[]),
    ] {
        let options = ListOptions::default().with_last(context.name(last)?.as_str());
        let found = listed(context, options).await?;
        check::equal(&format!("the repositories behind {last}"), found, expected)?;
    }
    Ok(())
}

async fn a_catalog_is_the_same_in_pages_of_any_size(context: &Context) -> Verdict {
    fill(context, &SORTED).await?;
    for size in [1, 2, 1000] {
        let options = ListOptions::default().with_page_size(size);
        let found = listed(context, options).await?;
        check::equal(
            &format!("the repositories in pages of {size}"),
            found,
            SORTED,
        )?;
    }
    Ok(())
}

async fn many_repositories_are_listed_once_each(context: &Context) -> Verdict {
    let mut names = Vec::new();
    for number in 0..20 {
        names.push(format!("team-{}/app{number}", number % 4));
        names.push(format!("team-{}/app{number}/cache", number % 4));
    }
    fill(
        context,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    )
    .await?;
    names.sort_unstable();
    let found = listed(context, ListOptions::default().with_page_size(7)).await?;
    check::equal("the repositories", found, names)
}

async fn a_parent_of_repositories_is_none_itself(context: &Context) -> Verdict {
    let image = Image::new("deep").build();
    let deep = context.another_repository("a/b/c").await?;
    push_tagged(&*deep, &image, "v1").await?;
    let found = listed(context, ListOptions::default()).await?;
    check::equal("the repositories", found, ["a/b/c"])
}
