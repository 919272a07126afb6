"""The contract of a graph: a plain async function from a request to an outcome that calls models.

A graph may branch, loop and gather. Each model call is a durable step: it runs once, and a crash never
repeats it. So a graph must be deterministic between its calls: equal outcomes must lead to equal next calls.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypedDict

from audiograph.schemas import Request, TaskName
from deployments.replica.protocol import Timings


class Outcome(TypedDict):
    """Outcome of a model call or of a whole graph; JSON throughout, as a step's result is stored."""

    result: dict[str, Any]
    artifacts: list[str]
    """Ids, in the model's order."""
    weights: str
    timings: Timings


class Models(Protocol):
    """The models, as a graph calls them."""

    async def run(self, request: Request) -> Outcome:
        """Run a request on the model that it names, as one durable step.

        Raises:
            AudiographError: the model's own error, or ModelUnavailable if its replicas kept dying.
        """
        ...


Graph = Callable[[Request, Models], Awaitable[Outcome]]
Graphs = Mapping[TaskName, Graph]
