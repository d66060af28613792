# helm and the server: charts.
# shellcheck shell=bash

helm=$(installed helm)

helm_works() {
    local at=$host/by-helm charts=$temporary/charts reach=(--ca-file "$temporary/ca.pem") version package
    local pulled=$temporary/$mode-helm
    [ "$scheme" = https ] || reach=(--plain-http)
    if [ "$scheme" = https ]; then
        check "registry login" "who has the password may in"
        printf 'wrong' | refused "$helm" registry login "${reach[@]}" "$host" -u "$user" --password-stdin
        printf '%s' "$password" | quietly "$helm" registry login "${reach[@]}" "$host" -u "$user" --password-stdin
    fi
    rm -rf "$charts"
    mkdir "$charts" "$pulled" "$pulled/by-digest"
    (cd "$charts" && quietly "$helm" create hello)
    for version in 1.2.3 1.3.0+build.7; do
        quietly "$helm" package "$charts/hello" --version "$version" -d "$charts"
    done
    check "push, pull" "a chart, the same bytes"
    for package in "$charts"/hello-*.tgz; do
        quietly "$helm" push "${reach[@]}" "$package" "oci://$at"
        version=${package#*/hello-}
        quietly "$helm" pull "${reach[@]}" "oci://$at/hello" --version "${version%.tgz}" -d "$pulled"
        cmp "$package" "$pulled/${package##*/}"
    done
    check "pull" "a chart by its digest"
    quietly "$helm" pull "${reach[@]}" -d "$pulled/by-digest" \
        "oci://$at/hello@$("$tranship" resolve "${ours[@]}" "$at/hello:1.2.3")"
    cmp "$charts/hello-1.2.3.tgz" "$pulled"/by-digest/*.tgz
    check "show chart" "the newest version among the tags"
    # No tag may have the +, for which helm puts an underscore.
    prints "1.2.3 1.3.0_build.7" tags_of "$tranship" repo tags "${ours[@]}" "$at/hello"
    mentions "version: 1.3.0+build.7" helm_tells show chart "${reach[@]}" "oci://$at/hello"
    mentions "version: 1.2.3" helm_tells show chart "${reach[@]}" "oci://$at/hello" --version "~1.2"
    check "template" "a chart rendered from the registry"
    mentions "kind: Service" helm_tells template "${reach[@]}" "oci://$at/hello" --version 1.2.3
}

# What it says beside that, it says of the registry.
helm_tells() {
    "$helm" "$@" 2>"$temporary/output" || { cat "$temporary/output" >&2; return 1; }
}
