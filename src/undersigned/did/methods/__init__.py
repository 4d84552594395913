"""One module per DID method: which URLs it wants fetched, and the document made of what came."""
