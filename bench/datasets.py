"""The layouts and archives that are copied. The same arguments yield the same bytes."""

import hashlib
import json
import os
import pathlib
import random
import tarfile
import zlib

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MIB = 1024 * 1024


class Layout:
    """Writes an image layout. Blobs cannot be written to, as tranship and oras leave them."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.blobs = self.root / "blobs/sha256"
        self.blobs.mkdir(parents=True)
        self.entries = []

    def blob(self, media_type, content, **fields):
        hexadecimal = hashlib.sha256(content).hexdigest()
        path = self.blobs / hexadecimal
        path.write_bytes(content)
        path.chmod(0o444)
        return {"mediaType": media_type, "digest": "sha256:" + hexadecimal, "size": len(content), **fields}

    def large_blob(self, media_type, pieces):
        """A blob that does not fit into memory; a piece that is a number is a hole of so many bytes."""
        hasher, size, staging = hashlib.sha256(), 0, self.root / "staging"
        with open(staging, "wb") as file:
            for piece in pieces:
                if isinstance(piece, int):
                    for _ in range(piece // MIB):
                        hasher.update(bytes(MIB))
                    file.seek(piece, os.SEEK_CUR)
                    size += piece
                else:
                    hasher.update(piece)
                    file.write(piece)
                    size += len(piece)
            file.truncate(size)
        staging.chmod(0o444)
        staging.rename(self.blobs / hasher.hexdigest())
        return {"mediaType": media_type, "digest": "sha256:" + hasher.hexdigest(), "size": size}

    def manifest(self, config, layers, **fields):
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        return self.blob(MANIFEST, compact(document), **fields)

    def index(self, manifests):
        return self.blob(INDEX, compact({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))

    def list(self, descriptor, tag):
        self.entries.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}})

    def finish(self):
        (self.root / "oci-layout").write_bytes(compact({"imageLayoutVersion": "1.0.0"}))
        listing = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.entries}
        (self.root / "index.json").write_bytes(compact(listing))


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def gzip(content):
    """A gzip member that holds the bytes as they are, so that no tool compresses them once more."""
    packer = zlib.compressobj(0, wbits=31)
    return packer.compress(content) + packer.flush()


def image_config(number, padding=""):
    labels = {"org.example.number": str(number), "org.example.padding": padding}
    config = {"architecture": "amd64", "os": "linux", "config": {"Labels": labels}}
    return compact({**config, "rootfs": {"type": "layers", "diff_ids": []}})


def platform(number):
    """Each child of an index has another one, or else some tools take one for all."""
    return {"os": "linux", "architecture": "amd64", "variant": f"v{number}"}


def one_layer(root, size):
    """One image with one layer of random bytes, tagged `v1`."""
    several_layers(root, 1, size)


def several_layers(root, layers, size):
    """One image with layers of random bytes, `size` each, tagged `v1`."""
    layout, source = Layout(root), random.Random(1)
    head = b"\x1f\x8b\x08\0"

    def layer():
        pieces = (head + source.randbytes(MIB)[len(head) :] if at == 0 else source.randbytes(MIB)
                  for at in range(size // MIB))
        return layout.large_blob(LAYER, pieces)

    layers = [layer() for _ in range(layers)]
    layout.list(layout.manifest(layout.blob(CONFIG, image_config(0)), layers), "v1")
    layout.finish()


def one_sparse_layer(root, size):
    """One image with one layer that is nearly all zeros, tagged `v1`."""
    layout = Layout(root)
    layer = layout.large_blob(LAYER, [b"\x1f\x8b\x08\0".ljust(MIB, b"\0"), size - MIB])
    layout.list(layout.manifest(layout.blob(CONFIG, image_config(0)), [layer]), "v1")
    layout.finish()


def small_blobs(root, manifests, blobs_each):
    """An index of images, whose blobs all have from 4 to 64 KiB, tagged `v1`."""
    layout, source, children = Layout(root), random.Random(2), []

    def size():
        return source.randrange(4 * 1024, 64 * 1024)

    for number in range(manifests):
        config = layout.blob(CONFIG, image_config(number, source.randbytes(size() // 2).hex()))
        layers = [layout.blob(LAYER, gzip(source.randbytes(size()))) for _ in range(blobs_each - 1)]
        children.append(layout.manifest(config, layers, platform=platform(number)))
    layout.list(layout.index(children), "v1")
    layout.finish()


def many_manifests(root, manifests, tagged):
    """Images of one small layer and one small config each: below one index that is tagged `v1`, or
    else each with a tag of its own, `t0` and so on."""
    layout, children = Layout(root), []
    for number in range(manifests):
        config = layout.blob(CONFIG, image_config(number))
        layer = layout.blob(LAYER, gzip(f"layer {number}".encode()))
        if tagged:
            layout.list(layout.manifest(config, [layer]), f"t{number}")
        else:
            children.append(layout.manifest(config, [layer], platform=platform(number)))
    if not tagged:
        layout.list(layout.index(children), "v1")
    layout.finish()


def archive(layout, path):
    """An oci-archive of a layout, with `oci-layout` and `index.json` last, as most tools write it."""
    with tarfile.open(path, "w") as out:
        for member in sorted(pathlib.Path(layout).rglob("*")):
            out.add(member, member.relative_to(layout), recursive=False)
