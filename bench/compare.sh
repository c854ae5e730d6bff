#!/bin/sh
# compare.sh DIR [REPOSITORY] runs keyward and gitleaks (from PATH) in turn over the
# files of DIR and the history of REPOSITORY, three times each, and prints the
# median of the wall seconds, CPU seconds, peak memory and the ratio. It fails if
# either finds nothing. Build keyward first: go install .
set -eu

dir=$1
repo=${2:-}
for tool in keyward gitleaks time awk; do
	command -v "$tool" >/dev/null || { echo "compare.sh: $tool is not on PATH" >&2; exit 2; }
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

measure() { # NAME OUTPUT COMMAND... ; prints wall, cpu and memory of the median run
	name=$1 output=$2
	shift 2
	: >"$tmp/runs"
	for _ in 1 2 3; do
		command time -f '%e %U %S %M' -o "$tmp/time" "$@" >"$tmp/out" 2>"$tmp/err" || true
		tail -n 1 "$tmp/time" >>"$tmp/runs"
	done
	[ -s "$output" ] && [ "$(wc -c <"$output")" -gt 3 ] || { echo "compare.sh: $name found nothing" >&2; tail -n 5 "$tmp/err" >&2; exit 1; }
	sort -n "$tmp/runs" | sed -n 2p
}

compare() { # WHAT KEYWARD-ROW GITLEAKS-ROW
	echo "$2 $3" | awk -v what="$1" '{
		printf "%-8s keyward  %7.2f s  %7.2f s CPU  %5d MB\n", what, $1, $2 + $3, $4 / 1024
		printf "%-8s gitleaks %7.2f s  %7.2f s CPU  %5d MB  %.1f times as long\n", what, $5, $6 + $7, $8 / 1024, $5 / $1
	}'
}

ours=$(measure keyward "$tmp/k.jsonl" keyward scan "$dir" --quiet --first-seen=false --format jsonl --output "$tmp/k.jsonl")
theirs=$(measure gitleaks "$tmp/g.json" gitleaks dir "$dir" --no-banner --report-path "$tmp/g.json")
compare files "$ours" "$theirs"
if [ -n "$repo" ]; then
	ours=$(measure keyward "$tmp/kh.jsonl" keyward scan "$repo" --history --quiet --format jsonl --output "$tmp/kh.jsonl")
	theirs=$(measure gitleaks "$tmp/gh.json" gitleaks git "$repo" --no-banner --log-opts=--all --report-path "$tmp/gh.json")
	compare history "$ours" "$theirs"
fi
