-- Version 2: an inquiry may name an earlier withdrawal, and whoever gets it looks whether there is one.

CREATE INDEX journal_withdrawal ON journal (digest) WHERE type = 'Withdraw';
