"""The published voices by name, and mixtures of them, such as ``af_heart:2+am_michael:1``."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from audiograph._wording import shown
from audiograph.errors import InvalidRequest
from audiograph.schemas import Voice

MAX_SYMBOLS = 510
"""Symbols of the longest text of one run; a voice has a style for each length."""
STYLE_SIZE = 256
MAX_MIXED = 8
"""Voices of a mixture."""
MAX_WEIGHT = 100.0

LANGUAGES = {"a": "en-us", "b": "en-gb", "e": "es", "f": "fr", "i": "it", "p": "pt-br"}
"""Languages whose speech can be understood, by the first letter of their voices."""
_SILENT = {
    "h": "Hindi needs a front end that this model lacks",
    "j": "Japanese needs the front end misaki[ja], which this model lacks",
    "z": "Chinese needs the front end misaki[zh], which this model lacks",
}
"""Why a voice cannot be used, by its first letter: the phonemes of eSpeak NG cannot be understood."""
_GENDERS = {"f": "female", "m": "male"}

_PUBLISHED = """
af_heart af_alloy af_aoede af_bella af_jessica af_kore af_nicole af_nova af_river af_sarah af_sky
am_adam am_echo am_eric am_fenrir am_liam am_michael am_onyx am_puck am_santa
bf_alice bf_emma bf_isabella bf_lily bm_daniel bm_fable bm_george bm_lewis
ef_dora em_alex em_santa ff_siwis if_sara im_nicola pf_dora pm_alex pm_santa
hf_alpha hf_beta hm_omega hm_psi jf_alpha jf_gongitsune jf_nezumi jf_tebukuro jm_kumo
zf_xiaobei zf_xiaoni zf_xiaoxiao zf_xiaoyi zm_yunjian zm_yunxi zm_yunxia zm_yunyang
"""
NAMES = _PUBLISHED.split()
"""All published voices, in languages whose speech cannot be understood as well."""
_PART = re.compile(r"(?P<name>[^:]*)(?::(?P<weight>\d+(?:\.\d+)?|\.\d+))?")


def _voice(name: str) -> Voice:
    language, gender = LANGUAGES[name[0]], _GENDERS[name[1]]
    return Voice(id=name, name=name[3:].capitalize(), language=language, gender=gender)


VOICES = [_voice(name) for name in NAMES if name[0] in LANGUAGES]
"""The voices that are offered; the first of a language is its default."""
BY_LANGUAGE: Mapping[str, str] = {
    tag: voice.id
    for voice in reversed(VOICES)
    for tag in (LANGUAGES[voice.id[0]], LANGUAGES[voice.id[0]].partition("-")[0])
}
"""The default voice of each language, with and without its region."""
_OFFERED = frozenset(voice.id for voice in VOICES)


@dataclass(frozen=True, slots=True)
class Mixture:
    """A voice that speaks: one or several of the published ones, with weights whose sum is 1."""

    weights: tuple[tuple[str, float], ...]

    @property
    def language(self) -> str:
        """The language of its first voice."""
        return LANGUAGES[self.weights[0][0][0]]


def is_own(name: str) -> bool:
    """Return whether a name means a published voice or a mixture, even one that `mixture` refuses."""
    return name in NAMES or any(part.partition(":")[0].strip() in NAMES for part in name.split("+"))


def mixture(name: str, field: str = "voice") -> Mixture:
    """Parse the name of a voice or a mixture: names joined by ``+``, each with an optional ``:weight``.

    Raises:
        InvalidRequest: a voice does not exist or cannot be used, or a weight is not a number above 0; names
            the field.
    """
    parts = name.split("+")
    if len(parts) > MAX_MIXED:
        raise _refused(field, name, f"mixes {len(parts)} voices; at most {MAX_MIXED} can be mixed")
    weights: dict[str, float] = {}
    for part in parts:
        voice, weight = _parsed(part.strip(), name, field)
        weights[voice] = weights.get(voice, 0.0) + weight
    total = sum(weights.values())
    return Mixture(tuple((voice, weight / total) for voice, weight in weights.items()))


def _parsed(part: str, name: str, field: str) -> tuple[str, float]:
    found = _PART.fullmatch(part)
    if found is None:
        cure = "write a number above 0 behind the colon, as in af_heart:2+am_michael:1"
        raise _refused(field, name, f"has no weight in {shown(part)}: {cure}")
    voice, weight = found["name"].strip(), float(found["weight"] or 1)
    if not 0 < weight <= MAX_WEIGHT:
        raise _refused(
            field, name, f"has the weight {found['weight']}; weights are above 0, up to {MAX_WEIGHT:g}"
        )
    _check(voice, _OFFERED, name, field)
    return voice, weight


def _check(voice: str, offered: Collection[str], name: str, field: str) -> None:
    if voice in offered:
        return
    if voice in NAMES:
        raise _refused(
            field, name, f"cannot be used: {_SILENT[voice[0]]}; choose a voice of another language"
        )
    known = ", ".join(voice.id for voice in VOICES)
    raise _refused(field, name, f"has no voice {shown(voice)}; voices to mix: {known}")


def _refused(field: str, name: str, fault: str) -> InvalidRequest:
    return InvalidRequest(f"{field} {shown(name)} {fault}", field=field, details={"value": name})
