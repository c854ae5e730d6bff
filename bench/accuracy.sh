#!/usr/bin/env bash
# Accuracy on labelled data: bench/accuracy.sh DIR, where DIR holds labelled.jsonl.gz and
# eval.py. First the cross-validation, in which nothing is scored that was learned from;
# then the finished scanner, which has seen these lines, scored by the data's own program.
set -euo pipefail
data=$(cd "${1:?directory of the labelled data}" && pwd)
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go run ./scanner/score/train -data "$data/labelled.jsonl.gz" -ablate
go build -o "$dir/keyward" .
python3 "$data/eval.py" unpack "$data/labelled.jsonl.gz" "$dir/data" >/dev/null
(cd "$dir/data" && "$dir/keyward" scan -q --format jsonl --first-seen=false . >"$dir/findings.jsonl") || [ $? -eq 1 ]
printf '\nthe finished scanner, on what it has learned from:\n'
python3 "$data/eval.py" score "$data/labelled.jsonl.gz" "$dir/findings.jsonl"
