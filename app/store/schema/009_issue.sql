-- oldest-release: 0.9
-- What an issue is for, and the credential that it is about. fingerprint stays the unique name
-- of the issue. A release that does not know the columns leaves them empty.
ALTER TABLE rotation ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE rotation ADD COLUMN credential TEXT NOT NULL DEFAULT '';
UPDATE rotation SET
	kind = CASE WHEN fingerprint LIKE 'part %' THEN 'sub-issue' WHEN fingerprint LIKE 'more %' THEN 'overflow' WHEN fingerprint LIKE 'dashboard %' THEN 'dashboard' ELSE 'credential' END,
	credential = CASE WHEN fingerprint LIKE 'dashboard %' THEN '' WHEN fingerprint LIKE 'part %' OR fingerprint LIKE 'more %' THEN substr(fingerprint, 6, 64) ELSE fingerprint END;
