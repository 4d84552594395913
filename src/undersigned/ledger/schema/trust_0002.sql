-- Version 2: the credentials of edges whose issuer may have withdrawn them, so that somebody can look.

CREATE TABLE credential (
    digest TEXT PRIMARY KEY,
    raw BLOB NOT NULL                 -- JSON, as it is shown
) STRICT, WITHOUT ROWID;
