-- Version 6: what grows with the tree grows at its end. A leaf holds the inner nodes that it completes, and is looked up
-- among those of its engagement: a page or two for all leaves of a transaction, where every hash had one of its own.

ALTER TABLE leaf RENAME TO leaf_before;

CREATE TABLE leaf (
    id         INTEGER PRIMARY KEY,     -- place in the tree, from 0
    engagement INTEGER NOT NULL,        -- engagement.id; 0: of a time when it was not kept
    hash       BLOB NOT NULL,
    inner      BLOB NOT NULL,           -- hashes of the inner nodes that this leaf completes, from level 1 up
    data       BLOB NOT NULL
) STRICT;

INSERT INTO leaf (id, engagement, hash, inner, data)
WITH RECURSIVE above (level) AS (VALUES (1) UNION ALL SELECT level + 1 FROM above WHERE level < 62)
SELECT
    id, 0, hash,
    from_hex((
        SELECT group_concat(hex(hash), '') FROM (
            SELECT node.hash
            FROM above JOIN node ON node.level = above.level AND node.place = ((leaf_before.id + 1) >> above.level) - 1
            WHERE ((leaf_before.id + 1) & ((1 << above.level) - 1)) = 0
            ORDER BY node.level
        )
    )),
    data
FROM leaf_before ORDER BY id;

DROP TABLE leaf_before;
DROP TABLE node;
CREATE UNIQUE INDEX leaf_hash ON leaf (engagement, hash);
