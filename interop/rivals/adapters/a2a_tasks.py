"""a2a-sdk: `DefaultRequestHandler` with `InMemoryTaskStore`; each party calls as an authenticated user of its own.

The buyer is the agent that answers: it offers in the status of a task, which the seller, a client, began and accepts.
"""

import asyncio
import uuid

from a2a.auth.user import User
from a2a.server.agent_execution import AgentExecutor
from a2a.server.context import ServerCallContext
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCard, CancelTaskRequest, Message, Part, Role, SendMessageRequest, Task, TaskState, TaskStatus
from a2a.utils.errors import A2AError
from play import NotApplicable

SURFACE = "tasks"
REFUSALS = (A2AError,)
LACKS = {
    "contract": "a task ends with a state and artifacts; no document is signed",
    "grant": "what a client may do is left to the transport's authentication",
    "rate": "no reputation",
    "wait": "neither a task nor a message says until when it stands",
}
NO_SIGNATURE = "messages carry no signature; who sends is what the transport's authentication says"


class Named(User):
    def __init__(self, name):
        self.name = name

    is_authenticated = True

    @property
    def user_name(self):
        return self.name


class Offers(AgentExecutor):
    """Offers at first, and then takes an acceptance."""

    async def execute(self, context, queue):
        task = TaskUpdater(queue, context.task_id, context.context_id)
        if context.current_task is None:
            state = TaskStatus(state=TaskState.TASK_STATE_SUBMITTED)
            await queue.enqueue_event(Task(id=context.task_id, context_id=context.context_id, status=state))
            await task.requires_input(task.new_agent_message([Part(text="offer: 10")]))
        else:
            await task.complete(task.new_agent_message([Part(text="agreed")]))

    async def cancel(self, context, queue):
        await TaskUpdater(queue, context.task_id, context.context_id).cancel()


class Runtime:
    user = Named

    def __init__(self):
        self.runner = asyncio.Runner()

    def close(self):
        self.runner.close()

    async def call(self, method, request, by):
        found = await getattr(self.handler, method)(request, ServerCallContext(user=self.user(by)))
        self.task = found.id
        return f"{method} as {by}: {TaskState.Name(found.status.state)}"

    def say(self, by, text):
        message = Message(
            message_id=str(uuid.uuid4()), role=Role.ROLE_USER, parts=[Part(text=text)], task_id=self.task or ""
        )
        return self.runner.run(self.call("on_message_send", SendMessageRequest(message=message), by))

    def open(self, against):
        async def made():
            card = AgentCard(name="buyer", version="1")
            return DefaultRequestHandler(Offers(), InMemoryTaskStore(), card)

        self.handler, self.task = self.runner.run(made()), None
        return "a handler"

    def offer(self, by, price, how=""):
        if how == "altered":
            raise NotApplicable(NO_SIGNATURE)
        if how == "misaddressed" or by == "seller":
            raise NotApplicable("a message names no recipient, and no earlier one that it answers")
        return self.say("seller", "what do you offer?")

    def accept(self, by, how=""):
        if by == "buyer":
            raise NotApplicable("the agent that answers a task sends no messages to it")
        if how:
            raise NotApplicable(NO_SIGNATURE)
        return self.say(by, "accepted")

    def withdraw(self, by):
        return self.runner.run(self.call("on_cancel_task", CancelTaskRequest(id=self.task), by))
