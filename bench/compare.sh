#!/bin/sh
# compare.sh DIR [REPOSITORY...] runs keyward and its peers (gitleaks, betterleaks: those
# on PATH) in turn over the files of DIR and the history of each REPOSITORY, three times
# each, and prints the medians of wall seconds, CPU seconds and peak memory of the
# largest process, and how many times as long as keyward each takes. Beside them stand
# what the machine can do at best: ripgrep over 200 literals, git cat-file over all
# objects. It fails if one of them finds nothing. Build keyward first: go install .
set -eu

dir=$1
shift
for tool in keyward git time awk; do
	command -v "$tool" >/dev/null || { echo "compare.sh: $tool is not on PATH" >&2; exit 2; }
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

have() { command -v "$1" >/dev/null; }

run() { # NAME COMMAND... ; adds a line to the runs of NAME, its findings are in $tmp/found
	name=$1
	shift
	rm -f "$tmp/found"
	command time -f '%e %U %S %M' -o "$tmp/time" "$@" >/dev/null 2>"$tmp/err" || true
	case $name in
	ripgrep | cat-file) ;;
	*) [ -s "$tmp/found" ] && [ "$(wc -c <"$tmp/found")" -gt 3 ] || { echo "compare.sh: $name found nothing" >&2; tail -n 5 "$tmp/err" >&2; exit 1; } ;;
	esac
	tail -n 1 "$tmp/time" >>"$tmp/runs.$name"
}

table() { # WHAT
	for name in keyward gitleaks betterleaks ripgrep cat-file; do
		[ -f "$tmp/runs.$name" ] || continue
		sort -n "$tmp/runs.$name" | sed -n 2p | sed "s/^/$name /"
	done | awk -v what="$1" '{
		if ($1 == "keyward") ours = $2
		printf "%-10s %-12s %7.2f s  %7.2f s CPU  %5d MB  %6.2f\n", what, $1, $2, $3 + $4, $5 / 1024, $2 / ours
	}'
	rm -f "$tmp"/runs.*
}

# 200 literals such as the rules have: the first words of each issuer's file.
ls "$(dirname "$0")/../scanner/rules" | sed -n 's/\.toml$//p' | tr - '\n' | awk 'length($0) > 3' | sort -u | head -n 200 >"$tmp/words"

for _ in 1 2 3; do
	run keyward keyward scan "$dir" --quiet --first-seen=false --format jsonl --output "$tmp/found"
	! have gitleaks || run gitleaks gitleaks dir "$dir" --no-banner --report-format json --report-path "$tmp/found"
	! have betterleaks || run betterleaks betterleaks dir "$dir" --no-banner --report-format json --report-path "$tmp/found"
	! have rg || run ripgrep rg -i -c -uu -F -f "$tmp/words" "$dir"
done
table files
for repo; do
	for _ in 1 2 3; do
		run keyward keyward scan "$repo" --history --quiet --format jsonl --output "$tmp/found"
		! have gitleaks || run gitleaks gitleaks git "$repo" --no-banner --log-opts=--all --report-format json --report-path "$tmp/found"
		! have betterleaks || run betterleaks betterleaks git "$repo" --no-banner --log-opts=--all --report-format json --report-path "$tmp/found"
		run cat-file git -C "$repo" cat-file --batch-all-objects --batch --unordered --buffer
	done
	table "$(basename "$repo" .git)"
done
