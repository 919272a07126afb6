"""Supplies a variant with published weights, or with the decision to use random ones, as the policy says."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audiograph.errors import WeightsMissing
from audiograph.schemas import VariantWeights, Weights, WeightsOrigin
from deployments.config import WeightsPolicy
from deployments.models.weights import hugging_face, obtain
from deployments.models.weights.obtain import Obtained
from deployments.models.weights.published import Published, PublishedFile, Report
from deployments.models.weights.reachability import hub_reachable

logger = logging.getLogger("audiograph.models")

HUB = "https://huggingface.co"
"""The hub of published repositories, for estimates of what could be loaded."""


@dataclass(frozen=True, slots=True)
class Supply:
    """The weights that a variant is loaded with."""

    kind: Weights
    paths: tuple[Path, ...] | None
    """Of the published weights, in their order; None for random ones."""
    origins: tuple[WeightsOrigin, ...] = ()


def supply(published: Sequence[Published], policy: WeightsPolicy, work_dir: Path, report: Report) -> Supply:
    """Obtain all published weights of a variant, or none.

    Raises:
        WeightsMissing: the policy is ``pretrained``, and some can neither be found nor fetched.
    """
    if not published:
        return Supply("none", ())
    if policy == "tiny":
        return Supply("random", None)
    try:
        obtained = [obtain_published(part, work_dir, report) for part in published]
    except WeightsMissing as error:
        if policy == "pretrained":
            raise
        logger.warning("%s Using RANDOM weights, whose results are meaningless.", error)
        return Supply("random", None)
    return Supply("pretrained", tuple(o.path for o in obtained), tuple(o.origin for o in obtained))


def obtain_published(published: Published, work_dir: Path, report: Report) -> Obtained:
    """Return published weights of either kind; fetch them if they are not on this machine.

    Raises:
        WeightsMissing: they can neither be found nor fetched.
    """
    if isinstance(published, PublishedFile):
        return obtain.obtain_file(published, work_dir, report)
    return hugging_face.obtain_repository(published, work_dir, report)


def expected(
    variant: str, published: Sequence[Published], policy: WeightsPolicy, work_dir: Path
) -> VariantWeights:
    """Estimate the weights that a variant would be loaded with now. Blocking: it may try to reach a hub.

    Files on this machine are looked for, but not read. What must be fetched counts as pretrained if its
    publisher answers, or if packages have it that have not failed lately.
    """
    if not published:
        return VariantWeights(variant=variant, weights="none")
    if policy == "tiny":
        return VariantWeights(variant=variant, weights="random")
    found = [_found(part, work_dir) for part in published]
    could_be_had = policy == "pretrained" or all(
        place is not None or _can_be_fetched(part, work_dir)
        for part, place in zip(published, found, strict=True)
    )
    origins = [_origin(part, place) for part, place in zip(published, found, strict=True)]
    return VariantWeights(
        variant=variant, weights="pretrained" if could_be_had else "random", origins=origins
    )


def at_hand(published: Sequence[Published], policy: WeightsPolicy, work_dir: Path) -> bool:
    """Return whether a variant would certainly not get random weights, without any network."""
    if not published or policy == "pretrained":
        return True
    return policy == "auto" and all(_found(part, work_dir) is not None for part in published)


def _found(published: Published, work_dir: Path) -> Path | None:
    if isinstance(published, PublishedFile):
        return obtain.found_file(published, work_dir)
    return hugging_face.found_repository(published)


def _origin(published: Published, place: Path | None) -> WeightsOrigin:
    if isinstance(published, PublishedFile):
        return obtain.origin_of(published, place)
    return hugging_face.origin_of(published, place)


def _can_be_fetched(published: Published, work_dir: Path) -> bool:
    if not isinstance(published, PublishedFile):
        return hub_reachable(HUB, work_dir)
    return obtain.packages_may_have(published, work_dir) or hub_reachable(published.hub, work_dir)
