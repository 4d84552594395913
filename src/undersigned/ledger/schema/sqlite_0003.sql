-- Version 3: every booking asks which promises of a contract have lapsed, however many actions are open under it.

CREATE INDEX reservation_promised ON reservation (contract, until) WHERE state = 'open' AND kind = 'capacity';
