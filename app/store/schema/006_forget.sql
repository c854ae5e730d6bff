-- oldest-release: 0.9
-- When an uninstalled organisation's names were first deleted everywhere, 0 before that.
-- Jobs that come later for it are still looked for some days.
ALTER TABLE installation ADD COLUMN scrubbed BIGINT NOT NULL DEFAULT 0;
