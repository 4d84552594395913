-- Version 5: what was seen of others' logs has a seal, and so has what of the tree does not follow from its leaves.

CREATE TABLE seen_log (
    log  TEXT PRIMARY KEY,              -- its owner's DID
    body BLOB NOT NULL,                 -- JSON
    seal BLOB NOT NULL                  -- SHA-256 over the columns above
) STRICT, WITHOUT ROWID;

INSERT INTO seen_log (log, body, seal)
SELECT log, body, sealed(log, body)
FROM (SELECT log, seen_before(log, size, root, at, note, agreed_size, agreed_root) AS body FROM seen_head);
DROP TABLE seen_head;

-- Messages of rows up to this one may state heads that nothing was kept of.
ALTER TABLE tree ADD COLUMN unseen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tree ADD COLUMN seal BLOB NOT NULL DEFAULT x'';
UPDATE tree SET unseen = (SELECT ifnull(max(id), 0) FROM journal);
UPDATE tree SET seal = sealed(secret, checkpoint_size, checkpoint_root, checkpoint, unseen);
