"""A registry full of small images that share layers. The same arguments yield the same bytes."""

import concurrent.futures
import hashlib
import http.client
import random
import re
import threading

from datasets import CONFIG, INDEX, LAYER, MANIFEST, compact, gzip, image_config, platform

LAYERS = 6
SMALLEST, LARGEST = 16 * 1024, 256 * 1024
# Of ten layers of an image so many are from the pool that all repositories share.
SHARED_OF_TEN = 7
# Every so many tags, one is an index of two images.
INDEX_EVERY = 10
THREADS = 8


class Content:
    """The bytes of a blob or manifest, which are made again when they are needed."""

    def __init__(self, media_type, make):
        content = make()
        self.make = make
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.descriptor = {"mediaType": media_type, "digest": digest, "size": len(content)}

    @property
    def digest(self):
        return self.descriptor["digest"]


class DataSet:
    """`tags` tags, spread over `repositories` repositories below `bench/`; the last of each repository is another
    name for the one before.

    `blobs` and `manifests` are by repository; `tagged` has the digest of each tag, by repository and tag. Of `layers`
    that images refer to, `shared` are from the pool.
    """

    def __init__(self, repositories, tags):
        self.random = random.Random(7)
        self.pool = [self.layer(("pool", number)) for number in range(max(10, tags // 10))]
        self.blobs, self.manifests, self.tagged = {}, {}, {}
        self.layers = self.shared = 0
        each, more = divmod(tags, repositories)
        number = 0
        for at in range(repositories):
            name = f"bench/app-{at:03}"
            self.blobs[name], self.manifests[name], self.tagged[name] = {}, [], {}
            count = each + (at < more)
            for tag in range(count):
                if tag and tag == count - 1:
                    digest = self.manifests[name][-1].digest
                    self.tagged[name]["latest"] = digest
                    continue
                is_index = number % INDEX_EVERY == INDEX_EVERY - 1
                root = self.index(name, number) if is_index else self.image(name, number, 0)
                self.tagged[name][f"v{tag + 1}"] = root.digest
                number += 1

    def layer(self, key):
        size = int(SMALLEST * (LARGEST / SMALLEST) ** self.random.random())
        return Content(LAYER, lambda: gzip(random.Random(repr(key)).randbytes(size)))

    def image(self, name, number, child):
        shared = iter(self.random.sample(self.pool, LAYERS))
        layers = []
        for at in range(LAYERS):
            self.layers += 1
            if self.shared * 10 < self.layers * SHARED_OF_TEN:
                self.shared += 1
                layers.append(next(shared))
            else:
                layers.append(self.layer((number, child, at)))
        config = Content(CONFIG, lambda: image_config(2 * number + child))
        self.blobs[name].update({each.digest: each for each in (config, *layers)})
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor}
        document["layers"] = [each.descriptor for each in layers]
        return self.manifest(name, MANIFEST, document)

    def index(self, name, number):
        children = [self.image(name, number, child).descriptor | {"platform": platform(child)} for child in range(2)]
        return self.manifest(name, INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": children})

    def manifest(self, name, media_type, document):
        manifest = Content(media_type, lambda: compact(document))
        self.manifests[name].append(manifest)
        return manifest

    @property
    def tags(self):
        return sum(len(tags) for tags in self.tagged.values())

    def blob_bytes(self):
        """The size of all blobs, each digest once."""
        distinct = {digest: each for blobs in self.blobs.values() for digest, each in blobs.items()}
        return sum(each.descriptor["size"] for each in distinct.values())

    def manifest_bytes(self):
        return sum(each.descriptor["size"] for manifests in self.manifests.values() for each in manifests)

    def push(self, host):
        """Fills a registry. Blobs of the pool are pushed once and then mounted, where the registry mounts."""
        first, lock = {}, threading.Lock()

        def fill(name):
            client = Client(host)
            for digest, content in self.blobs[name].items():
                with lock:
                    known = first.get(digest)
                if known is None or not client.mount(name, content, known):
                    client.upload(name, content)
                with lock:
                    first.setdefault(digest, name)
            tags = {}
            for tag, digest in self.tagged[name].items():
                tags.setdefault(digest, []).append(tag)
            for manifest in self.manifests[name]:
                for reference in tags.get(manifest.digest, [manifest.digest]):
                    client.manifest(name, manifest, reference)
            client.close()

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(fill, self.blobs):
                pass

    def check(self, host):
        """Returns what a registry lacks of the tags, or has otherwise."""

        def look(name):
            client = Client(host)
            wrong = []
            for tag, digest in self.tagged[name].items():
                found = client.digest(name, tag)
                if found != digest:
                    wrong.append(f"{name}:{tag} is {found}, not {digest}")
            client.close()
            return wrong

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            return [each for wrong in pool.map(look, self.tagged) for each in wrong]


class Client:
    """As much of the distribution spec as it takes to fill a registry and to look at its tags."""

    def __init__(self, host):
        self.connection = http.client.HTTPConnection(host, timeout=60)

    def close(self):
        self.connection.close()

    def request(self, method, path, body=b"", headers=(), expected=(200,)):
        self.connection.request(method, path, body, dict(headers))
        response = self.connection.getresponse()
        content = response.read()
        if response.status not in expected:
            raise SystemExit(f"error: {method} {path}: {response.status} {content[:300]}")
        return response

    def mount(self, name, content, source):
        path = f"/v2/{name}/blobs/uploads/?mount={content.digest}&from={source}"
        return self.request("POST", path, expected=(201, 202)).status == 201

    def upload(self, name, content):
        response = self.request("POST", f"/v2/{name}/blobs/uploads/", expected=(202,))
        location = re.sub(r"^http://[^/]+", "", response.headers["Location"])
        path = f"{location}{'&' if '?' in location else '?'}digest={content.digest}"
        headers = {"Content-Type": "application/octet-stream"}
        self.request("PUT", path, content.make(), headers, expected=(201,))

    def manifest(self, name, content, reference):
        headers = {"Content-Type": content.descriptor["mediaType"]}
        self.request("PUT", f"/v2/{name}/manifests/{reference}", content.make(), headers, expected=(201,))

    def digest(self, name, tag):
        headers = {"Accept": f"{MANIFEST}, {INDEX}"}
        response = self.request("HEAD", f"/v2/{name}/manifests/{tag}", headers=headers, expected=(200, 404))
        return response.headers["Docker-Content-Digest"] if response.status == 200 else None
