-- Version 4: names are numbers, and all that a walk reads of an edge is in two narrow indices.

CREATE TABLE name (
    id INTEGER PRIMARY KEY,           -- never used again, because no row is taken out
    text TEXT NOT NULL UNIQUE         -- a DID, a kind of edge or a capability; empty: no capability
) STRICT;

ALTER TABLE edge RENAME TO edge_before;
ALTER TABLE signer RENAME TO signer_before;
DROP INDEX edge_by_digest;
DROP INDEX edge_by_source;
DROP INDEX signer_by_key;

INSERT INTO name (text)
SELECT source FROM edge_before
UNION SELECT target FROM edge_before
UNION SELECT kind FROM edge_before
UNION SELECT capability FROM edge_before
UNION SELECT did FROM signer_before;

CREATE TABLE edge (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,      -- of the credential
    source INTEGER NOT NULL,          -- this and the next three: name.id
    target INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    capability INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    weight INTEGER NOT NULL,          -- billionths
    valid_from TEXT,
    valid_until TEXT,
    status TEXT NOT NULL,
    says TEXT NOT NULL
) STRICT;

INSERT INTO edge (digest, source, target, kind, capability, depth, weight, valid_from, valid_until, status, says)
SELECT digest, one.id, other.id, what.id, about.id, depth, weight, valid_from, valid_until, status, says
FROM edge_before AS old
JOIN name AS one ON one.text = old.source
JOIN name AS other ON other.text = old.target
JOIN name AS what ON what.text = old.kind
JOIN name AS about ON about.text = old.capability;
DROP TABLE edge_before;

CREATE INDEX edge_by_target ON edge (target, capability, kind, source, weight, valid_from, valid_until, status);
CREATE INDEX edge_by_source ON edge (source, capability, kind, target, weight, valid_from, valid_until, status);

CREATE TABLE signer (
    party INTEGER NOT NULL,           -- name.id
    key TEXT NOT NULL,                -- Multikey
    PRIMARY KEY (party, key)
) STRICT, WITHOUT ROWID;

INSERT INTO signer SELECT name.id, key FROM signer_before JOIN name ON name.text = did;
DROP TABLE signer_before;

CREATE INDEX signer_by_key ON signer (key);
