-- oldest-release: 0.9
-- Counts what became known of a credential. Its issue is up to date only if nothing did
-- since it was read.
ALTER TABLE credential ADD COLUMN news BIGINT NOT NULL DEFAULT 0;
-- Records of the newer keys are looked for when a state is under an older one.
CREATE INDEX ledger_pepper ON ledger (installation, key_id, seq);
-- What is not seen any more of a repository is read by the repository, not through all rows.
CREATE INDEX unseen_repository ON unseen (repository);
