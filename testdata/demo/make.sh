#!/bin/sh
# make.sh DIR makes a git repository with fake keys that were added, moved, merged
# in, deleted and encoded. The keys are put together here from pieces, so that
# this file holds none. Dates and names are fixed: the commits are always the same.
set -eu

dir=$1
mkdir -p "$dir"
cd "$dir"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME='Dana Dev' GIT_AUTHOR_EMAIL=dana@example.com GIT_COMMITTER_NAME='Dana Dev' GIT_COMMITTER_EMAIL=dana@example.com

commit() { # DATE MESSAGE
	export GIT_AUTHOR_DATE="$1T09:00:00Z" GIT_COMMITTER_DATE="$1T09:00:00Z"
	git add -A
	git commit -q --no-verify -m "$2"
}

git -c init.defaultBranch=main init -q .
git config commit.gpgSign false

mkdir -p deploy src
printf 'package main\n\nfunc main() { println("widgets") }\n' >src/main.go
printf 'replicas: 2\ntailscale:\n  authKey: %s%s\n' 'tskey-auth-' 'kFAKEkeyward11CNTRL-FAKEkeywardNOTREALfakeKEYWARD7' >deploy/values.yaml
commit 2026-01-12 'Deploy with a mesh key'

mkdir scripts
printf '#!/bin/sh\ndocker swarm join --token %s%s%s 10.0.0.5:2377\n' 'SWMTKN-1-' 'fake0keyward0not0real0fake0keyward0not0real0fake0k' '-fake0keyward0not0real0fak' >scripts/join.sh
commit 2026-02-03 'Join nodes by script'

mkdir charts
git mv deploy/values.yaml charts/values.yaml
commit 2026-02-20 'Move the values'

git switch -q -c secrets
mkdir k8s
token=$(printf '%s%s' 'glpat-' 'FAKEkeywardNOTREAL7x' | base64)
printf 'apiVersion: v1\nkind: Secret\nmetadata:\n  name: ci\ndata:\n  token: %s\n' "$token" >k8s/secret.yaml
commit 2026-03-01 'A secret for CI'

git switch -q main
printf '# Widgets\n' >README.md
commit 2026-03-02 'A readme'

export GIT_AUTHOR_DATE=2026-03-03T09:00:00Z GIT_COMMITTER_DATE=2026-03-03T09:00:00Z
git merge -q --no-ff --no-commit secrets
printf 'OKTA_SCIM_TOKEN=%s%s\n' '"F4KE-7qZ2xV' '9bK3pR5tW8mL1-F4KE"' >deploy.env
commit 2026-03-03 'Merge branch secrets'

git rm -q scripts/join.sh
commit 2026-04-10 'Remove the join script'
