-- The checks that were sent to providers, and when: usage logs show them as use of the
-- credential, and they are told apart by the time.
CREATE TABLE verification (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	sent BIGINT NOT NULL,
	verdict TEXT NOT NULL,
	PRIMARY KEY (installation, fingerprint, sent)
);

-- Who did something is known by the account's id: logins change.
ALTER TABLE ledger ADD COLUMN actor_id BIGINT NOT NULL DEFAULT 0;

-- What a fact says, for programs; detail is for people.
ALTER TABLE ledger ADD COLUMN fact TEXT NOT NULL DEFAULT '';

-- The state of a credential is authenticated together with its place in the ledger. key_id
-- names the pepper that a MAC was made under, '' the one before peppers had ids.
ALTER TABLE ledger ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
ALTER TABLE life ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE life ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
ALTER TABLE life ADD COLUMN mac TEXT NOT NULL DEFAULT '';

-- Repositories are known by their ids: names change.
ALTER TABLE rotation ADD COLUMN repository_id BIGINT NOT NULL DEFAULT 0;

-- One worker makes a scan: two deliveries may tell of the same commits at once.
ALTER TABLE scan ADD COLUMN holder TEXT NOT NULL DEFAULT '';
ALTER TABLE scan ADD COLUMN held_until BIGINT NOT NULL DEFAULT 0;

CREATE INDEX credential_stale ON credential (installation, stale, detected);
CREATE INDEX rotation_number ON rotation (installation, number);
CREATE INDEX rotation_holder ON rotation (holder);
CREATE INDEX place_found ON place (installation, repository, fingerprint);

-- When a scan was last begun: who asked for it before that has been served.
ALTER TABLE scan ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;

-- How often a process died while it ran a job.
CREATE TABLE job_death (
	job BIGINT PRIMARY KEY,
	deaths BIGINT NOT NULL
);

-- What people from outside have added to a repository in a day.
CREATE TABLE outsider (
	installation BIGINT NOT NULL,
	repository BIGINT NOT NULL,
	day BIGINT NOT NULL,
	added BIGINT NOT NULL,
	PRIMARY KEY (installation, repository, day)
);
