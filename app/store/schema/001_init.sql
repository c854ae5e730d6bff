-- One text for SQLite and PostgreSQL. Times are milliseconds since 1970, 0 for none.
CREATE TABLE installation (
	id BIGINT PRIMARY KEY,
	account TEXT NOT NULL,
	account_id BIGINT NOT NULL,
	suspended BOOLEAN NOT NULL DEFAULT FALSE,
	gone BOOLEAN NOT NULL DEFAULT FALSE,
	next_write BIGINT NOT NULL DEFAULT 0,
	teller TEXT NOT NULL DEFAULT '',
	teller_until BIGINT NOT NULL DEFAULT 0,
	triaged BIGINT NOT NULL DEFAULT 0,
	created BIGINT NOT NULL
);

CREATE TABLE repository (
	id BIGINT PRIMARY KEY,
	installation BIGINT NOT NULL,
	owner TEXT NOT NULL,
	name TEXT NOT NULL,
	public BOOLEAN NOT NULL,
	archived BOOLEAN NOT NULL DEFAULT FALSE,
	default_branch TEXT NOT NULL DEFAULT '',
	backfill TEXT NOT NULL DEFAULT '',
	backfill_note TEXT NOT NULL DEFAULT '',
	updated BIGINT NOT NULL
);
CREATE INDEX repository_installation ON repository (installation);

CREATE TABLE credential (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	rule TEXT NOT NULL,
	severity TEXT NOT NULL,
	redacted TEXT NOT NULL,
	confidence DOUBLE PRECISION NOT NULL,
	facts TEXT NOT NULL,
	expires BIGINT NOT NULL DEFAULT 0,
	detected BIGINT NOT NULL,
	first_commit TEXT NOT NULL DEFAULT '',
	first_at BIGINT NOT NULL DEFAULT 0,
	public_since BIGINT NOT NULL DEFAULT 0,
	state TEXT NOT NULL,
	note TEXT NOT NULL DEFAULT '',
	settings TEXT NOT NULL DEFAULT '{}',
	stale BOOLEAN NOT NULL DEFAULT TRUE,
	PRIMARY KEY (installation, fingerprint)
);

CREATE TABLE place (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	repository BIGINT NOT NULL,
	path TEXT NOT NULL,
	line BIGINT NOT NULL,
	col BIGINT NOT NULL,
	commit_id TEXT NOT NULL,
	blob TEXT NOT NULL,
	decoded TEXT NOT NULL,
	in_test BOOLEAN NOT NULL,
	url TEXT NOT NULL DEFAULT '',
	seen BIGINT NOT NULL,
	PRIMARY KEY (installation, fingerprint, repository, path, line)
);
CREATE INDEX place_repository ON place (repository);

CREATE TABLE scan (
	id TEXT PRIMARY KEY,
	installation BIGINT NOT NULL,
	repository BIGINT NOT NULL,
	source TEXT NOT NULL,
	head TEXT NOT NULL,
	base TEXT NOT NULL,
	pull BIGINT NOT NULL DEFAULT 0,
	sender BIGINT NOT NULL DEFAULT 0,
	check_run BIGINT NOT NULL DEFAULT 0,
	state TEXT NOT NULL,
	result TEXT NOT NULL DEFAULT '',
	round BIGINT NOT NULL DEFAULT 0,
	created BIGINT NOT NULL,
	finished BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX scan_head ON scan (repository, head);
CREATE INDEX scan_check ON scan (check_run);
CREATE INDEX scan_created ON scan (created);

CREATE TABLE rotation (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	repository TEXT NOT NULL,
	number BIGINT NOT NULL DEFAULT 0,
	holder TEXT NOT NULL DEFAULT '',
	held_until BIGINT NOT NULL DEFAULT 0,
	tries BIGINT NOT NULL DEFAULT 1,
	claimed BIGINT NOT NULL DEFAULT 0,
	opened BIGINT NOT NULL DEFAULT 0,
	due BIGINT NOT NULL DEFAULT 0,
	owner TEXT NOT NULL DEFAULT '',
	body TEXT NOT NULL DEFAULT '',
	told BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (installation, fingerprint)
);

CREATE TABLE process (
	id TEXT PRIMARY KEY,
	seen BIGINT NOT NULL
);
