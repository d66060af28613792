# What docker saves and loads, for archives.sh. Its layers are not compressed and its manifests are not
# the same, so what is compared are the config and the layers decompressed.
# shellcheck shell=bash

# The config and the layers of the image that a manifest describes, by the digests of their content,
# from a folder of blobs into another. Fails if a blob has not the bytes of its name.
plain_image() {
    python3 - "$@" <<'PYTHON'
import gzip, hashlib, json, os, sys

manifest, blobs, into = sys.argv[1:]
manifest = json.load(open(manifest))
os.makedirs(into)
for each in [manifest["config"], *manifest["layers"]]:
    content = open(os.path.join(blobs, each["digest"].removeprefix("sha256:")), "rb").read()
    assert "sha256:" + hashlib.sha256(content).hexdigest() == each["digest"], each
    assert len(content) == each["size"], each
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    open(os.path.join(into, hashlib.sha256(content).hexdigest()), "wb").write(content)
PYTHON
}

# That of a layout with one manifest.
plain_image_in() {
    local digest
    digest=$(python3 -c 'import json, sys
entry, = json.load(open(sys.argv[1]))["manifests"]
print(entry["digest"])' "$1/index.json")
    plain_image "$(blob "$1" "$digest")" "$1/blobs/sha256" "$2"
}

# What tranship copies from an archive to a layout is this image.
is_in_archive() {
    local location=$1 expected=$2 copy
    copy=$(mktemp -d -p "$temporary")
    quietly "$tranship" cp --quiet "$location" "oci:$copy/layout:copy"
    plain_image_in "$copy/layout" "$copy/image"
    diff -r "$expected" "$copy/image"
}

# skopeo reads the same image.
is_for_skopeo() {
    local location=$1 expected=$2 copy
    copy=$(mktemp -d -p "$temporary")
    skopeo_copy "$location" "dir:$copy/dir"
    plain_image "$copy/dir/manifest.json" "$copy/dir" "$copy/image"
    diff -r "$expected" "$copy/image"
}

docker_archives_by_tranship() {
    name=example.com:5000/team/hello:v1
    saved=$temporary/saved.tar
    image=$temporary/image
    other_image=$temporary/other-image
    plain_image "$(blob "$hello" "$amd64")" "$hello/blobs/sha256" "$image"
    quietly "$tranship" cp --quiet --platform linux/arm64 "oci:$hello:v1" "oci:$temporary/arm64:v1"
    plain_image_in "$temporary/arm64" "$other_image"
    check "one platform: the config and the layers decompressed, as tar unpacks them"
    quietly "$tranship" cp --quiet --platform linux/amd64 "oci:$hello:v1" "docker-archive:$saved:$name"
    mkdir "$temporary/saved"
    tar -xf "$saved" -C "$temporary/saved"
    for each in "$image"/*; do
        cmp "$each" "$temporary/saved/${each##*/}".*
    done
    prints "$(($(find "$image" -type f | wc -l) + 2))" eval "find '$temporary/saved' -type f | wc -l"
    check "two runs write the same bytes"
    quietly "$tranship" cp --quiet "oci:$hello:v1-amd64" "docker-archive:$temporary/saved-again.tar:$name"
    cmp "$saved" "$temporary/saved-again.tar"
    check "what comes out of it, compressed or not, is the same"
    docker_archive_is_read "$saved" "$image"
    check "two images under three names, whose layers are there once"
    both=$temporary/both.tar
    cp "$saved" "$both"
    quietly "$tranship" cp --quiet "oci:$temporary/arm64:v1" "docker-archive:$both:hello:arm64"
    quietly "$tranship" cp --quiet "oci:$hello:v1-amd64" "docker-archive:$both:hello:amd64"
    prints "" eval "tar -tf '$both' | sort | uniq --repeated"
    is_in_archive "docker-archive:$both:hello:arm64" "$other_image"
    is_in_archive "docker-archive:$both:hello:amd64" "$image"
    is_in_archive "docker-archive:$both:$name" "$image"
}

# tranship reads an archive by the name and by the tag alone, as it is and compressed.
docker_archive_is_read() {
    compress "$1"
    for each in "$1" "$1.gz" "$1.zst"; do
        is_in_archive "docker-archive:$each:$name" "$2"
        is_in_archive "docker-archive:$each:v1" "$2"
    done
}

