"""The key, pitches and chroma of a recording, by signal processing alone."""

import fcntl
import io
import json
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from audiograph.errors import InvalidAudio
from audiograph.schemas import AnalyzePitchRequest, KeyCandidate, PitchResult, TaskName
from deployments.models.base import (
    FileOutput,
    LoadContext,
    Loaded,
    Model,
    Output,
    RunContext,
    Samples,
)
from deployments.models.chroma import (
    HOP,
    SAMPLE_RATE,
    WINDOW,
    Array,
    BasicChroma,
    ChromaMaker,
    EnhancedChroma,
    LibrosaChroma,
    blocks,
    frame_count,
)
from deployments.models.keys import (
    ALBRECHT_SHANAHAN,
    KRUMHANSL_KESSLER,
    PITCHES,
    KeyEstimate,
    Templates,
    contrast,
    estimate_key,
)
