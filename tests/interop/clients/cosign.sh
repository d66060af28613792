# cosign and the server: signatures by a local key, with no transparency log and no trust root from the network.
# It keeps them as referrers, and in its older format under tags or as referrers.
# shellcheck shell=bash

cosign=$(installed cosign)
export COSIGN_PASSWORD=of-the-key

cosign_works() {
    local at=$host/by-cosign/hello digest image each
    local keys=$temporary/keys older=(--new-bundle-format=false)
    local alone=(--signing-config "$temporary/keys/signing.json" --trusted-root "$temporary/keys/root.json")
    local older_alone=("${older[@]}" --use-signing-config=false --tlog-upload=false)
    local no_log=(--insecure-ignore-tlog --trusted-root "$temporary/keys/root.json")
    rm -rf "$keys"
    mkdir "$keys"
    for each in ours theirs; do
        quietly "$cosign" generate-key-pair --output-key-prefix "$keys/$each"
    done
    quietly "$cosign" signing-config create --out "$keys/signing.json"
    quietly "$cosign" trusted-root create --out "$keys/root.json"
    digest=$(quiet cp "oci:$hello:v1" "$at:v1" "${ours[@]}")
    image=$at@$digest

    check "sign, verify" "a signature, as a referrer"
    quietly "$cosign" sign --yes --key "$keys/ours.key" "${alone[@]}" "$image"
    quietly "$cosign" verify --key "$keys/ours.pub" "${no_log[@]}" "$image"
    refused "$cosign" verify --key "$keys/theirs.pub" "${no_log[@]}" "$image"
    mentions application/vnd.dev.sigstore.bundle quiet discover "$image" "${ours[@]}"
    prints v1 tags_of quiet repo tags "$at" "${ours[@]}"
    check "attest, verify-attestation" "an attestation, as a referrer"
    printf '{"hello":"%s"}' "$mode" >"$temporary/predicate.json"
    quietly "$cosign" attest --yes --key "$keys/ours.key" "${alone[@]}" \
        --type custom --predicate "$temporary/predicate.json" "$image"
    quietly "$cosign" verify-attestation --key "$keys/ours.pub" "${no_log[@]}" --type custom "$image"
    refused "$cosign" verify-attestation --key "$keys/theirs.pub" "${no_log[@]}" --type custom "$image"
    check "verify, verify-attestation" "what tranship copied with referrers is still signed"
    prints "$digest" quiet cp -r "$at:v1" "oci:$temporary/$mode-signed:v1" "${ours[@]}"
    prints "$digest" quiet cp -r "oci:$temporary/$mode-signed:v1" "$host/by-cosign/copy:v1" "${ours[@]}"
    quietly "$cosign" verify --key "$keys/ours.pub" "${no_log[@]}" "$host/by-cosign/copy@$digest"
    quietly "$cosign" verify-attestation --key "$keys/ours.pub" "${no_log[@]}" --type custom "$host/by-cosign/copy@$digest"

    check "sign, verify" "a signature of the older format, under a tag"
    quietly "$cosign" sign --yes --key "$keys/ours.key" "${older_alone[@]}" --registry-referrers-mode legacy "$image"
    quietly "$cosign" verify --key "$keys/ours.pub" "${older[@]}" --insecure-ignore-tlog "$image"
    refused "$cosign" verify --key "$keys/theirs.pub" "${older[@]}" --insecure-ignore-tlog "$image"
    prints "${digest/:/-}.sig v1" tags_of quiet repo tags "$at" "${ours[@]}"
    check "attest, verify-attestation" "an attestation of the older format, under a tag"
    quietly "$cosign" attest --yes --key "$keys/ours.key" "${older_alone[@]}" \
        --type custom --predicate "$temporary/predicate.json" "$image"
    quietly "$cosign" verify-attestation --key "$keys/ours.pub" "${older[@]}" --insecure-ignore-tlog --type custom "$image"
    prints "${digest/:/-}.att ${digest/:/-}.sig v1" tags_of quiet repo tags "$at" "${ours[@]}"
    check "sign, verify" "a signature of the older format, as a referrer"
    COSIGN_EXPERIMENTAL=1 quietly "$cosign" sign --yes --key "$keys/ours.key" "${older_alone[@]}" \
        --registry-referrers-mode oci-1-1 "$image"
    COSIGN_EXPERIMENTAL=1 quietly "$cosign" verify --key "$keys/ours.pub" "${older[@]}" --insecure-ignore-tlog \
        --experimental-oci11 "$image"
    mentions application/vnd.dev.cosign.artifact.sig.v1+json quiet discover "$image" "${ours[@]}"
    check "attach, download" "an SBOM, under a tag"
    quietly "$cosign" attach sbom --sbom "$temporary/predicate.json" "$image"
    "$cosign" download sbom "$image" 2>"$temporary/output" | cmp - "$temporary/predicate.json"
    check "tree" "all of them are listed"
    for each in "${digest/:/-}.sig" "${digest/:/-}.att" "${digest/:/-}.sbom" sigstore.dev/cosign/sign; do
        mentions "$each" "$cosign" tree "$image"
    done
    check "clean" "what stands under tags is removed, and of the image nothing"
    quietly "$cosign" clean --force "$image"
    prints v1 tags_of quiet repo tags "$at" "${ours[@]}"
    prints "$digest" quiet resolve "$image" "${ours[@]}"
}
