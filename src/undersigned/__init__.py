"""Agents of different organisations hire each other."""
