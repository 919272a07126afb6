"""Names of the kinds of files that are refused, by their first bytes."""

import re
import string

FOREIGN: tuple[tuple[bytes, str], ...] = (
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"PK\x05\x06", "an empty ZIP archive"),
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"BZh[1-9]1AY&SY", "a bzip2 archive"),
    (rb"\xfd7zXZ\0", "an xz archive"),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (rb"Rar!", "a RAR archive"),
    (rb"%PDF", "a PDF document"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
    (rb"\x89PNG", "a PNG image"),
    (rb"\xff\xd8\xff", "a JPEG image"),
    (rb"GIF8", "a GIF image"),
    (rb"II\*\0|MM\0\*", "a TIFF image"),
    (rb"RIFF....WEBP", "a WebP image"),
    (rb"FORM....(?:ILBM|PBM )", "an IFF image"),
    (rb"\0\0\x01\xb3|DKIF|YUV4MPEG2 ", "a video stream without sound"),
    (rb"MZ", "a Windows program"),
    (rb"\x7fELF", "a Linux program"),
    (rb"\xcf\xfa\xed\xfe", "a macOS program"),
    (rb"#EXTM3U|\[playlist\]|ffconcat", "a playlist, which only refers to audio"),
    (rb"#!", "a script"),
    (rb"MThd|RIFF....RMID", "a MIDI score"),
    (rb"IMPM|Extended Module: |.{44}SCRM|.{1080}M[.!]K[.!]", "a tracker module"),
    (rb"RIFF....sfbk", "a SoundFont"),
    (rb"SQLite format 3", "a database"),
    (rb"\x93NUMPY", "a NumPy array"),
    (rb"\x89HDF\r\n", "an HDF5 file"),
    (rb"MATLAB |.{20}samplerate\0", "a MATLAB file"),
)
"""Kinds of file that are often sent by mistake, by patterns of their first bytes."""

OTHER_AUDIO: tuple[tuple[bytes, str], ...] = (
    (rb"MAC ", "Monkey's Audio"),
    (rb"MP\+|MPCK", "Musepack"),
    (rb"tBaK", "TAK"),
    (rb"OFR ", "OptimFROG"),
    (rb"LA0", "Lossless Audio"),
    (rb"\x7f\xfe\x80\x01|\xfe\x7f\x01\x80|\x1f\xff\xe8\0|\xff\x1f\0\xe8|DTSHDHDR", "DTS"),
    (rb".{4}\xf8\x72\x6f[\xba\xbb]", "TrueHD or MLP"),
    (rb"\x72\xf8\x1f\x4e|\xf8\x72\x4e\x1f", "S/PDIF"),
    (rb"DSD ", "DSD (DSF)"),
    (rb"FRM8", "DSD (DSDIFF)"),
    (rb"\.RMF", "RealMedia"),
    (rb"\.ra\xfd", "RealAudio"),
    (rb"ajkg", "Shorten"),
    (rb"qoaf", "QOA"),
    (rb"\x02?#!SILK", "SILK"),
    (rb"#?!EVRC", "EVRC"),
    (rb"#!AMR(?:-WB)?_MC", "AMR of several channels"),
    (rb"\xac[\x40\x41]", "AC-4"),
    (rb"\x02dss|\x03ds2", "DSS, of dictation machines,"),
    (rb".{4}\x57\x90\x75\x36", "Audible"),
    (rb"ea3|EA3", "ATRAC (OpenMG)"),
    (rb"TWIN9", "TwinVQ"),
    (rb"\xc0\xde\xc2", "Codec 2"),
    (rb"\x1c\xcc\x12\0", "LC3"),
    (rb"\xf8\x06iamf", "IAMF"),
    (rb"MMMD", "SMAF"),
    (rb"\x80\0..\x03\x12\x04", "ADX"),
    (rb"\.SoX|XoS\.", "SoX's own format"),
    (rb"FORM....(?:8SVX|16SV|MAUD)", "IFF (8SVX, 16SV, MAUD)"),
    (rb"RIFF....QLCM", "QCP (PureVoice)"),
    (rb"RIFF....XWMA", "xWMA"),
    (rb"RIFF....(?:CDXA|AMV )", "Video CD or AMV"),
    (rb" paf|fap ", "PAF (Ensoniq)"),
    (rb"PVF1\n", "PVF"),
    (rb"2BIT", "AVR (Audio Visual Research)"),
    (rb"ALawSoundFile", "WVE (Psion)"),
    (rb"Extended Instrument: ", "XI (Extended Instrument)"),
    (rb"\xf0\x7e.\x01", "SDS (MIDI Sample Dump)"),
    (rb"\x01\x04[ -~]{17}", "MPC 2000"),
    (rb"[\0-\x0f]...\0...\0\x02\0\0", "HTK"),
    (rb"\x06\x0e\x2b\x34\x02\x05\x01\x01", "MXF"),
    (rb"\0\0\0\0\x01\xbc", "GXF"),
    (rb"\x1f\x07\0[\x3f\xbf]", "DV"),
    (rb"\xb7\xd8\0\x20\x37\x49\xda\x11", "WTV (Windows Recorded TV)"),
    (rb"nut/multimedia container", "NUT"),
    (rb"[FCZ]WS[\x01-\x2f]", "Flash (SWF)"),
)
"""Kinds of audio that no decoder here reads, or that nobody has asked for, in the same way."""


def is_named(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is of a kind that is refused by its name."""
    return _named(head, FOREIGN) is not None or _named(head, OTHER_AUDIO) is not None


def refusal(head: bytes) -> str:
    """Return the reason for refusing a file that begins with these bytes, as the beginning of a sentence."""
    if codec := _named(head, OTHER_AUDIO):
        return f"{codec} is not among the accepted kinds of audio"
    if kind := _named(head, FOREIGN) or _written(head):
        return f"the file is not audio but {kind}"
    return "the file is not audio of a known kind (audio without a header cannot be recognized)"


def _named(head: bytes, kinds: tuple[tuple[bytes, str], ...]) -> str | None:
    return next((name for pattern, name in kinds if re.match(pattern, head, re.DOTALL)), None)


def _written(head: bytes) -> str | None:
    """Return the kind of a file of text; None if it is not one."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if text.startswith((b"<?xml", b"<svg", b"<mpd")):
        return "an XML document"
    if head.isascii() and all(chr(byte) in string.printable for byte in head):
        return "text"
    return None
