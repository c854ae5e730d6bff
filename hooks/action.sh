#!/usr/bin/env bash
# Gets keyward for the GitHub Action: the release that the action is referred to by,
# its checksum verified; where there is none, a build of the action's own source.
set -euo pipefail

into="${RUNNER_TEMP:-${TMPDIR:-/tmp}}/keyward-$$"
mkdir -p "$into"
trap 'rm -f "$into/curl.conf"' EXIT

case "$(uname -s)" in
Linux) os=linux ;;
Darwin) os=darwin ;;
MINGW* | MSYS* | CYGWIN*) os=windows ;;
*) os= ;;
esac
case "$(uname -m)" in
x86_64 | amd64) arch=amd64 ;;
aarch64 | arm64) arch=arm64 ;;
*) arch= ;;
esac
exe=keyward
[ "$os" != windows ] || exe=keyward.exe

fail() {
  echo "::error title=Keyward did not scan::$*"
  exit 2
}

get() { # URL FILE
  local header=()
  if [ -n "${KEYWARD_TOKEN:-}" ]; then # by file: it must not stand among the arguments
    printf 'header = "Authorization: Bearer %s"\n' "$KEYWARD_TOKEN" >"$into/curl.conf"
    chmod 600 "$into/curl.conf"
    header=(--config "$into/curl.conf")
  fi
  curl --fail --silent --show-error --location --retry 2 --max-time 120 ${header[@]+"${header[@]}"} --output "$2" "$1" ||
    curl --fail --silent --location --retry 2 --max-time 120 --output "$2" "$1"
}

sum() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

# release VERSION downloads one; it returns 1 if there is none.
release() {
  [ -n "$os" ] && [ -n "$arch" ] || return 1
  local archive="keyward_${os}_${arch}.tar.gz"
  local from="${GITHUB_SERVER_URL:-https://github.com}/${KEYWARD_REPOSITORY:-keyward/keyward}/releases/download/$1"
  get "$from/checksums.txt" "$into/checksums.txt" 2>/dev/null || return 1
  get "$from/$archive" "$into/$archive" || fail "release $1 has checksums.txt and no $archive"
  local want
  want=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print $1 }' "$into/checksums.txt")
  [[ -n "$want" && "$want" = "$(sum "$into/$archive")" ]] || fail "the checksum of $archive of release $1 is not the one in checksums.txt: it was not used"
  tar -xzf "$into/$archive" -C "$into" "$exe"
  echo "keyward: release $1, checksum verified"
}

build() {
  command -v go >/dev/null || fail "there is no release for '${KEYWARD_REF:-}' and no Go to build one: refer to the action by a release, or add actions/setup-go before it"
  (cd "$KEYWARD_SOURCE" && GOWORK=off GOFLAGS=-mod=readonly CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$into/$exe" .) ||
    fail "the source of the action at '${KEYWARD_REF:-}' does not build"
  echo "keyward: built from the action's source"
}

if [ -n "${KEYWARD_VERSION:-}" ]; then
  release "$KEYWARD_VERSION" || fail "there is no release $KEYWARD_VERSION for this platform"
elif [[ "${KEYWARD_REF:-}" =~ ^v[0-9]+\.[0-9]+\.[0-9]+ ]]; then
  release "$KEYWARD_REF" || build
else
  build
fi
echo "keyward=$into/$exe" >>"$GITHUB_OUTPUT"
