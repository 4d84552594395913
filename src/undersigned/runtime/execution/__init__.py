"""Under a contract: the gate, the work, its review, and what the two sides do about it until the books are closed."""
