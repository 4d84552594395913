"""One engagement while it runs: what comes in, the folded state, the journal, and what is said."""
