# Servers that the interop checks start: on free ports of loopback, and gone when the script ends.
# shellcheck shell=bash

needs curl python3

servers=()

# Ends all of them.
stop_servers() {
    [ ${#servers[@]} = 0 ] || kill "${servers[@]}" 2>/dev/null || true
    [ ${#servers[@]} = 0 ] || wait "${servers[@]}" 2>/dev/null || true
    servers=()
}

# Ends the one that was started last, which must succeed.
stop_server() {
    kill "${servers[-1]}"
    wait "${servers[-1]}" || { cat "$temporary/log" >&2; die "the server ended badly"; }
    unset 'servers[-1]'
}

# serve ARGUMENTS...: `tranship serve`, which chooses a port itself. Sets host and, with the scheme, url. Scripts with
# several servers at the same time set server_log before each.
server_log=$temporary/log
serve() {
    : >"$temporary/url"
    "$tranship" serve --listen 127.0.0.1:0 "$@" >"$temporary/url" 2>"$server_log" &
    servers+=($!)
    for _ in $(seq 200); do
        url=$(cat "$temporary/url")
        [ -z "$url" ] || break
        kill -0 "${servers[-1]}" 2>/dev/null || break
        sleep 0.05
    done
    [ -n "$url" ] || { cat "$server_log" >&2; die "the server does not start: $*"; }
    host=${url#*://}
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# listens SCHEME PATH COMMAND...: starts somebody else's server, @HOST@ in whose command is where it is to
# listen, and waits until it answers at the path. Sets host and url.
listens() {
    local scheme=$1 path=$2
    shift 2
    for _ in 1 2 3; do
        host=127.0.0.1:$(free_port)
        url=$scheme://$host
        "${@//@HOST@/$host}" >"$temporary/log" 2>&1 &
        servers+=($!)
        for _ in $(seq 300); do
            kill -0 "${servers[-1]}" 2>/dev/null || break
            case $(curl -ks --max-time 2 -o /dev/null -w '%{http_code}' "$url$path" || true) in 200 | 401) return 0 ;; esac
            sleep 0.1
        done
        # Somebody else may have taken the port meanwhile.
        kill "${servers[-1]}" 2>/dev/null || true
        unset 'servers[-1]'
    done
    cat "$temporary/log" >&2
    die "does not start: $*"
}

# crane_registry ARGUMENTS...: an empty registry of crane, in memory unless told otherwise.
crane_registry() {
    listens http /v2/ "$(installed crane)" registry serve --address @HOST@ "$@"
}

# minio with an empty bucket, called tranship, and credentials for it in the environment.
minio() {
    # A directory is a bucket.
    mkdir -p "$temporary/minio/tranship"
    export AWS_ACCESS_KEY_ID=tranship AWS_SECRET_ACCESS_KEY=not-a-secret AWS_REGION=us-east-1
    listens http /minio/health/live env MINIO_BROWSER=off \
        MINIO_ROOT_USER=$AWS_ACCESS_KEY_ID MINIO_ROOT_PASSWORD=$AWS_SECRET_ACCESS_KEY \
        "$(installed minio)" server --quiet "$temporary/minio" --address @HOST@
    export AWS_ENDPOINT_URL=$url AWS_ALLOW_HTTP=true
}

# An authority, and a certificate for this machine: ca.pem, server.pem and server.key.
certificates() {
    needs openssl
    (
        cd "$temporary"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
            -subj '/CN=tranship test authority' -keyout ca.key -out ca.pem
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -subj '/CN=127.0.0.1' -keyout server.key -out server.csr
        printf 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test\n' >server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile server.ext -out server.pem
    ) >"$temporary/log" 2>&1 || { cat "$temporary/log" >&2; die "no certificates"; }
}

# A user and a password that has a colon and a letter beyond ASCII, and the file htpasswd with them, by bcrypt at
# its least cost.
passwords() {
    user=tester password='not:a sécret'
    cat >"$temporary/htpasswd" <<'HTPASSWD'
tester:$2b$04$ScGGtpfQw1cqtpM..HY7z.pHpPIY1rEUuTSxrQN4rQZzyY01E7BAq
HTPASSWD
}

# logs_in: stores the credentials for $host where programs that follow read them.
logs_in() {
    python3 - "$host" "$user" "$password" >"$DOCKER_CONFIG/config.json" <<'PYTHON'
import base64, json, sys

host, *credentials = sys.argv[1:]
print(json.dumps({"auths": {host: {"auth": base64.b64encode(":".join(credentials).encode()).decode()}}}))
PYTHON
}
