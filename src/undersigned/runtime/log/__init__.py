"""The log of our ledger, and those of others: what stands in it, proofs of it, and who watches it."""
