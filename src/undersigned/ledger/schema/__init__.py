"""Schemas of the durable stores, one numbered SQL file for each version.

A file is applied once, in one transaction, to a store of the version before. It is never changed after a release.
"""
