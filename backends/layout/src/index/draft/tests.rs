//! Random sequences of changes, against a model of what a layout must still know.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::*;
use crate::children::Children;
use tranship::MediaType;

/// Which indexes hold which manifests, for ever.
struct Held(HashMap<Digest, HashSet<Digest>>);

impl Holders for Held {
    fn holds(&self, digest: &Digest, is_listed: &dyn Fn(&Digest) -> bool) -> bool {
        let parents = self.0.get(digest);
        parents.is_some_and(|parents| parents.iter().any(is_listed))
    }
}

/// A generator of numbers that look random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("small")
    }
}

/// What a layout must still know, whatever the entries look like.
#[derive(Default)]
struct Model {
    present: BTreeSet<Digest>,
    tags: BTreeMap<Tag, Digest>,
}

const MANIFESTS: usize = 12;

/// The manifests of which the last few are indexes of some of those before them.
fn family(dice: &mut Dice) -> (Vec<(Descriptor, Vec<usize>)>, Held) {
    let mut family: Vec<(Descriptor, Vec<usize>)> = Vec::new();
    let mut held: HashMap<Digest, HashSet<Digest>> = HashMap::new();
    for number in 0..MANIFESTS {
        let is_index = number >= MANIFESTS / 2;
        let kind = if is_index {
            MediaType::IMAGE_INDEX
        } else {
            MediaType::IMAGE_MANIFEST
        };
        let target = Descriptor::of(kind, &[u8::try_from(number).expect("small")]);
        let mut children = Vec::new();
        if is_index {
            children.extend((0..number).filter(|_| dice.roll(3) == 0));
        }
        for child in &children {
            let parents = held.entry(*family[*child].0.digest()).or_default();
            parents.insert(*target.digest());
        }
        family.push((target, children));
    }
    (family, Held(held))
}

fn is_reachable(snapshot: &Snapshot, model: &Model, held: &Held, digest: &Digest) -> bool {
    snapshot.listed(digest).is_some()
        || held.holds(digest, &|parent| {
            model.present.contains(parent) && is_reachable(snapshot, model, held, parent)
        })
}

fn check(snapshot: &Snapshot, model: &Model, held: &Held) {
    let encoded = snapshot.encode().expect("json").into_bytes();
    let decoded = Snapshot::decode(&encoded).expect("an index");
    assert!(decoded.descriptors().eq(snapshot.descriptors()));
    assert!(decoded.tags(None).eq(snapshot.tags(None)));
    for digest in &model.present {
        assert!(
            is_reachable(snapshot, model, held, digest),
            "{digest} is lost"
        );
    }
    let tags: Vec<_> = snapshot.tags(None).cloned().collect();
    assert!(tags.iter().eq(model.tags.keys()));
    for (tag, digest) in &model.tags {
        let target = snapshot.tagged(tag).expect("tagged");
        assert_eq!(target.digest(), digest);
    }
    let mut seen = HashSet::new();
    for entry in snapshot.descriptors() {
        let name = entry.annotation(REF_NAME).map(ToOwned::to_owned);
        let unnamed_too = name.is_none()
            && snapshot
                .descriptors()
                .any(|other| other.digest() == entry.digest() && other != entry);
        assert!(!unnamed_too, "an entry without a name beside another");
        assert!(seen.insert((*entry.digest(), name)), "an entry twice");
    }
}

#[test]
fn no_sequence_of_changes_loses_a_manifest_or_a_tag() {
    for seed in 1..200 {
        let mut dice = Dice(seed * 0x9e37_79b9);
        let (family, held) = family(&mut dice);
        let names: Vec<Tag> = ["a", "b", "c", "d"]
            .map(|t| t.parse().expect("a tag"))
            .into();
        let (mut snapshot, mut model) = (Snapshot::empty(), Model::default());
        for _ in 0..60 {
            let (target, children) = &family[dice.roll(MANIFESTS)];
            let digest = *target.digest();
            let edit = match dice.roll(8) {
                0 => Edit::Untag(names[dice.roll(4)].clone()),
                1 => Edit::Delete {
                    target: digest,
                    children: children
                        .iter()
                        .map(|child| family[*child].0.clone())
                        .filter(|child| model.present.contains(child.digest()))
                        .collect(),
                },
                _ => Edit::List {
                    entry: target.clone(),
                    tags: names
                        .iter()
                        .filter(|_| dice.roll(4) == 0)
                        .cloned()
                        .collect(),
                    children: children
                        .iter()
                        .map(|child| family[*child].0.clone())
                        .collect::<Vec<_>>()
                        .into(),
                },
            };
            let was_idle = snapshot.is_idle(&edit, &held);
            let mut draft = Draft::new(&snapshot, &held);
            let outcome = draft.apply(&edit);
            match &edit {
                Edit::Untag(tag) => {
                    let removed = model.tags.remove(tag).is_some();
                    assert_eq!(outcome.is_ok(), removed);
                }
                Edit::Delete { target, .. } => {
                    model.present.remove(target);
                    model.tags.retain(|_, digest| digest != target);
                }
                Edit::List { tags, .. } => {
                    model.present.insert(digest);
                    model
                        .tags
                        .extend(tags.iter().map(|tag| (tag.clone(), digest)));
                }
            }
            let (changed, removed) = draft.finish();
            assert!(!was_idle || (changed.is_none() && removed.is_empty()));
            if let Some(changed) = changed {
                snapshot = changed;
            }
            check(&snapshot, &model, &held);
        }
    }
}

#[test]
fn a_manifest_that_is_listed_again_in_the_same_batch_is_not_removed() {
    let held = Held(HashMap::new());
    let entry = Descriptor::of(MediaType::IMAGE_MANIFEST, b"a");
    let delete = Edit::Delete {
        target: *entry.digest(),
        children: Vec::new(),
    };
    let list = Edit::List {
        entry: entry.clone(),
        tags: Vec::new(),
        children: Children::default(),
    };
    let mut draft = Draft::new(&Snapshot::empty(), &held);
    for edit in [&list, &delete, &list] {
        draft.apply(edit).expect("applied");
    }
    let (snapshot, removed) = draft.finish();
    assert!(snapshot.is_some_and(|snapshot| snapshot.listed(entry.digest()).is_some()));
    assert!(removed.is_empty());
}
