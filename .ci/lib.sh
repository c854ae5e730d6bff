# shellcheck shell=bash
# Functions shared by run, nightly and deploy. They run from the top of the repository.

say() { printf '\n== %s\n' "$*"; }

# missing WHAT: reports that WHAT is not available. In CI that is an error.
missing() {
  echo "cannot install $*" >&2
  [ "${CI:-}" != true ] || exit 1
}

# quietly COMMAND...: runs a command and shows its output only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  "$@" >"$log" 2>&1 || status=$?
  [ "$status" = 0 ] || tail -n 30 "$log" >&2
  rm -f "$log"
  return "$status"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    env DEBIAN_FRONTEND=noninteractive "$@"
  else
    sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

apt_updated=
apt_update() {
  [ -z "$apt_updated" ] || return 0
  apt_updated=yes
  as_root apt-get update -qq
}

# debian PACKAGE...: installs Debian packages.
debian() {
  command -v apt-get >/dev/null && quietly apt_update && quietly as_root apt-get install -y -qq --no-install-recommends "$@"
}

# go_tool MODULE@VERSION: installs a Go program in the pinned version, outside go.work.
go_tool() { GOFLAGS='' GOWORK=off quietly go install "$1"; }

# heavy selects the tests that only nightly runs, by their names.
# shellcheck disable=SC2034 # run and nightly use it
heavy='^Test(Load|Large|Kill|Year)'

# not_ours leaves the race detector out of SQLite and its allocator, which are C translated
# to Go, and pointer checks out of its C library: with them the tests of the App take five
# times the CPU time, nearly all of it in code that is not ours. The C library keeps the
# detector: it uses sync.Map, and a copy of that compiled without it hides the order of
# events from the detector in the whole program.
# shellcheck disable=SC2034 # run and nightly use it
not_ours=(
  -gcflags='modernc.org/sqlite/lib=-race=false -d=checkptr=0'
  -gcflags='modernc.org/memory=-race=false -d=checkptr=0'
  -gcflags='modernc.org/libc=-d=checkptr=0'
)

# modules lists the modules of go.work.
modules() { sed -n 's/^use \(\..*\)$/\1/p; s/^\t\(\..*\)$/\1/p' go.work; }

# install_test_programs installs what the tests call.
install_test_programs() {
  say "programs that the tests call"
  command -v pre-commit >/dev/null || debian pre-commit ruby || missing "pre-commit (Debian package pre-commit)"
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || debian postgresql || missing "PostgreSQL (Debian package postgresql)"
  command -v npm >/dev/null || debian npm || missing "npm (Debian package npm)"
  command -v shellcheck >/dev/null || debian shellcheck || missing "shellcheck (Debian package shellcheck)"
  install_github_data
  local tool
  for tool in github.com/nektos/act@v0.2.89 github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 \
    honnef.co/go/tools/cmd/staticcheck@v0.7.0 golang.org/x/vuln/cmd/govulncheck@v1.3.0; do
    go_tool "$tool" || missing "$tool"
  done
}

# install_github_data sets KEYWARD_NPM: GitHub's webhook examples and API descriptions.
install_github_data() {
  [ -z "${KEYWARD_NPM:-}" ] || return 0
  command -v npm >/dev/null || return 0 # reported above
  local dir=$scratch/npm
  mkdir -p "$dir"
  if quietly npm install --prefix "$dir" --no-audit --no-fund --ignore-scripts @octokit/webhooks-examples@7.6.1 @octokit/openapi@23.0.2; then
    export KEYWARD_NPM="$dir/node_modules"
  else
    missing "GitHub's webhook examples and API descriptions (npm packages @octokit/webhooks-examples and @octokit/openapi)"
  fi
}

# vulnerabilities MODULE: fails if the code calls a function with a known vulnerability.
# The database is the copy in ../shared/vulndb if there is one. Otherwise it is the public
# one, and a run without access to it passes with a message.
vulnerabilities() {
  local copy=$PWD/../shared/vulndb/vulndb.tar.gz log=$scratch/govulncheck status=0
  if [ -f "$copy" ]; then
    if [ ! -d "$scratch/vulndb" ]; then
      mkdir "$scratch/vulndb"
      tar -xzf "$copy" -C "$scratch/vulndb"
    fi
    echo "database: ../shared/vulndb"
    (cd "$1" && govulncheck -db "file://$scratch/vulndb/db" ./...)
    return
  fi
  (cd "$1" && timeout 300 govulncheck ./...) >"$log" 2>&1 || status=$?
  cat "$log"
  if [ "$status" = 124 ] || { [ "$status" = 1 ] && grep -q 'fetching vulnerabilities' "$log"; }; then
    echo "govulncheck: no answer from the public database: vulnerabilities were NOT checked"
    return 0
  fi
  return "$status"
}

# fuzz COUNT: runs every fuzz target for COUNT inputs. A count, unlike a time, gives the
# same coverage on a slow machine.
fuzz() {
  local package target log=$scratch/fuzz
  for package in $(grep -rl --include='*_test.go' '^func Fuzz' scanner app | xargs -n 1 dirname | sort -u); do
    for target in $(go test -list '^Fuzz' "./$package" | grep '^Fuzz'); do
      if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$1x" "./$package" >"$log" 2>&1; then
        cat "$log"
        return 1
      fi
      echo "$package $target: $(tail -n 1 "$log")"
    done
  done
}

go_bin() {
  local bin
  bin=$(go env GOBIN)
  echo "${bin:-$(go env GOPATH)/bin}"
}

scratch=$(mktemp -d)
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT
GOFLAGS=-mod=readonly
GOWORK=$PWD/go.work
PATH=$(go_bin):$PATH
export GOFLAGS GOWORK PATH
