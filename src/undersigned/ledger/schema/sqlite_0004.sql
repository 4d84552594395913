-- Version 4: what salts the leaves of decisions, and what was seen of others' logs.

-- Whoever has it can tell which leaf stands for which decision.
ALTER TABLE tree ADD COLUMN secret BLOB NOT NULL DEFAULT x'';
UPDATE tree SET secret = randomblob(32);

CREATE TABLE seen_head (
    log         TEXT PRIMARY KEY,       -- its owner's DID
    size        INTEGER NOT NULL,       -- the largest that it signed to us
    root        BLOB NOT NULL,
    at          TEXT NOT NULL,          -- when the message that carried it was signed
    note        TEXT NOT NULL,
    agreed_size INTEGER NOT NULL,       -- the largest that is known to continue all before
    agreed_root BLOB NOT NULL
) STRICT, WITHOUT ROWID;
