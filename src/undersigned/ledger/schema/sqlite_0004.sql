-- Version 4: what salts the leaves of decisions; whoever has it can tell which leaf stands for which decision.

ALTER TABLE tree ADD COLUMN secret BLOB NOT NULL DEFAULT x'';
UPDATE tree SET secret = randomblob(32);
