"""File names in forms and downloads: each is the one that the sender meant."""

import base64

import pytest

from audiograph._multipart import Frame
from deployments.ingress.http.disposition import attachment, parse_part

NAMES = [
    "talk.wav",
    "naïve 音 🎵.wav",
    'say "hi"; x="y".wav',
    "100%41 %22 %.wav",
    "it's (1) [a]; b=c, d*.wav",
    "=?utf-8?B?eA==?=.wav",
]


def named(parameters: str, encoding: str = "utf-8") -> str | None:
    """The file name of a part with these parameters."""
    return parse_part(f'form-data; name="file"; {parameters}'.encode(encoding))[1]


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ('filename="talk.wav"', "talk.wav"),
        ("filename=talk.wav", "talk.wav"),
        ("filename=talk one.wav ", "talk one.wav"),
        ("FileName = talk.wav", "talk.wav"),
        ('filename=""', ""),
        ('filename="naïve 音.wav"', "naïve 音.wav"),
        ('filename="a;b.wav"', "a;b.wav"),
    ],
)
def test_a_plain_name_is_kept(parameters: str, name: str) -> None:
    assert named(parameters) == name


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ('filename="say %22hi%22.wav"', 'say "hi".wav'),
        (r'filename="say \"hi\"; x.wav"', 'say "hi"; x.wav'),
        (r'filename="C:\\music\\a.wav"', r"C:\music\a.wav"),
        (r'filename="C:\music\a.wav"', r"C:\music\a.wav"),
        ('filename="music\\"', "music\\"),
        ('filename="%41 100% %2541.wav"', "%41 100% %2541.wav"),
        ('filename="a%0D%0ab.wav"', "a\r\nb.wav"),
    ],
)
def test_quotes_are_unescaped_and_other_percent_signs_stay(parameters: str, name: str) -> None:
    assert named(parameters) == name


@pytest.mark.parametrize(
    "parameters",
    [
        "filename*=UTF-8''na%C3%AFve%20%E9%9F%B3.wav",
        "filename*=utf-8'en'na%C3%AFve%20%E9%9F%B3.wav",
        "filename*=\"UTF-8''na%C3%AFve%20%E9%9F%B3.wav\"",
        "filename*=UTF-8''naïve%20音.wav",
        "filename=\"naive.wav\"; filename*=UTF-8''na%C3%AFve%20%E9%9F%B3.wav",
        "filename*=UTF-8''na%C3%AFve%20%E9%9F%B3.wav; filename=naive.wav",
        "filename*0*=UTF-8''na%C3%AFve; filename*1=\" 音\"; filename*2=.wav",
    ],
)
def test_the_extended_name_is_preferred(parameters: str) -> None:
    assert named(parameters) == "naïve 音.wav"


@pytest.mark.parametrize("kind", ["B", "Q"])
@pytest.mark.parametrize("beside", ["", "; filename*=utf-8''na%C3%AFve%20%E9%9F%B3.wav"])
def test_an_encoded_word_is_decoded(kind: str, beside: str) -> None:
    words = {
        "B": base64.b64encode("naïve 音.wav".encode()).decode(),
        "Q": "na=C3=AFve_=E9=9F=B3.wav",
    }
    assert named(f'filename="=?utf-8?{kind}?{words[kind]}?="{beside}') == "naïve 音.wav"


def test_a_latin_1_name_is_read_as_such() -> None:
    assert named('filename="naïve “é”.wav"', "cp1252") == "naïve “é”.wav"
    assert named("filename*=ISO-8859-1''na%EFve.wav") == "naïve.wav"
    assert named("filename*=UTF-8''na%EFve.wav") == "naïve.wav"


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("filename*=talk%20one.wav", "talk one.wav"),
        ("filename*=nonsense''talk%20one.wav", "talk one.wav"),
        ("filename*=hex''talk.wav", "talk.wav"),
        ("filename*=UTF-8''100%zz.wav", "100%zz.wav"),
        ("filename*=; filename=talk.wav", "talk.wav"),
        ("filename*x=1; filename=talk.wav", "talk.wav"),
        (f"filename*{'9' * 4000}=a; filename=talk.wav", "talk.wav"),
        ('filename="=?utf-8?B?!!!?="', "=?utf-8?B?!!!?="),
        ('filename="=?nonsense?B?eA==?="', "=?nonsense?B?eA==?="),
        ('filename="talk.wav', '"talk.wav'),
    ],
)
def test_a_broken_name_is_read_as_far_as_it_can_be(parameters: str, name: str) -> None:
    assert named(parameters) == name


def test_only_a_part_without_any_name_has_none() -> None:
    assert parse_part(b'form-data; name="file"') == ("file", None)
    assert parse_part(b'form-data; name="filename"') == ("filename", None)
    assert parse_part(b"") == ("", None)


@pytest.mark.parametrize(
    "junk", ['"' + "\\" * 4000, ";" * 4000, 'a="' * 1300, "=?" * 2000, ";filename*0*=%" * 300]
)
def test_a_hostile_header_is_read_without_backtracking_for_years(junk: str) -> None:
    assert parse_part(f'form-data; name="file"; x="{junk}'.encode())[0] == "file"


@pytest.mark.parametrize("name", NAMES)
def test_a_downloads_name_comes_back_as_it_is(name: str) -> None:
    assert parse_part(attachment(name).encode("ascii"))[1] == name


@pytest.mark.parametrize("name", [*NAMES, "tab\there.wav", "back\\slash.wav"])
def test_the_clients_form_says_every_name(name: str) -> None:
    head = Frame(name).head.split(b"\r\n")[1]
    assert parse_part(head.partition(b": ")[2]) == ("file", name)


def test_the_client_sends_a_name_that_is_no_unicode() -> None:
    head = Frame("na\udcefve.wav").head.split(b"\r\n")[1]  # the bytes of a Latin-1 file system
    assert parse_part(head.partition(b": ")[2]) == ("file", "naïve.wav")


def test_a_file_name_cannot_break_out_of_its_header() -> None:
    assert attachment('a"; x="\r\n%.wav') == (
        "attachment; filename=\"a_; x=____.wav\"; filename*=UTF-8''a%22%3B%20x%3D%22%0D%0A%25.wav"
    )
