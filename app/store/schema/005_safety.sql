-- The checks that were sent to providers, and when: usage logs show them as use of the
-- credential, and they are told apart by the time.
CREATE TABLE verification (
	installation BIGINT NOT NULL,
	fingerprint TEXT NOT NULL,
	sent BIGINT NOT NULL,
	verdict TEXT NOT NULL,
	PRIMARY KEY (installation, fingerprint, sent)
);
