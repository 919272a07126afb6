"""Finds published checkpoints in the Hugging Face hub's cache, or downloads them."""

from collections.abc import Sequence
from pathlib import Path

from audiograph.errors import WeightsMissing
from deployments.models.kit.weights import hub_reachable

NEEDED = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""Excludes the same weights in other formats, and pickles."""


def pretrained_folder(repository: str, work_dir: Path, files: Sequence[str] = NEEDED) -> Path:
    """Return the folder of a published checkpoint in the hub's cache (``HF_HOME``); download it if needed.

    Args:
        repository: such as ``facebook/musicgen-small``.
        work_dir: the folder that remembers whether the hub can be reached.
        files: the needed files of the repository, by name or pattern.

    Raises:
        WeightsMissing: the checkpoint can neither be found nor downloaded.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, local_files_only=True, allow_patterns=list(files)))
        if all("*" in name or (folder / name).is_file() for name in files):
            return folder  # else only other files of the repository were downloaded
    except LocalEntryNotFoundError:
        pass
    if not hub_reachable(constants.ENDPOINT, work_dir):
        raise _missing(repository, f"{constants.ENDPOINT} cannot be reached")
    try:
        return Path(snapshot_download(repository, allow_patterns=list(files)))
    except (OSError, ValueError) as error:  # the hub's own errors are OSErrors
        raise _missing(repository, f"its download failed ({error})") from error


def _missing(repository: str, reason: str) -> WeightsMissing:
    from huggingface_hub import constants

    return WeightsMissing(
        f"{repository}: no pretrained weights in {constants.HF_HUB_CACHE}, and {reason}. Fetch them with "
        f"`hf download {repository}`, or set weights to auto or tiny for random ones.",
        details={"repository": repository, "looked_in": [constants.HF_HUB_CACHE]},
    )
