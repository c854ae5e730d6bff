-- The life of each key that has to be rotated, and the ledger of what happened to it.
-- Records are only ever appended: each carries a MAC over itself and the one before.
CREATE TABLE life (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	state TEXT NOT NULL,
	due BIGINT NOT NULL DEFAULT 0,
	life TEXT NOT NULL,
	PRIMARY KEY (installation, fingerprint)
);
CREATE INDEX life_state ON life (installation, state);

CREATE TABLE ledger (
	installation BIGINT NOT NULL,
	seq BIGINT NOT NULL,
	happened BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	event TEXT NOT NULL,
	actor TEXT NOT NULL,
	from_state TEXT NOT NULL,
	to_state TEXT NOT NULL,
	detail TEXT NOT NULL,
	mac TEXT NOT NULL,
	PRIMARY KEY (installation, seq)
);
CREATE INDEX ledger_key ON ledger (installation, fingerprint);

ALTER TABLE installation ADD COLUMN ledger_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE installation ADD COLUMN ledger_mac TEXT NOT NULL DEFAULT '';
