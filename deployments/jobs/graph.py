"""What a graph is: a plain async function from a request to an outcome, calling models on its way.

A graph may branch, loop and gather. Each model call is a durable step: done once, and never repeated after
a crash. So a graph must be deterministic between its calls: the same outcomes lead to the same next calls.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypedDict

from audiograph.schemas import Request


class Outcome(TypedDict):
    """What a model call, or a whole graph, gives; JSON throughout, as it is stored as a step's result."""

    result: dict[str, Any]
    artifacts: list[str]
    """Ids, in the order in which the model made them."""
    weights: str
    timings: dict[str, float | None]


class Models(Protocol):
    """The models, as a graph sees them."""

    async def run(self, request: Request) -> Outcome:
        """Run a request on the model it names, as one durable step.

        Raises:
            AudiographError: the model's own error, or ModelUnavailable when its replicas kept dying.
        """
        ...


Graph = Callable[[Request, Models], Awaitable[Outcome]]
