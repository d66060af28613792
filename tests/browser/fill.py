"""Fills a registry with content that looks like that of a team, for the tests of the pages.

    python3 tests/browser/fill.py http://127.0.0.1:5000
"""

import base64
import gzip
import hashlib
import io
import json
import sys
import tarfile
import urllib.request

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"

PLATFORMS = [("amd64", None), ("arm64", "v8"), ("riscv64", None)]


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def as_json(document):
    return json.dumps(document, ensure_ascii=False).encode()


class Repository:
    def __init__(self, base, name):
        self.url = f"{base}/v2/{name}"

    def request(self, method, url, content=b"", media_type="application/octet-stream"):
        request = urllib.request.Request(url, data=content, method=method)
        request.add_header("Content-Type", media_type)
        with urllib.request.urlopen(request) as response:
            return response.headers

    def blob(self, content, media_type, **fields):
        self.request("POST", f"{self.url}/blobs/uploads/?digest={digest(content)}", content)
        return {"mediaType": media_type, "digest": digest(content), "size": len(content), **fields}

    def manifest(self, document, *tags):
        content = as_json(document)
        descriptor = {"mediaType": document["mediaType"], "digest": digest(content), "size": len(content)}
        for reference in tags or [descriptor["digest"]]:
            self.request("PUT", f"{self.url}/manifests/{reference}", content, document["mediaType"])
        return descriptor

    def attach(self, subject, artifact_type, files, **annotations):
        """Attaches files, each as content, media type and title."""
        layers = [
            self.blob(content, media_type, **({"annotations": {"org.opencontainers.image.title": title}} if title else {}))
            for content, media_type, title in files
        ]
        return self.manifest({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "artifactType": artifact_type,
            "config": self.blob(b"{}", EMPTY),
            "layers": layers,
            "subject": subject,
            "annotations": {"org.opencontainers.image.created": "2026-11-20T08:30:00Z", **annotations},
        })


