"""The graph of each task. A new graph is one file here and one entry."""

from typing import get_args

from audiograph.schemas import TaskName
from deployments.jobs.graph import Graph
from graphs.single import single

GRAPHS: dict[TaskName, Graph] = {task: single for task in get_args(TaskName) if task != "pipeline"}
