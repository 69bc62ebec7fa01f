#!/bin/sh
# Builds docker/Dockerfile with buildah and starts what it gives, on a machine without a Docker engine and without a registry.
#
#     sudo docker/try-image.sh [--keep] [WORK]        Debian, root; apt-get install buildah debootstrap crun
#
# The base images node:20-bookworm and node:20-bookworm-slim are stood in for by a fresh Debian 12 (debootstrap) with this machine's
# Node 20 in /usr/local and a user `node`. Everything else is the Dockerfile's own: its context as .dockerignore leaves it, its steps,
# its user, its entry. The started image must answer /ready, then a question over a document. Ends with 0 if it does.
# DEBIAN_MIRROR names another source of Debian's packages than debootstrap's own.
set -eu

KEEP=0
[ "${1:-}" = --help ] && { sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0; }
[ "${1:-}" = --keep ] && { KEEP=1; shift; }
WORK=${1:-$(mktemp -d /tmp/blockstitch-image.XXXXXX)}
HERE=$(cd "$(dirname "$0")/.." && pwd)
ROOT="$WORK/debian"
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
buildah() { command buildah --root "$WORK/storage" --runroot "$WORK/run" "$@"; }
say() { printf '%s %s\n' "$(date +%T)" "$*"; }
fail() { say "failed: $*"; exit 1; }

for tool in buildah debootstrap node npm curl; do
  command -v "$tool" > /dev/null || fail "$tool is needed: apt-get install buildah debootstrap crun curl"
done
[ "$(id -u)" = 0 ] || fail 'debootstrap needs root'
mkdir -p "$WORK"

if [ ! -x "$ROOT/usr/local/bin/node" ]; then
  say "a fresh Debian 12 in $ROOT"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$ROOT" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} > "$WORK/debootstrap.log"
  cp "$(readlink -f "$(command -v node)")" "$ROOT/usr/local/bin/node"
  mkdir -p "$ROOT/usr/local/lib/node_modules"
  cp -r "$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")" "$ROOT/usr/local/lib/node_modules/npm"
  ln -sf ../lib/node_modules/npm/bin/npm-cli.js "$ROOT/usr/local/bin/npm"
  ln -sf ../lib/node_modules/npm/bin/npx-cli.js "$ROOT/usr/local/bin/npx"
  # What this machine trusts, which may be more than Debian does.
  rm -f "$ROOT/etc/ssl/certs/ca-certificates.crt"
  cp /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/ca-certificates.crt"
  chroot "$ROOT" useradd --uid 1000 --create-home --shell /bin/sh node
fi
if ! buildah images node:20-bookworm > /dev/null 2>&1; then
  say 'base images'
  base=$(buildah from scratch)
  buildah add --quiet "$base" "$ROOT" / > /dev/null
  buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$base"
  buildah commit --quiet "$base" docker.io/library/node:20-bookworm > /dev/null
  buildah tag docker.io/library/node:20-bookworm docker.io/library/node:20-bookworm-slim
  buildah rm "$base" > /dev/null
fi

say "buildah build -f docker/Dockerfile"
buildah build --pull-never --network host -f "$HERE/docker/Dockerfile" -t blockstitch "$HERE" > "$WORK/build.log" 2>&1 \
  || { tail -30 "$WORK/build.log"; fail "the image does not build ($WORK/build.log)"; }
image=$(buildah from --pull-never blockstitch)
mounted=$(buildah mount "$image")
say "built: $(du -sm --exclude=proc "$mounted" | cut -f1) MiB, of them $(du -sm "$mounted/app" | cut -f1) MiB in /app"
buildah umount "$image" > /dev/null

PORT=${PORT:-18080}
config() { buildah inspect "$image" | node -p "const { config } = JSON.parse(require('fs').readFileSync(0)).OCIv1; $1"; }
entry=$(config '[...config.Entrypoint, ...config.Cmd].join(" ")')
say "starting as $(config 'config.User'): $entry"
# shellcheck disable=SC2086 # the entry is a list of words
buildah run --network host --env BLOCKSTITCH_PORT="$PORT" "$image" -- $entry > "$WORK/serve.log" 2>&1 &
server=$!
end_server() { pkill -TERM -P "$server" 2> /dev/null || true; wait "$server" || true; }
trap end_server EXIT
tries=0
until curl -sf "http://127.0.0.1:$PORT/ready" > /dev/null; do
  tries=$((tries + 1))
  [ $tries -lt 240 ] || { tail -5 "$WORK/serve.log"; fail 'it was not ready after two minutes'; }
  sleep 0.5
done
answer=$(curl -sf "http://127.0.0.1:$PORT/v1/chat/completions" -H 'content-type: application/json' \
  -d '{"messages":[{"role":"user","content":"Where?"}],"documents":["Kalido lives in Bergo."],"max_tokens":8}')
say "answered: $(printf %s "$answer" | node -p 'JSON.parse(require("fs").readFileSync(0)).choices[0].message.content')"
say "the image builds, starts and answers"
end_server
[ $KEEP = 1 ] || rm -rf "$WORK"
