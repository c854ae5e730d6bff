#!/bin/sh
# large.sh [VERSIONS] makes histories of 300 files of 29 KB, one with a tenth of VERSIONS
# (1000 if not given: 8.7 GB of blobs, 5 GB of room below TMPDIR) and one with all, and a
# file of 2 GB, and prints for each what keyward takes: seconds of the clock, of the
# processor, and the memory of the largest process. Each holds one key. Build keyward
# first: go install .
set -eu
versions=${1:-1000}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1

text() { # FILES VERSIONS ; prints a stream for git fast-import, or the text of one file
	awk -v files="$1" -v versions="$2" '
	function piece(f, v, i,   t) {
		t = ""
		while (length(t) < 960)
			t = t sprintf("\tif err := run(ctx, step%d, %d); err != nil { // %d, as in version %d of file %d\n", int(rand() * 1e6), rand() * 1e6, i, v, f)
		return t
	}
	BEGIN {
		srand(1)
		key = "glrt-" "FAKEkeywardNOTREAL00"
		for (f = 0; f < files; f++) for (i = 0; i < 28; i++) part[f, i] = piece(f, 0, i)
		part[7 % files, 3] = part[7 % files, 3] "token = \"" key "\"\n"
		for (v = 1; v <= versions; v++) {
			printf "commit refs/heads/main\ncommitter Dana Dev <dana@example.com> %d +0000\ndata 2\nv\n\n", 1700000000 + v
			for (f = 0; f < files; f++) {
				at = (v + f) % 28
				if (f != 7 || at != 3) part[f, at] = piece(f, v, at)
				t = ""
				for (i = 0; i < 28; i++) t = t part[f, i]
				printf "M 100644 inline d%d/f%d.go\ndata %d\n%s\n", f % 20, f, length(t), t
			}
		}
	}'
}

measure() { # WHAT ARGUMENT...
	what=$1
	shift
	command time -f '%e %U %S %M' -o "$tmp/time" keyward scan "$@" >"$tmp/out" 2>&1 || true
	grep -q 'glrt-' "$tmp/out" || { echo "large.sh: $what: the key was not found" >&2; tail -n 5 "$tmp/out" >&2; exit 1; }
	tail -n 1 "$tmp/time" | awk -v what="$what" '{ printf "%-40s %7.1f s  %7.1f s CPU  %5d MB\n", what, $1, $2 + $3, $4 / 1024 }'
}

for n in $((versions / 10)) "$versions"; do
	git init -q --bare "$tmp/repo.git"
	text 300 "$n" | git -C "$tmp/repo.git" fast-import --quiet
	size=$(git -C "$tmp/repo.git" cat-file --batch-all-objects --unordered --batch-check='%(objecttype) %(objectsize)' | awk '$1 == "blob" { s += $2 } END { printf "%.2f", s / 1e9 }')
	measure "a history of $size GB" --history "$tmp/repo.git"
	rm -rf "$tmp/repo.git"
done

mkdir "$tmp/file"
text 70 1 | sed 's/glrt-.*"//' >"$tmp/part" # 2 MB
i=0
while [ $i -lt 1000 ]; do
	cat "$tmp/part"
	i=$((i + 1))
done >"$tmp/file/large.go"
text 8 1 | tail -c 100000 >>"$tmp/file/large.go"
text 1 1 | grep 'glrt-' >>"$tmp/file/large.go"
measure "a file of $(wc -c <"$tmp/file/large.go" | awk '{ printf "%.2f", $1 / 1e9 }') GB" --max-size 4000000000 "$tmp/file"
