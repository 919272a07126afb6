"""Finds the language that a tag means, among those that a model knows: ``pt-BR`` is ``pt``."""

import re
from collections.abc import Collection, Iterator

_EQUAL = """
af,afr am,amh ar,ara,arb as,asm az,aze,azj ba,bak be,bel bg,bul bn,ben bo,bod,tib br,bre bs,bos ca,cat
cs,ces,cze cy,cym,wel da,dan de,deu,ger el,ell,gre en,eng es,spa et,est,ekk eu,eus,baq fa,fas,per,pes fi,fin
fo,fao fr,fra,fre ga,gle gl,glg gu,guj ha,hau he,heb,iw hi,hin hr,hrv,scr ht,hat hu,hun hy,hye,arm id,ind,in
is,isl,ice it,ita ja,jpn jv,jav,jw ka,kat,geo kk,kaz km,khm kn,kan ko,kor la,lat lb,ltz ln,lin lo,lao lt,lit
lv,lav,lvs mg,mlg,plt mi,mri,mao mk,mkd,mac ml,mal mn,mon,khk mr,mar ms,msa,may,zsm mt,mlt my,mya,bur
ne,nep,npi nl,nld,dut nn,nno no,nb,nor,nob oc,oci pa,pan pl,pol ps,pus,pbu pt,por ro,ron,rum,mo ru,rus sa,san
sd,snd si,sin sk,slk,slo sl,slv sn,sna so,som sq,sqi,alb,als sr,srp,scc,sh,hbs su,sun sv,swe sw,swa,swh ta,tam
te,tel tg,tgk th,tha tk,tuk tl,fil,tgl tr,tur tt,tat uk,ukr ur,urd uz,uzb,uzn vi,vie yi,yid,ji,ydd yo,yor
zh,cmn,zho,chi
"""
"""Codes of one language: ISO 639-1 to 639-3, withdrawn codes (``iw``, ``jw``), and the main language of a
macrolanguage (``nb`` of ``no``, ``cmn`` of ``zh``). Serbo-Croatian
(``sh``) counts as Serbian, as in Unicode's CLDR."""

EXTENDED_LETTERS = 3
"""Letters of an extended language, which tells one language of a group from the others."""

_TAG = re.compile(r"[a-z]{2,3}([-_]([a-z]{2}|\d{3}))?", re.IGNORECASE)

_GROUPS = {code: group for group in (line.split(",") for line in _EQUAL.split()) for code in group}


def is_language_tag(name: str) -> bool:
    """Return whether a name has the form of a language, with or without a region."""
    return _TAG.fullmatch(name) is not None


def find_language(tag: str, known: Collection[str]) -> str | None:
    """Return the known tag that is the closest to a language tag (RFC 4647, 3.4); None if there is none.

    Args:
        tag: with hyphens or underscores, in upper or lower case, such as ``zh_Hant_TW``.
        known: tags in lower case, with hyphens.
    """
    parts = tag.strip().lower().replace("_", "-").split("-")
    if len(parts) > 1 and len(parts[1]) == EXTENDED_LETTERS and parts[1].isalpha():
        parts = parts[1:]  # ``zh-yue`` is ``yue`` (RFC 5646, 2.2.2)
    return next((found for found in _candidates(parts) if found in known), None)


def _candidates(parts: list[str]) -> Iterator[str]:
    """Yield the tag with ever fewer subtags, each in all codes of its language."""
    first, *rest = parts
    for length in range(len(rest), -1, -1):
        for code in dict.fromkeys([first, *_GROUPS.get(first, ())]):
            yield "-".join([code, *rest[:length]])