skopeo_reads_docker_archives() {
    local listed
    # skopeo 1.9.3 fails with small compressed ones, its own too.
    check "copy" "an image, the same config and layers"
    is_for_skopeo "docker-archive:$saved:$name" "$image"
    check "copy" "each of two images, by its names"
    is_for_skopeo "docker-archive:$both:hello:arm64" "$other_image"
    is_for_skopeo "docker-archive:$both:docker.io/library/hello:amd64" "$image"
    is_for_skopeo "docker-archive:$both:$name" "$image"
    check "list-tags" "all names, and one less when tranship has removed it"
    mentions '"hello:amd64"' skopeo list-tags "docker-archive:$both"
    mentions "$name" skopeo list-tags "docker-archive:$both"
    cp "$both" "$temporary/untagged.tar"
    quietly "$tranship" untag --quiet "docker-archive:$temporary/untagged.tar:hello:amd64"
    listed=$(skopeo list-tags "docker-archive:$temporary/untagged.tar")
    case $listed in *hello:amd64*) die "the name is still there: $listed" ;; esac
    is_for_skopeo "docker-archive:$temporary/untagged.tar:$name" "$image"
}

skopeo_writes_docker_archives() {
    local theirs=$temporary/docker-by-skopeo.tar expected=$temporary/image-by-skopeo
    check "copy" "an image: read as it is, compressed too"
    skopeo_copy "oci:$hello:v1-amd64" "docker-archive:$theirs:$name"
    skopeo_copy "docker-archive:$theirs:$name" "dir:$temporary/dir-by-skopeo"
    plain_image "$temporary/dir-by-skopeo/manifest.json" "$temporary/dir-by-skopeo" "$expected"
    docker_archive_is_read "$theirs" "$expected"
    check "copy" "tranship adds an image, and skopeo reads both"
    quietly "$tranship" cp --quiet "oci:$temporary/arm64:v1" "docker-archive:$theirs:hello:arm64"
    is_for_skopeo "docker-archive:$theirs:$name" "$expected"
    is_for_skopeo "docker-archive:$theirs:hello:arm64" "$other_image"
}

crane_reads_docker_archives() {
    check "validate" "well-formed"
    quietly "$crane" validate --tarball "$saved"
    check "push, pull" "an image, the same config and layers"
    crane_registry
    quietly "$crane" push "$saved" "$host/hello:v1"
    quietly "$crane" pull --format=oci "$host/hello:v1" "$temporary/pushed-by-crane"
    stop_servers
    plain_image_in "$temporary/pushed-by-crane" "$temporary/image-by-crane"
    diff -r "$image" "$temporary/image-by-crane"
}

crane_writes_docker_archives() {
    local theirs=$temporary/docker-by-crane.tar name
    check "pull" "an image: read as it is, compressed too"
    crane_registry
    name=$host/hello:v1
    quietly "$tranship" cp --quiet "oci:$hello:v1-amd64" "oci:$temporary/amd64:v1"
    quietly "$crane" push "$temporary/amd64" "$name"
    quietly "$crane" pull "$name" "$theirs"
    stop_servers
    docker_archive_is_read "$theirs" "$image"
    check "pull" "tranship adds an image, and skopeo reads both"
    quietly "$tranship" cp --quiet "oci:$temporary/arm64:v1" "docker-archive:$theirs:hello:arm64"
    is_for_skopeo "docker-archive:$theirs:$name" "$image"
    is_for_skopeo "docker-archive:$theirs:hello:arm64" "$other_image"
}

regctl_reads_docker_archives() {
    local each
    check "image import" "an image, the same config and layers"
    for each in "$saved" "$saved.gz" "$saved.zst"; do
        quietly "$regctl" image import "ocidir://$temporary/imported-${each##*.}:v1" "$each"
        plain_image_in "$temporary/imported-${each##*.}" "$temporary/image-by-regctl-${each##*.}"
        diff -r "$image" "$temporary/image-by-regctl-${each##*.}"
    done
}

regctl_writes_docker_archives() {
    local theirs=$temporary/docker-by-regctl.tar
    check "image export" "an image: read as it is, compressed too"
    quietly "$regctl" image export --name "$name" "ocidir://$temporary/amd64:v1" "$theirs"
    tar -xOf "$theirs" manifest.json >/dev/null
    docker_archive_is_read "$theirs" "$image"
}
