-- What a scan needs to be made again as it was made first. compared is the commit that
-- it was compared with in the end: 'nothing' for the whole history, '' if not known yet.
ALTER TABLE scan ADD COLUMN to_default BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE scan ADD COLUMN fork BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE scan ADD COLUMN tag BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE scan ADD COLUMN compared TEXT NOT NULL DEFAULT '';
