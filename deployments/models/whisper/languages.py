"""Languages of Whisper: a copy of `whisper.tokenizer`'s tables, because importing that imports torch."""

import difflib
from collections.abc import Mapping

LANGUAGES: Mapping[str, str] = {
    "en": "english",
    "zh": "chinese",
    "de": "german",
    "es": "spanish",
    "ru": "russian",
    "ko": "korean",
    "fr": "french",
    "ja": "japanese",
    "pt": "portuguese",
    "tr": "turkish",
    "pl": "polish",
    "ca": "catalan",
    "nl": "dutch",
    "ar": "arabic",
    "sv": "swedish",
    "it": "italian",
    "id": "indonesian",
    "hi": "hindi",
    "fi": "finnish",
    "vi": "vietnamese",
    "he": "hebrew",
    "uk": "ukrainian",
    "el": "greek",
    "ms": "malay",
    "cs": "czech",
    "ro": "romanian",
    "da": "danish",
    "hu": "hungarian",
    "ta": "tamil",
    "no": "norwegian",
    "th": "thai",
    "ur": "urdu",
    "hr": "croatian",
    "bg": "bulgarian",
    "lt": "lithuanian",
    "la": "latin",
    "mi": "maori",
    "ml": "malayalam",
    "cy": "welsh",
    "sk": "slovak",
    "te": "telugu",
    "fa": "persian",
    "lv": "latvian",
    "bn": "bengali",
    "sr": "serbian",
    "az": "azerbaijani",
    "sl": "slovenian",
    "kn": "kannada",
    "et": "estonian",
    "mk": "macedonian",
    "br": "breton",
    "eu": "basque",
    "is": "icelandic",
    "hy": "armenian",
    "ne": "nepali",
    "mn": "mongolian",
    "bs": "bosnian",
    "kk": "kazakh",
    "sq": "albanian",
    "sw": "swahili",
    "gl": "galician",
    "mr": "marathi",
    "pa": "punjabi",
    "si": "sinhala",
    "km": "khmer",
    "sn": "shona",
    "yo": "yoruba",
    "so": "somali",
    "af": "afrikaans",
    "oc": "occitan",
    "ka": "georgian",
    "be": "belarusian",
    "tg": "tajik",
    "sd": "sindhi",
    "gu": "gujarati",
    "am": "amharic",
    "yi": "yiddish",
    "lo": "lao",
    "uz": "uzbek",
    "fo": "faroese",
    "ht": "haitian creole",
    "ps": "pashto",
    "tk": "turkmen",
    "nn": "nynorsk",
    "mt": "maltese",
    "sa": "sanskrit",
    "lb": "luxembourgish",
    "my": "myanmar",
    "bo": "tibetan",
    "tl": "tagalog",
    "mg": "malagasy",
    "as": "assamese",
    "tt": "tatar",
    "haw": "hawaiian",
    "ln": "lingala",
    "ha": "hausa",
    "ba": "bashkir",
    "jw": "javanese",
    "su": "sundanese",
    "yue": "cantonese",
}
"""English names by code, in the order of the vocabulary."""

ALIASES: Mapping[str, str] = {
    "burmese": "my",
    "valencian": "ca",
    "flemish": "nl",
    "haitian": "ht",
    "letzeburgesch": "lb",
    "pushto": "ps",
    "panjabi": "pa",
    "moldavian": "ro",
    "moldovan": "ro",
    "sinhalese": "si",
    "castilian": "es",
    "mandarin": "zh",
}
"""Codes by other English names, as in `whisper.tokenizer.TO_LANGUAGE_CODE`."""


DETECTED = frozenset({"", "auto"})
"""Values that leave the language to detection, as if there were none."""

OWN_NAMES: Mapping[str, str] = {
    "deutsch": "de",
    "español": "es",
    "français": "fr",
    "italiano": "it",
    "nederlands": "nl",
    "polski": "pl",
    "português": "pt",
    "svenska": "sv",
    "türkçe": "tr",
    "русский": "ru",
    "українська": "uk",
    "日本語": "ja",
    "中文": "zh",
    "한국어": "ko",
}
"""Codes by the names that languages have in themselves."""

WHISPERS_OWN: Mapping[str, str] = {"jv": "jw", "nb": "no", "fil": "tl"}
"""Whisper's codes by those of ISO 639."""


def language_code(language: str) -> str | None:
    """Return the code of a language; None if it is to be detected.

    Args:
        language: a code or an English name as Whisper knows them, or any tag of BCP 47 or code of ISO 639,
            with or without a region or a script: ``en``, ``english``, ``en-US``, ``zh_Hant_TW``, ``eng``.

    Raises:
        ValueError: Whisper does not know the language.
    """
    name = " ".join(language.replace("_", "-").lower().split())
    if name in DETECTED:
        return None
    code = _known(name) or _known(_base_language(name))
    if code is None:
        raise ValueError(language)
    return code


def nearest_language(language: str) -> str | None:
    """Return the code of the known language that is nearest to an unknown one; None if none is near.

    It is one that its speakers understand, as German for Swiss German, or one that is written alike.
    """
    import langcodes
    from langcodes.tag_parser import LanguageTagError

    name = language.strip().lower()
    similar = difflib.get_close_matches(name, [*_CODES, *(code for code in LANGUAGES if len(name) == 2)], n=1)
    if len(name) > 3 and similar:
        return _known(similar[0])
    try:
        found, _ = langcodes.closest_match(name, [*LANGUAGES], max_distance=25)
    except LanguageTagError:
        found = "und"
    return _known(found)


def _known(name: str) -> str | None:
    return name if name in LANGUAGES else _CODES.get(name)


def _base_language(tag: str) -> str:
    """Return the code of a tag's language in ISO 639, its shortest and current one; the tag if it is none."""
    import langcodes
    from langcodes.tag_parser import LanguageTagError

    try:
        language = langcodes.Language.get(tag)
    except LanguageTagError:
        return tag
    code = WHISPERS_OWN.get(language.language or tag, language.language or tag)
    return code if code in LANGUAGES else language.prefer_macrolanguage().language or tag


_CODES = {name: code for code, name in LANGUAGES.items()} | dict(ALIASES) | dict(OWN_NAMES)
