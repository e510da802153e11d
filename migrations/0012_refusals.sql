-- Where a rejected record stood, and why a request to an org's ways in was refused last.

ALTER TABLE rejected ADD COLUMN file text COLLATE "C";
ALTER TABLE rejected ADD COLUMN line bigint;
COMMENT ON COLUMN rejected.file IS 'The file in which it stood, as it was named to the import; null where it came otherwise.';
COMMENT ON COLUMN rejected.line IS 'The line of the import on which its record starts, from 1; null where it came otherwise.';

CREATE TABLE hook_refusal (
    org text COLLATE "C" PRIMARY KEY,
    refused_at timestamptz NOT NULL,
    reason text COLLATE "C" NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE hook_refusal IS 'The last request to each org''s ways in that did not have a hook secret.';
COMMENT ON COLUMN hook_refusal.org IS 'The configured name of the Okta org.';
COMMENT ON COLUMN hook_refusal.refused_at IS 'When it came, by the clock of the gateway.';
COMMENT ON COLUMN hook_refusal.reason IS 'What is wrong with it.';
