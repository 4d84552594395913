"""Pure translators between our values and those of other protocols: no network, no clock, no private key."""
