"""Key estimation from mean chroma."""

import mir_eval
import numpy as np

from deployments.models.pitch_analysis.key_profiles import KEYS, KRUMHANSL_KESSLER, estimate_key


def test_key_names_are_the_fields_own() -> None:
    for key in KEYS:
        mir_eval.key.validate_key(key)


def test_ends_on_the_tonic_chord_decide_between_relative_keys() -> None:
    scale = np.isin(np.arange(12), [0, 2, 4, 5, 7, 9, 11]).astype(np.float32)
    for tonic, third, key in ((0, 4, "C major"), (9, 0, "A minor")):
        chord = np.zeros(12, np.float32)
        chord[[tonic, third, (tonic + 7) % 12]] = 1
        found = estimate_key(scale, [KRUMHANSL_KESSLER], ends=[chord, chord])
        assert found.key == key