def layer(files):
    """Returns a compressed layer. The content of a file, None for a directory, or the target of a link after '->'."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files:
            member = tarfile.TarInfo(path)
            member.mtime = 1_760_000_000
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
            elif isinstance(content, str) and content.startswith("->"):
                member.type, member.linkname = tarfile.SYMTYPE, content[2:]
                archive.addfile(member)
            else:
                content = content.encode() if isinstance(content, str) else content
                member.size, member.mode = len(content), 0o755 if "bin/" in path else 0o644
                archive.addfile(member, io.BytesIO(content))
    return output.getvalue()


def noise(seed, size):
    """Returns bytes that do not compress, the same each time."""
    blocks = (hashlib.sha256(f"{seed}{number}".encode()).digest() for number in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def base(architecture):
    return layer([
        ("bin", None), ("bin/busybox", noise(f"busybox{architecture}", 820_000)), ("bin/sh", "->busybox"),
        ("etc", None), ("etc/os-release", "ID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME=\"Alpine Linux v3.20\"\n"),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("lib", None),
        (f"lib/ld-musl-{architecture}.so.1", noise(f"musl{architecture}", 640_000)),
        ("tmp", None), ("usr", None), ("usr/share", None), ("usr/share/licences", "see https://example.com\n"),
    ])


def image(repository, architecture, variant, layers, created, env, labels, *tags, history):
    compressed = [gzip.compress(content, mtime=0) for content in layers]
    config = {
        "architecture": architecture, "os": "linux", "created": created,
        "config": {
            "Env": env, "Entrypoint": ["/usr/bin/shop"], "Cmd": ["serve", "--listen", ":8080"], "User": "1000:1000",
            "WorkingDir": "/srv", "ExposedPorts": {"8080/tcp": {}}, "Labels": labels, "StopSignal": "SIGTERM",
        },
        "rootfs": {"type": "layers", "diff_ids": [digest(content) for content in layers]},
        "history": history,
    }
    if variant:
        config["variant"] = variant
    document = {
        "schemaVersion": 2, "mediaType": IMAGE,
        "config": repository.blob(as_json(config), CONFIG),
        "layers": [repository.blob(content, LAYER) for content in compressed],
        "annotations": {"org.opencontainers.image.created": created},
    }
    platform = {"os": "linux", "architecture": architecture, **({"variant": variant} if variant else {})}
    return {**repository.manifest(document, *tags), "platform": platform}


def spdx(version, packages):
    return as_json({
        "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": f"shop-api-{version}",
        "packages": [
            {"name": name, "versionInfo": number, "licenseConcluded": licence,
             "externalRefs": [{"referenceType": "purl", "referenceLocator": f"pkg:{kind}/{name}@{number}"}]}
            for kind, name, number, licence in packages
        ],
    })


PACKAGES = [
    ("apk", "alpine-baselayout", "3.6.5-r0", "GPL-2.0-only"), ("apk", "busybox", "1.36.1-r29", "GPL-2.0-only"),
    ("apk", "ca-certificates", "20240705-r0", "MPL-2.0 AND MIT"), ("apk", "libcrypto3", "3.3.2-r0", "Apache-2.0"),
    ("apk", "musl", "1.2.5-r0", "MIT"), ("apk", "zlib", "1.3.1-r1", "Zlib"),
    ("cargo", "axum", "0.8.4", "MIT"), ("cargo", "bytes", "1.10.1", "MIT"), ("cargo", "hyper", "1.6.0", "MIT"),
    ("cargo", "rustls", "0.23.20", "Apache-2.0 OR ISC OR MIT"), ("cargo", "serde", "1.0.219", "MIT OR Apache-2.0"),
    ("cargo", "tokio", "1.45.0", "MIT"), ("cargo", "tracing", "0.1.41", "MIT"),
]


def shop(base_url):
    repository = Repository(base_url, "shop/api")
    versions = ["1.8.0", "1.8.1", "1.9.0", "1.9.1", "1.10.0", "1.10.1", "2.0.0-rc.1", "2.0.0"]
    for number, version in enumerate(versions):
        created = f"2026-{4 + number:02}-{3 + 2 * number:02}T09:{10 + number}:00Z"
        entries = []
        for architecture, variant in PLATFORMS[: 3 if number > 4 else 2]:
            layers = [
                base(architecture),
                layer([("usr", None), ("usr/lib", None), ("usr/lib/libssl.so.3", noise(f"ssl{architecture}", 420_000))]),
                layer([("usr", None), ("usr/bin", None),
                       ("usr/bin/shop", noise(f"shop{version}{architecture}", 1_900_000 + 90_000 * number)),
                       ("etc", None), ("etc/shop.toml", f"version = \"{version}\"\n"), ("etc/.wh.passwd", "")]),
            ]
            history = [
                {"created": "2026-03-02T10:00:00Z", "created_by": "ADD alpine-minirootfs-3.20.3.tar.gz / # buildkit"},
                {"created": "2026-03-02T10:00:00Z", "created_by": "CMD [\"/bin/sh\"]", "empty_layer": True},
                {"created": created, "created_by": "RUN /bin/sh -c apk add --no-cache ca-certificates libssl3 # buildkit"},
                {"created": created, "created_by": "ENV SHOP_LOG=info", "empty_layer": True},
                {"created": created, "created_by": "COPY --from=build /target/release/shop /usr/bin/shop # buildkit"},
                {"created": created, "created_by": "ENTRYPOINT [\"/usr/bin/shop\"]", "empty_layer": True},
            ]
            env = ["PATH=/usr/bin:/bin", f"SHOP_LOG={'info' if number < 7 else 'warn'}", f"SHOP_VERSION={version}"]
            labels = {"org.opencontainers.image.source": "https://git.example/shop/api",
                      "org.opencontainers.image.licenses": "Apache-2.0"}
            entries.append(image(repository, architecture, variant, layers, created, env, labels, history=history))
        tags = [version] + (["latest"] if version == versions[-1] else [])
        root = repository.manifest({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": entries,
            "annotations": {
                "org.opencontainers.image.created": created,
                "org.opencontainers.image.title": "Shop API",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.source": "https://git.example/shop/api",
                "org.opencontainers.image.revision": hashlib.sha1(version.encode()).hexdigest(),
            },
        }, *tags)
        attach(repository, root, version, number)


def attach(repository, root, version, number):
    packages = [
        (kind, name, count.replace("1.45.0", f"1.{40 + number}.0").replace("3.3.2-r0", f"3.3.{number}-r0"), licence)
        for kind, name, count, licence in PACKAGES if name != "tracing" or number > 6
    ]
    sbom = repository.attach(root, "application/spdx+json",
                             [(spdx(version, packages), "application/spdx+json", "sbom.spdx.json")])
    name, value = root["digest"].split(":")
    statement = as_json({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "shop/api", "digest": {name: value}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {"buildType": "https://actions.github.io/buildtypes/workflow/v1",
                                "externalParameters": {"workflow": {"ref": f"refs/tags/v{version}"}}},
            "runDetails": {"builder": {"id": "https://ci.example/runner/17"}},
        },
    })
    envelope = as_json({"payloadType": "application/vnd.in-toto+json", "payload": base64.b64encode(statement).decode(),
                        "signatures": [{"keyid": "ci-2026", "sig": "bm90IGEgc2lnbmF0dXJl"}]})
    repository.attach(root, "application/vnd.in-toto+json", [(envelope, "application/vnd.dsse.envelope.v1+json", None)],
                      **{"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"})
    payload = as_json({"critical": {"identity": {"docker-reference": "registry.example/shop/api"},
                                    "image": {"docker-manifest-digest": sbom["digest"]},
                                    "type": "cosign container image signature"}, "optional": {"by": "release@example.com"}})
    repository.attach(sbom, "application/vnd.dev.cosign.artifact.sig.v1+json",
                      [(payload, "application/vnd.dev.cosign.simplesigning.v1+json", None)])


def others(base_url):
    for name, versions in {
        "base/alpine": ["3.18.9", "3.19.4", "3.20.3"], "base/distroless": ["nonroot", "debug"],
        "shop/frontend": ["4.1.0", "4.2.0"], "shop/worker": ["1.3.0"], "tools/migrate": ["v0.9", "v0.10"],
    }.items():
        repository = Repository(base_url, name)
        for number, version in enumerate(versions):
            content = [base("amd64"), layer([("srv", None), ("srv/app", noise(name + version, 300_000 * (number + 1)))])]
            created = f"2026-1{number % 2}-0{number + 1}T12:00:00Z"
            image(repository, "amd64", None, content, created, ["PATH=/bin"], {}, version,
                  history=[{"created": created, "created_by": "ADD rootfs.tar /"},
                           {"created": created, "created_by": "COPY app /srv/app"}])
    charts = Repository(base_url, "charts/shop")
    charts.manifest({
        "schemaVersion": 2, "mediaType": IMAGE,
        "config": charts.blob(as_json({"name": "shop", "version": "2.0.0", "apiVersion": "v2"}),
                              "application/vnd.cncf.helm.config.v1+json"),
        "layers": [charts.blob(noise("chart", 9_000), "application/vnd.cncf.helm.chart.content.v1.tar+gzip")],
        "annotations": {"org.opencontainers.image.created": "2026-11-21T07:00:00Z",
                        "org.opencontainers.image.description": "The shop on Kubernetes"},
    }, "2.0.0")


def hostile(base_url):
    """An image whose every text tries to break out of a page."""
    repository = Repository(base_url, "zz-hostile")
    bad = "\"'><script>document.title='broken'</script><img src=x onerror=alert(1)>\u202egnp.exe"
    content = [layer([("a" + bad.replace("/", "_"), "x"), ("b", f"->{bad}")])]
    image(repository, "amd64", None, content, bad, [f"A={bad}"], {bad: bad, "url": "javascript:alert(1)"}, "v1",
          history=[{"created": bad, "created_by": bad}])


def main():
    base_url = sys.argv[1].rstrip("/")
    shop(base_url)
    others(base_url)
    hostile(base_url)


main()
