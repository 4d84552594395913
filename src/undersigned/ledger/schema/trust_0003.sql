-- Version 3: what a question reads about one party, for one capability and for none, lies side by side.

ALTER TABLE edge RENAME TO edge_before;
DROP INDEX edge_by_digest;
DROP INDEX edge_by_source;

CREATE TABLE edge (
    digest TEXT NOT NULL,             -- of the credential
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    kind TEXT NOT NULL,
    capability TEXT NOT NULL,         -- empty: none
    depth INTEGER NOT NULL,
    weight INTEGER NOT NULL,          -- billionths
    valid_from TEXT,
    valid_until TEXT,
    status TEXT NOT NULL,
    says TEXT NOT NULL,
    PRIMARY KEY (target, capability, kind, source, digest)
) STRICT, WITHOUT ROWID;

INSERT INTO edge
SELECT digest, source, target, kind, ifnull(capability, ''), depth, weight, valid_from, valid_until, status, says
FROM edge_before;
DROP TABLE edge_before;

CREATE UNIQUE INDEX edge_by_digest ON edge (digest);
CREATE INDEX edge_by_source ON edge (source, capability, kind, target);
