//! Extended copies of random graphs, against a model that knows nothing of how a copy is scheduled.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tranship::*;
use tranship_memory::MemoryRepository;

use crate::artifacts::push_text;
use crate::recorder::{Faults, Recorder};

/// A node of a random graph. What it refers to are nodes before it, by number; what does not fit is
/// left out.
#[derive(Debug, Clone)]
struct Node {
    kind: Kind,
    refers_to: Vec<usize>,
    subject: Option<usize>,
    is_of_type_a: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blob,
    Image,
    Index,
}

#[derive(Debug, Clone)]
struct Graph(Vec<Node>);

const TYPE_A: MediaType = MediaType::from_static("example/a");
const TYPE_B: MediaType = MediaType::from_static("example/b");

impl Graph {
    fn is_manifest(&self, node: usize) -> bool {
        self.0[node].kind != Kind::Blob
    }

    /// The node that is meant by `number`, of those before `node` that are manifests or that are not.
    fn before(&self, node: usize, number: usize, manifest: bool) -> Option<usize> {
        let fitting: Vec<_> = (0..node)
            .filter(|&other| self.is_manifest(other) == manifest)
            .collect();
        (!fitting.is_empty()).then(|| fitting[number % fitting.len()])
    }

    fn subject(&self, node: usize) -> Option<usize> {
        self.before(node, self.0[node].subject?, true)
    }

    /// What a manifest refers to, its subject aside.
    fn children(&self, node: usize) -> Vec<usize> {
        let wants_manifests = self.0[node].kind == Kind::Index;
        let numbers = self.0[node].refers_to.iter();
        let children = numbers.filter_map(|number| self.before(node, *number, wants_manifests));
        match self.0[node].kind {
            Kind::Blob => Vec::new(),
            Kind::Image | Kind::Index => children.collect(),
        }
    }

    fn successors(&self, node: usize) -> Vec<usize> {
        let mut successors = self.children(node);
        if self.is_manifest(node) {
            successors.extend(self.subject(node));
        }
        successors
    }

    fn parents(&self, node: usize) -> impl Iterator<Item = usize> {
        (0..self.0.len()).filter(move |parent| self.successors(*parent).contains(&node))
    }

    fn referrers(&self, node: usize) -> impl Iterator<Item = usize> {
        (0..self.0.len()).filter(move |other| {
            self.is_manifest(*other) && self.is_manifest(node) && self.subject(*other) == Some(node)
        })
    }

    /// Everything below `node`.
    fn closure(&self, node: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([node]);
        for node in (0..=node).rev() {
            if found.contains(&node) {
                found.extend(self.successors(node));
            }
        }
        found
    }

    /// Pushes the graph, whose digests depend on `salt`.
    async fn push(&self, repository: &dyn Repository, salt: u64) -> Vec<Descriptor> {
        let mut pushed: Vec<Descriptor> = Vec::new();
        for (number, node) in self.0.iter().enumerate() {
            let text = format!("{salt}/{number}");
            if node.kind == Kind::Blob {
                pushed.push(push_text(repository, &text).await);
                continue;
            }
            let below: Vec<_> = self
                .children(number)
                .iter()
                .map(|n| pushed[*n].clone())
                .collect();
            let subject = self.subject(number).map(|subject| pushed[subject].clone());
            let artifact_type = Some(if node.is_of_type_a { TYPE_A } else { TYPE_B });
            let annotations = Annotations::from([("salt".to_owned(), text)]);
            let (media_type, content) = match node.kind {
                Kind::Index => {
                    let mut index = Index::new(below);
                    index.subject = subject;
                    index.artifact_type = artifact_type;
                    index.annotations = annotations;
                    (MediaType::IMAGE_INDEX, encode_json(&index))
                }
                Kind::Image | Kind::Blob => {
                    let mut below = below.into_iter();
                    let config = below.next().unwrap_or_else(|| pushed[0].clone());
                    let mut manifest = Manifest::new(config, below.collect());
                    manifest.subject = subject;
                    manifest.artifact_type = artifact_type;
                    manifest.annotations = annotations;
                    (MediaType::IMAGE_MANIFEST, encode_json(&manifest))
                }
            };
            let content = content.expect("encode");
            let manifest = push_bytes(repository, media_type, content).await;
            pushed.push(manifest.expect("push"));
        }
        pushed
    }
}

/// What is copied, and how.
#[derive(Debug, Clone)]
struct Case {
    root: usize,
    follow: Follow,
    depth: Option<usize>,
    only_type_a: bool,
}

impl Case {
    /// What a copy brings along, found by asking again and again until nothing is new: for each node the
    /// fewest steps in any way, and those of a way that only goes upward.
    fn expected(&self, graph: &Graph) -> BTreeSet<usize> {
        let mut any = BTreeMap::from([(self.root, 0)]);
        let mut upward = BTreeMap::from([(self.root, 0)]);
        let follows = |node: usize| !self.only_type_a || graph.0[node].is_of_type_a;
        let may_step = |steps: usize| self.depth.is_none_or(|depth| steps < depth);
        loop {
            let before = (any.clone(), upward.clone());
            for (&node, &steps) in &before.0 {
                for child in graph.successors(node) {
                    lower(&mut any, child, steps);
                }
                if may_step(steps) {
                    for referrer in graph.referrers(node).filter(|node| follows(*node)) {
                        lower(&mut any, referrer, steps + 1);
                    }
                }
            }
            for (&node, &steps) in &before.1 {
                if self.follow == Follow::Predecessors && may_step(steps) {
                    for parent in graph.parents(node).filter(|node| follows(*node)) {
                        lower(&mut any, parent, steps + 1);
                        lower(&mut upward, parent, steps + 1);
                    }
                }
            }
            if before == (any.clone(), upward.clone()) {
                return any.into_keys().collect();
            }
        }
    }

