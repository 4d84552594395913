-- The trust graph: edges as they were admitted, and the keys that each DID has signed with.
-- Text, because a question names DIDs and answers name digests: nothing is looked up twice.

CREATE TABLE edge (
    digest TEXT NOT NULL,             -- of the credential
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    kind TEXT NOT NULL,
    capability TEXT,
    depth INTEGER NOT NULL,
    weight INTEGER NOT NULL,          -- billionths
    valid_from TEXT,
    valid_until TEXT,
    status TEXT NOT NULL,
    says TEXT NOT NULL,
    -- Edges about one party lie side by side: most of what a question reads is that.
    PRIMARY KEY (target, kind, source, digest)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX edge_by_digest ON edge (digest);
CREATE INDEX edge_by_source ON edge (source, kind, capability, target);

CREATE TABLE signer (
    did TEXT NOT NULL,
    key TEXT NOT NULL,                -- Multikey
    PRIMARY KEY (did, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX signer_by_key ON signer (key);

-- Counts changes, so that a kept answer is known to be of another graph.
CREATE TABLE version (number INTEGER NOT NULL) STRICT;
INSERT INTO version VALUES (0);
