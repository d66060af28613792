"""A registry with many repositories and tags, as image layouts and as the registry of distribution stores it."""

import os
import pathlib

import datasets

LARGE = "large/tags"


# The images that the tags name in turn.
IMAGES = 500


class Images:
    """The images, of a small config and a small layer each."""

    def __init__(self, work):
        self.layout = datasets.Layout(work)
        self.manifests = [self.image(number) for number in range(IMAGES)]

    def image(self, number):
        config = self.layout.blob(datasets.CONFIG, datasets.image_config(number))
        layer = self.layout.blob(datasets.LAYER, datasets.gzip(f"layer {number}".encode()))
        manifest = self.layout.manifest(config, [layer])
        manifest["blobs"] = [config, layer]
        return manifest

    def file(self, descriptor):
        return self.layout.blobs / descriptor["digest"].partition(":")[2]

    def content(self, number):
        return self.file(self.manifests[number]).read_bytes()


def names(repositories):
    """Names in two levels, as registries of teams have them."""
    return [f"team-{number % 100:02}/app-{number // 100:03}" for number in range(repositories)]


def tags(count):
    return [f"v{number:06}" for number in range(count)]


def layouts(root, images, repositories, large):
    """`repositories` layouts with an image each, and one with `large` tags."""
    for number, name in enumerate(names(repositories)):
        layout(root / name, images, [images.manifests[number % IMAGES]], ["v1"])
    layout(root / LARGE, images, images.manifests, tags(large))


def layout(root, images, manifests, tags):
    made = datasets.Layout(root)
    for manifest in manifests:
        for blob in (manifest, *manifest["blobs"]):
            os.link(images.file(blob), made.blobs / images.file(blob).name)
    plain = [{key: value for key, value in manifest.items() if key != "blobs"} for manifest in manifests]
    for number, tag in enumerate(tags):
        made.list(plain[number % len(plain)], tag)
    made.finish()


def distribution(root, images, repositories, large):
    """The same for the registry of distribution (its file system driver)."""
    store = root / "docker/registry/v2"
    for manifest in images.manifests:
        for blob in (manifest, *manifest["blobs"]):
            write(store / "blobs/sha256" / images.file(blob).name[:2] / images.file(blob).name / "data", images.file(blob).read_bytes())
    for number, name in enumerate(names(repositories)):
        repository(store / "repositories" / name, [images.manifests[number % IMAGES]], ["v1"])
    repository(store / "repositories" / LARGE, images.manifests, tags(large))


def repository(root, manifests, tags):
    for manifest in manifests:
        link(root / "_manifests/revisions", manifest)
        for blob in manifest["blobs"]:
            link(root / "_layers", blob)
    for number, tag in enumerate(tags):
        manifest = manifests[number % len(manifests)]
        write(root / "_manifests/tags" / tag / "current/link", manifest["digest"].encode())
        link(root / "_manifests/tags" / tag / "index", manifest)


def link(root, descriptor):
    algorithm, _, encoded = descriptor["digest"].partition(":")
    write(root / algorithm / encoded / "link", descriptor["digest"].encode())


def write(path, content):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
