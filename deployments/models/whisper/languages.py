"""Languages of Whisper: a copy of `whisper.tokenizer`'s tables, because importing that imports torch."""

import difflib
import re
from collections.abc import Mapping

from deployments.models.kit.languages import find_language

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

OWN_NAMES: Mapping[str, str] = {
    "中文": "zh",
    "汉语": "zh",
    "漢語": "zh",
    "普通话": "zh",
    "普通話": "zh",
    "国语": "zh",
    "國語": "zh",
    "简体中文": "zh",
    "繁體中文": "zh",
    "deutsch": "de",
    "español": "es",
    "castellano": "es",
    "русский": "ru",
    "한국어": "ko",
    "français": "fr",
    "日本語": "ja",
    "português": "pt",
    "türkçe": "tr",
    "polski": "pl",
    "català": "ca",
    "nederlands": "nl",
    "vlaams": "nl",
    "العربية": "ar",
    "svenska": "sv",
    "italiano": "it",
    "हिन्दी": "hi",
    "suomi": "fi",
    "עברית": "he",
    "українська": "uk",
    "ελληνικά": "el",
    "čeština": "cs",
    "română": "ro",
    "dansk": "da",
    "magyar": "hu",
    "norsk": "no",
    "bokmål": "no",
    "hrvatski": "hr",
    "srpski": "sr",
    "српски": "sr",
    "bosanski": "bs",
    "български": "bg",
    "lietuvių": "lt",
    "latviešu": "lv",
    "eesti": "et",
    "slovenčina": "sk",
    "slovenščina": "sl",
    "македонски": "mk",
    "shqip": "sq",
    "cymraeg": "cy",
    "euskara": "eu",
    "galego": "gl",
    "íslenska": "is",
    "ไทย": "th",
    "فارسی": "fa",
    "farsi": "fa",
    "தமிழ்": "ta",
    "తెలుగు": "te",
    "বাংলা": "bn",
    "اردو": "ur",
    "беларуская": "be",
    "ქართული": "ka",
    "հայերեն": "hy",
    "қазақша": "kk",
    "kiswahili": "sw",
    "filipino": "tl",
    "粵語": "yue",
    "粤语": "yue",
    "廣東話": "yue",
    "广东话": "yue",
    "malti": "mt",
    "lëtzebuergesch": "lb",
    "brezhoneg": "br",
    "bahasa indonesia": "id",
    "bahasa melayu": "ms",
    "tiếng việt": "vi",
    "serbo-croatian": "sr",
    "espanol": "es",
    "francais": "fr",
    "portugues": "pt",
    "turkce": "tr",
}
"""Codes by other names that people write, most in the language itself, for suggestions."""


DETECTED = frozenset({"", "auto"})
"""Values of ``language`` that ask for detection, as other servers of Whisper take them."""


def is_detected(language: str) -> bool:
    """Return whether a value of ``language`` asks for detection, as its absence does."""
    return language.strip().lower() in DETECTED


def language_code(language: str) -> str | None:
    """Return the code of a language; None if Whisper does not know it.

    Args:
        language: a language tag such as ``pt-BR``, or an English name, in upper or lower case.
    """
    return _CODES.get(language.strip().lower()) or find_language(language, LANGUAGES)


def closest_language(language: str) -> str | None:
    """Return the known name or code that a language most likely means; None if none is similar.

    Args:
        language: a name in the language itself (``Deutsch`` is ``de``), a name with more words than Whisper
            knows (``Chinese (Simplified)`` is ``chinese``), or a misspelt one.
    """
    name = language.strip().lower()
    for word in (name, *re.findall(r"\w+", name)):
        if found := OWN_NAMES.get(word) or (word in _CODES and word):
            return found
    close = next(iter(difflib.get_close_matches(name, [*_CODES, *OWN_NAMES, *LANGUAGES], n=1)), None)
    return OWN_NAMES.get(close or "", close)


_CODES = {name: code for code, name in LANGUAGES.items()} | dict(ALIASES)