    fn options(&self, concurrency: usize) -> ExtendedCopyOptions {
        let mut options = ExtendedCopyOptions::default()
            .with_copy(CopyOptions::default().with_concurrency(concurrency))
            .with_follow(self.follow);
        if let Some(depth) = self.depth {
            options = options.with_depth(depth);
        }
        if self.only_type_a {
            options = options.with_artifact_type(TYPE_A);
        }
        options
    }
}

fn lower(steps: &mut BTreeMap<usize, usize>, node: usize, to: usize) {
    let known = steps.entry(node).or_insert(to);
    *known = (*known).min(to);
}

fn graphs() -> impl Strategy<Value = Graph> {
    let kind = prop_oneof![
        1 => Just(Kind::Blob),
        3 => Just(Kind::Image),
        2 => Just(Kind::Index),
    ];
    let numbers = prop::collection::vec(any::<usize>(), 1..4);
    let node = (
        kind,
        numbers,
        prop::option::of(any::<usize>()),
        any::<bool>(),
    );
    let node = node.prop_map(|(kind, refers_to, subject, is_of_type_a)| Node {
        kind,
        refers_to,
        subject,
        is_of_type_a,
    });
    prop::collection::vec(node, 1..24).prop_map(|mut nodes| {
        // An image needs a config.
        nodes[0].kind = Kind::Blob;
        Graph(nodes)
    })
}

fn cases() -> impl Strategy<Value = (Graph, Case)> {
    let follow = prop_oneof![Just(Follow::Referrers), Just(Follow::Predecessors)];
    let options = (
        follow,
        prop::option::of(0_usize..5),
        prop::bool::weighted(0.2),
    );
    (graphs(), any::<usize>(), options).prop_map(|(graph, root, (follow, depth, only_type_a))| {
        let root = root % graph.0.len();
        let case = Case {
            root,
            follow,
            depth,
            only_type_a,
        };
        (graph, case)
    })
}

/// Copies, with every call to either side taking its own time, and returns the nodes that the report
/// names, with what became of them, and the nodes that the destination then has.
async fn copied(
    graph: &Graph,
    case: &Case,
    (salt, concurrency): (u64, usize),
    prepared: Option<usize>,
) -> (BTreeMap<usize, CopyAction>, BTreeSet<usize>) {
    let hesitating = |repository: MemoryRepository| {
        Recorder::new(repository).with_faults(Faults {
            hesitates: Some(salt),
            ..Faults::default()
        })
    };
    let (source, destination) = (MemoryRepository::new(), MemoryRepository::new());
    let nodes = graph.push(&source, salt).await;
    if let Some(prepared) = prepared {
        let options = CopyOptions::default();
        copy_graph(&source, &nodes[prepared], &destination, &options)
            .await
            .expect("a plain copy");
    }
    let report = extended_copy_graph(
        &hesitating(source),
        &nodes[case.root],
        &hesitating(destination.clone()),
        &case.options(concurrency),
    )
    .await
    .expect("copy");
    let number = |descriptor: &Descriptor| {
        let number = nodes.iter().position(|node| node.same_content(descriptor));
        number.expect("a node of the graph")
    };
    let steps = report.steps.iter();
    let steps: BTreeMap<_, _> = steps
        .map(|step| (number(&step.descriptor), step.action))
        .collect();
    assert_eq!(steps.len(), report.steps.len(), "a node comes twice");
    let mut present = BTreeSet::new();
    for (number, node) in nodes.iter().enumerate() {
        if destination.exists(node).await.expect("exists") {
            present.insert(number);
        }
    }
    (steps, present)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_extended_copy_brings_what_the_model_says(
        (graph, case) in cases(),
        salt in any::<u64>(),
        concurrency in 1_usize..9,
    ) {
        let (steps, present) = block_on(copied(&graph, &case, (salt, concurrency), None));
        let expected = case.expected(&graph);
        prop_assert_eq!(&present, &expected);
        prop_assert_eq!(steps.into_keys().collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn what_the_destination_has_hides_nothing(
        (graph, case) in cases(),
        prepared in any::<usize>(),
        salt in any::<u64>(),
        concurrency in 1_usize..9,
    ) {
        let prepared = prepared % graph.0.len();
        let copied = copied(&graph, &case, (salt, concurrency), Some(prepared));
        let (_, present) = block_on(copied);
        let mut expected = case.expected(&graph);
        expected.extend(graph.closure(prepared));
        prop_assert_eq!(present, expected);
    }

    #[test]
    fn digests_and_concurrency_do_not_change_a_copy(
        (graph, case) in cases(),
        prepared in prop::option::of(any::<usize>()),
        one in (any::<u64>(), 1_usize..9),
        other in (any::<u64>(), 1_usize..9),
    ) {
        let prepared = prepared.map(|prepared| prepared % graph.0.len());
        let one = block_on(copied(&graph, &case, one, prepared));
        let other = block_on(copied(&graph, &case, other, prepared));
        prop_assert_eq!(one, other);
    }
}
