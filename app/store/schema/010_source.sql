-- oldest-release: 0.9
-- Where a record of the ledger comes from: a comment, something done to an issue, a scan, a
-- button of a check run. The text in parentheses at the end of detail says the same to people,
-- and the MAC of the record covers it. Records of the release before have no id.
ALTER TABLE ledger ADD COLUMN source_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN source_id TEXT NOT NULL DEFAULT '';
CREATE INDEX ledger_source ON ledger (installation, fingerprint, source_kind, source_id);
