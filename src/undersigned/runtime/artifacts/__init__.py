"""Contents by digest: kept, on their way in, and asked for from the other side of a contract."""
