#!/usr/bin/env bash
# Plazmaz/leaky-repo by its own counting: bench/leaky.sh DIR, a checkout of it. A file
# counts as many lines as its list says it has secrets, risky and informative.
set -euo pipefail
repo=$(cd "${1:?a checkout of github.com/Plazmaz/leaky-repo}" && pwd)
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/keyward" .
(cd "$repo" && "$dir/keyward" scan -q --format jsonl --first-seen=false . >"$dir/findings.jsonl") || [ $? -eq 1 ]
python3 - "$repo" "$dir/findings.jsonl" <<'PY'
import collections, json, os, sys
found = collections.Counter()
for line in open(sys.argv[2]):
    found[json.loads(line)["path"]] += 1
got = total = risky = risks = wrong = 0
for line in open(os.path.join(sys.argv[1], ".leaky-meta/secrets.csv")):
    if line.strip() and not line.startswith("#"):
        name, risk, informative = line.rsplit(",", 2)
        risk, both, n = int(risk), int(risk) + int(informative), found[name]
        got, total, risky, risks, wrong = got + min(n, both), total + both, risky + min(n, risk), risks + risk, wrong + max(0, n - both)
        if n < risk:
            print(f"missed {risk - n} of {risk} risky lines in {name}")
print(f"found {got} of {total}; of the risky ones {risky} of {risks}; false {wrong}")
PY
