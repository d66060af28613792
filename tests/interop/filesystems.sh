#!/usr/bin/env bash
# The files of an image: what tranship exports, crane exports and umoci unpacks is the same.
#
#   bash tests/interop/filesystems.sh [TRANSHIP]
#
# TRANSHIP is the program to check, target/release/tranship unless given. `bash .ci/tools` installs the others. Works
# in a temporary directory and ends with the first check that fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source=support.sh
source tests/interop/support.sh
tranship=$(tested "${1:-}")
crane=$(installed crane)
needs umoci
as_nobody

# An image of three layers: links across layers, whiteouts, an opaque directory, and a directory over a link.
python3 - "$temporary" <<'PYTHON'
import gzip, hashlib, io, json, os, sys, tarfile

root = sys.argv[1] + "/layout"
os.makedirs(root + "/blobs/sha256")

def blob(content):
    digest = hashlib.sha256(content).hexdigest()
    with open(f"{root}/blobs/sha256/{digest}", "wb") as file:
        file.write(content)
    return {"digest": "sha256:" + digest, "size": len(content)}

def tar(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, value in entries:
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o640
            info.type = kind
            content = value.encode() if kind == tarfile.REGTYPE else b""
            info.size = len(content)
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = value
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()

D, F, S, H = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
layers = [
    tar(("etc", D, ""), ("etc/a", F, "1"), ("etc/b", F, "2"), ("var", D, ""), ("var/old", F, "3"),
        ("usr", D, ""), ("usr/bin", D, ""), ("usr/bin/tool", F, "x" * 5000), ("link", S, "usr/bin"),
        ("n" * 90, D, ""), ("n" * 90 + "/" + "m" * 90, F, "long")),
    tar(("etc", D, ""), ("etc/.wh.a", F, ""), ("etc/c", F, "4"), ("var", D, ""), ("var/.wh..wh..opq", F, ""),
        ("var/new", F, "5"), ("hard", H, "etc/c")),
    tar(("etc", D, ""), ("etc/b", F, "changed"), ("absolute", S, "/etc/b"), ("up", S, "../../etc")),
]
diff_ids = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
config = {"os": "linux", "architecture": "amd64", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
kind = "application/vnd.oci.image."
manifest = {
    "schemaVersion": 2,
    "mediaType": kind + "manifest.v1+json",
    "config": {"mediaType": kind + "config.v1+json", **blob(json.dumps(config).encode())},
    "layers": [{"mediaType": kind + "layer.v1.tar+gzip", **blob(gzip.compress(layer, mtime=0))} for layer in layers],
}
descriptor = {"mediaType": kind + "manifest.v1+json", **blob(json.dumps(manifest).encode())}
descriptor["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
with open(root + "/index.json", "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [descriptor]}, file)
with open(root + "/oci-layout", "w") as file:
    file.write('{"imageLayoutVersion":"1.0.0"}')
PYTHON

# listed ARCHIVE: a line for each entry of a tar archive, with what matters of it, in order.
listed() {
    python3 -c '
import hashlib, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    members = {member.name.rstrip("/"): member for member in archive}
    for name, member in sorted(members.items()):
        file = archive.extractfile(member) if member.isfile() or member.islnk() else None
        content = hashlib.sha256(file.read()).hexdigest() if file else ""
        kind = "-" if member.islnk() else member.type.decode().replace("0", "-")
        print(name, kind, oct(member.mode) if kind != "2" else "", member.linkname if kind == "2" else "", content)
' "$1"
}

image=oci:$temporary/layout:v1
"$tranship" fs export "$image" >"$temporary/ours.tar"
listed "$temporary/ours.tar" >"$temporary/ours"

echo "umoci"
umoci unpack --rootless --image "$temporary/layout:v1" "$temporary/bundle" >/dev/null 2>&1
mkdir "$temporary/unpacked"
tar -xf "$temporary/ours.tar" -C "$temporary/unpacked"
diff -r --no-dereference "$temporary/unpacked" "$temporary/bundle/rootfs"
"$tranship" fs cp --quiet "$image" / "$temporary/copied" >/dev/null
diff -r --no-dereference "$temporary/copied" "$temporary/bundle/rootfs"

echo "crane"
# It reads archives of docker save from a file, and drops links that lead outside of the root.
"$tranship" cp --quiet "$image" "docker-archive:$temporary/docker.tar:example.com/image:v1" >/dev/null
"$crane" export - "$temporary/theirs.tar" <"$temporary/docker.tar"
listed "$temporary/theirs.tar" | grep -v '^up ' >"$temporary/theirs"
grep -v '^up ' "$temporary/ours" >"$temporary/ours-without"
diff "$temporary/theirs" "$temporary/ours-without"

echo "the files are the same"
