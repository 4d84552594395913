"""The state folder: its configuration, keys, credentials, anchors and what its organisation issued."""
