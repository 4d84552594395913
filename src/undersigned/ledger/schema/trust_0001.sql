-- The trust graph: edges as they were admitted, and the keys that each DID has signed with.
-- Text, because a question names DIDs and answers name digests: nothing is looked up twice.

CREATE TABLE edge (
    digest TEXT NOT NULL PRIMARY KEY, -- of the credential
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    kind TEXT NOT NULL,
    capability TEXT,
    depth INTEGER NOT NULL,
    weight INTEGER NOT NULL,          -- billionths
    valid_from TEXT,
    valid_until TEXT,
    status TEXT NOT NULL,
    says TEXT NOT NULL
) STRICT;

-- With the columns that a question looks at before it wants the row.
CREATE INDEX edge_by_source ON edge (source, kind, capability, target);
CREATE INDEX edge_by_target ON edge (target, kind, source);

CREATE TABLE signer (
    did TEXT NOT NULL,
    key TEXT NOT NULL,                -- Multikey
    PRIMARY KEY (did, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX signer_by_key ON signer (key);

-- Counts changes, so that a kept answer is known to be of another graph.
CREATE TABLE version (number INTEGER NOT NULL) STRICT;
INSERT INTO version VALUES (0);
