"""Files of which a FLAC was joined."""

import io

from deployments.audio.formats import flac
from tests.support.sounds import file_bytes, tone


def test_joined_files_are_found_up_to_a_limit() -> None:
    sound = file_bytes(tone(), 44_100, format="FLAC")
    content = sound + sound[:8] * 5_000  # as a hostile file repeats the beginning, which costs 8 bytes
    sections = flac.read_claims(io.BytesIO(content), len(content)).sections
    assert len(sections) == flac.MAX_FILES
    assert (sections[0], sections[-1][1]) == ((0, len(sound)), len(content))
