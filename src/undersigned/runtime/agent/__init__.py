"""The agent itself: its connections, its conversations, its two roles, and a hire as its application sees it."""
