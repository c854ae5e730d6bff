-- oldest-release: 0.9
-- Where a place is that is no file: the kind of the text, its id on GitHub, and the number of
-- the issue, pull request or discussion that it belongs to. The kind is '' for files, and for
-- texts that the release before found.
ALTER TABLE place ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE place ADD COLUMN item TEXT NOT NULL DEFAULT '';
ALTER TABLE place ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
