"""A registry with many repositories and tags, as image layouts and as the registry of distribution stores it."""

import os
import pathlib

import datasets

LARGE = "large/tags"


class Images:
    """The two images that all tags name."""

    def __init__(self, work):
        self.layout = datasets.Layout(work)
        self.manifests = [self.image(number) for number in range(2)]

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
    """`repositories` layouts with a tag each, and one with `large` tags."""
    for name in names(repositories):
        layout(root / name, images, ["v1"])
    layout(root / LARGE, images, tags(large))


def layout(root, images, tags):
    made = datasets.Layout(root)
    for manifest in images.manifests:
        for blob in (manifest, *manifest["blobs"]):
            os.link(images.file(blob), made.blobs / images.file(blob).name)
    plain = [{key: value for key, value in manifest.items() if key != "blobs"} for manifest in images.manifests]
    for number, tag in enumerate(tags):
        made.list(plain[number % len(plain)], tag)
    made.finish()


def distribution(root, images, repositories, large):
    """The same for the registry of distribution (its file system driver)."""
    store = root / "docker/registry/v2"
    for manifest in images.manifests:
        for blob in (manifest, *manifest["blobs"]):
            write(store / "blobs/sha256" / images.file(blob).name[:2] / images.file(blob).name / "data", images.file(blob).read_bytes())
    for name in names(repositories):
        repository(store / "repositories" / name, images, ["v1"])
    repository(store / "repositories" / LARGE, images, tags(large))


def repository(root, images, tags):
    for manifest in images.manifests:
        link(root / "_manifests/revisions", manifest)
        for blob in manifest["blobs"]:
            link(root / "_layers", blob)
    for number, tag in enumerate(tags):
        manifest = images.manifests[number % len(images.manifests)]
        write(root / "_manifests/tags" / tag / "current/link", manifest["digest"].encode())
        link(root / "_manifests/tags" / tag / "index", manifest)


def link(root, descriptor):
    algorithm, _, encoded = descriptor["digest"].partition(":")
    write(root / algorithm / encoded / "link", descriptor["digest"].encode())


def write(path, content):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
