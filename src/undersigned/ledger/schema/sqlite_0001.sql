-- Ledger in SQLite, version 1. Texts are UTF-8, instants as on the wire, hashes 32 bytes.

CREATE TABLE engagement (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    own     INTEGER NOT NULL,           -- own moves recorded
    peer    INTEGER NOT NULL,           -- peer's moves recorded
    length  INTEGER NOT NULL,           -- rows in the journal
    head    BLOB NOT NULL,              -- link of the last row
    live    INTEGER NOT NULL,
    summary BLOB NOT NULL,              -- JSON
    outbox  BLOB NOT NULL,              -- JSON, [place, digest] of each own move without a receipt, oldest first
    seal    BLOB NOT NULL               -- SHA-256 over the columns above
) STRICT;

CREATE INDEX engagement_live ON engagement (id) WHERE live = 1;

CREATE TABLE journal (
    id         INTEGER PRIMARY KEY,     -- without gaps: a missing row shows
    engagement INTEGER NOT NULL REFERENCES engagement (id),
    place      INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    at         TEXT NOT NULL,
    sender     TEXT NOT NULL,
    sequence   INTEGER,                 -- moves only
    type       TEXT NOT NULL,
    digest     TEXT NOT NULL,
    raw        BLOB NOT NULL,
    link       BLOB NOT NULL,           -- chains the row to the one before
    freed      INTEGER NOT NULL DEFAULT 0  -- 1: refused by the peer for good, its place may be taken again
) STRICT;

CREATE UNIQUE INDEX journal_place ON journal (engagement, place);
-- One move per place: seal or withdrawal, never both.
CREATE UNIQUE INDEX journal_move ON journal (engagement, sender, sequence) 
    WHERE sequence IS NOT NULL AND freed = 0;

CREATE TABLE effect (
    engagement INTEGER NOT NULL,
    key        TEXT NOT NULL UNIQUE,
    seal       BLOB NOT NULL,
    PRIMARY KEY (engagement, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob (
    id     INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    raw    BLOB NOT NULL
) STRICT;

CREATE TABLE evidence (
    id         INTEGER PRIMARY KEY,
    engagement INTEGER NOT NULL,
    digest     TEXT NOT NULL,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    seal       BLOB NOT NULL,
    UNIQUE (engagement, digest, kind, name)
) STRICT;

CREATE TABLE reservation (
    id       TEXT PRIMARY KEY,
    contract TEXT NOT NULL,
    kind     TEXT NOT NULL,
    state    TEXT NOT NULL,
    until    TEXT NOT NULL,
    body     BLOB NOT NULL,             -- JSON
    seal     BLOB NOT NULL              -- SHA-256 over the columns above
) STRICT;

CREATE INDEX reservation_open ON reservation (contract) WHERE state = 'open';

CREATE TABLE usage (
    contract TEXT NOT NULL,
    key      TEXT NOT NULL,
    used     TEXT NOT NULL,             -- settled
    held     TEXT NOT NULL,             -- reserved and open
    PRIMARY KEY (contract, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE leaf (
    id   INTEGER PRIMARY KEY,           -- place in the tree, from 0
    hash BLOB NOT NULL UNIQUE,
    data BLOB NOT NULL
) STRICT;

-- Complete inner nodes; level 1 joins two leaves.
CREATE TABLE node (
    level INTEGER NOT NULL,
    place INTEGER NOT NULL,
    hash  BLOB NOT NULL,
    PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE tree (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    size            INTEGER NOT NULL,
    root            BLOB NOT NULL,
    checkpoint_size INTEGER NOT NULL,   -- what the newest signed checkpoint states
    checkpoint_root BLOB NOT NULL,
    checkpoint      TEXT                -- signed note
) STRICT;

-- The empty tree: its root is the SHA-256 of nothing.
INSERT INTO tree VALUES (
    1,
    0, x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    0, x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    NULL
);
