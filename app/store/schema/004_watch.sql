-- When time alone changes something of a key, and when it is to be looked at; what of the
-- ledger its issue was told; the pace of what makes content on GitHub.
ALTER TABLE life ADD COLUMN wake BIGINT NOT NULL DEFAULT 1;
ALTER TABLE life ADD COLUMN look BIGINT NOT NULL DEFAULT 1;
CREATE INDEX life_wake ON life (wake);
CREATE INDEX life_look ON life (look);

ALTER TABLE rotation ADD COLUMN said BIGINT NOT NULL DEFAULT 0;
UPDATE rotation SET said = coalesce((SELECT i.ledger_seq FROM installation i WHERE i.id = rotation.installation), 0);

ALTER TABLE rotation ADD COLUMN alerted TEXT NOT NULL DEFAULT '';

-- The commits that are known to have brought a key: one that comes again by another was
-- pushed again.
CREATE TABLE sighting (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	repository BIGINT NOT NULL,
	commit_id TEXT NOT NULL,
	PRIMARY KEY (installation, fingerprint, repository, commit_id)
);
CREATE INDEX sighting_repository ON sighting (repository);
INSERT INTO sighting (installation, fingerprint, repository, commit_id)
	SELECT DISTINCT installation, fingerprint, repository, commit_id FROM place WHERE commit_id <> '';

-- The repositories that have a key and are not to be seen any more: whether it stands on
-- their default branches is not known.
CREATE TABLE unseen (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	repository BIGINT NOT NULL,
	PRIMARY KEY (installation, fingerprint, repository)
);

ALTER TABLE installation ADD COLUMN next_content BIGINT NOT NULL DEFAULT 0;

ALTER TABLE ledger ADD COLUMN due BIGINT NOT NULL DEFAULT 0;
