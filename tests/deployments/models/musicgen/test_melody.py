"""The features of a melody."""

from deployments.models.musicgen.melody import pitch_classes
from tests.support.music import RATE, tone


def test_pitch_classes_of_a_tone() -> None:
    features = pitch_classes(tone(3.0)[0])
    assert features.shape == (1, 1 + 3 * RATE // 4096, 12)
    assert (features[0, 2:-2].argmax(-1) == 9).all()  # A
    assert (features.sum(-1) == 1).all()
