"""What others can check: packs, decisions made again, traces, verdicts and accusations."""
