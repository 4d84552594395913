"""a2a-sdk: the same handler and store where callers are not authenticated (`UnauthenticatedUser`, the default)."""

import a2a_tasks
from a2a.auth.user import UnauthenticatedUser

SURFACE = "no authentication"
REFUSALS, LACKS = a2a_tasks.REFUSALS, a2a_tasks.LACKS


class Runtime(a2a_tasks.Runtime):
    def user(self, name):
        return UnauthenticatedUser()
