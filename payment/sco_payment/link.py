"""SBP payment links: parse, verify, judge against a payment. Pure; it never opens a link.

A link is *verified* when its form, checksum, amount and currency all agree with the payment. It is *unverifiable* when
it is an https link that carries too little to check (another host, no crc, a QRC id of an unknown form): it
can be presented, with a warning. It is *refused* when anything in it contradicts the payment or another part of the
link, or when it leads to a host that is neither NSPK's nor one of those that the lane trusts: no customer sees it.

Source of the format: the links that NSPK and banks publish. The checksum is CRC-16/CCITT-FALSE of everything before
`&crc=`, in four hex digits. NSPK's newest format is not public: an unknown form is not a reason to refuse a link.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from urllib.parse import SplitResult, parse_qsl, urlsplit

HOST = "qr.nspk.ru"
_DOMAIN = "nspk.ru"
MAX_LENGTH = 512
"""Characters. A published link has 105; a code of more than this could not be scanned from a receipt."""

_QRC_ID = re.compile(r"[A-Z][SD][A-Z0-9]{30}")
_BANK = re.compile(r"\d{12}")
_SUM = re.compile(r"\d{1,12}")
_CRC = re.compile(r"[0-9A-Fa-f]{4}")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"({_LABEL}\.)+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?")


class Verdict(Enum):
    """What can be done with a link."""

    VERIFIED = "verified"
    UNVERIFIABLE = "unverifiable"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SbpLink:
    """The parts of an SBP link. `sum_kopecks` and `currency` are None where a static link lacks them.

    `static` is None for a QRC id of an unknown form; of such a link, only the parts whose form is known are
    read.
    """

    text: str
    qrc_id: str
    static: bool | None
    bank: str | None
    sum_kopecks: int | None
    currency: str | None
    crc: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reason, and the parts when the link is an SBP one."""

    verdict: Verdict
    reason: str
    link: SbpLink | None = None


class LinkRefused(ValueError):
    """The link contradicts the standard, itself or the payment; the message says how."""


def crc_of(text: str) -> str:
    """CRC-16/CCITT-FALSE of `text` (all of the link before `&crc=`), four upper-case hex digits."""
    return f"{binascii.crc_hqx(text.encode('ascii'), 0xFFFF):04X}"


def parse(text: str) -> SbpLink | None:
    """The parts of `text`, or None when it is an https link of another host.

    Raises:
        LinkRefused: not an https link that a phone would open, or an SBP link whose parts contradict each other.
    """
    parts = _split(text)
    if parts.hostname != HOST:
        return None
    fields = _fields(parts.query)
    qrc_id = parts.path.removeprefix("/")
    if not qrc_id:
        raise LinkRefused("the link has no QRC id")
    static = qrc_id[1] == "S" if _QRC_ID.fullmatch(qrc_id) else None
    kind = fields.get("type")
    if static is not None and kind is not None and kind != ("01" if static else "02"):
        raise LinkRefused(f"type={kind} contradicts the QRC id, which is {'static (01)' if static else 'dynamic (02)'}")
    for name, form in (("bank", _BANK), ("sum", _SUM), ("crc", _CRC)):
        if name in fields and not form.fullmatch(fields[name]):
            if static is not None:
                raise LinkRefused(f"{name}={fields[name]!r} is malformed")
            del fields[name]
    crc = fields.get("crc")
    if crc is not None:
        body, _, tail = text.partition("&crc=")
        if tail != crc:
            raise LinkRefused("crc is not the last part of the link")
        if crc_of(body) != crc.upper():
            raise LinkRefused(f"crc {crc} is wrong, the link gives {crc_of(body)}: it was altered on the way")
    return SbpLink(
        text=text,
        qrc_id=qrc_id,
        static=static,
        bank=fields.get("bank"),
        sum_kopecks=int(fields["sum"]) if "sum" in fields else None,
        currency=fields.get("cur"),
        crc=crc,
    )


def judge(
    text: str, *, kopecks: int | None = None, currency: str = "RUB", hosts: Collection[str] | None = None
) -> Judgement:
    """Judge `text` against a payment of `kopecks` in `currency`; without `kopecks`, only the link itself.

    `hosts` are those whose links may be shown besides NSPK's, with their subdomains; None for any public one.
    """
    try:
        link = parse(text)
        if hosts is not None:
            _check_host(urlsplit(text).hostname or "", hosts)
    except LinkRefused as refusal:
        return Judgement(Verdict.REFUSED, str(refusal))
    if link is None:
        return Judgement(Verdict.UNVERIFIABLE, f"the link is not of {HOST}: neither amount nor crc can be checked")
    if link.currency is not None and link.currency != currency:
        return Judgement(Verdict.REFUSED, f"the link is in {link.currency}, the payment in {currency}", link)
    if kopecks is not None and link.sum_kopecks is not None and link.sum_kopecks != kopecks:
        return Judgement(
            Verdict.REFUSED, f"the link is for {link.sum_kopecks} kopecks, the payment for {kopecks}", link
        )
    if link.static is None:
        reason = (
            f"the QRC id {link.qrc_id!r} has an unknown form: expected 32 characters A-Z and 0-9, the second S or D"
        )
        return Judgement(Verdict.UNVERIFIABLE, reason, link)
    if link.crc is None:
        return Judgement(Verdict.UNVERIFIABLE, "the link has no crc", link)
    if link.sum_kopecks is None and not link.static:
        return Judgement(Verdict.UNVERIFIABLE, "the dynamic link has no amount", link)
    agreed = ["form", "crc"]
    agreed += ["amount"] if kopecks is not None and link.sum_kopecks is not None else []
    agreed += ["currency"] if link.currency is not None else []
    return Judgement(Verdict.VERIFIED, f"{', '.join(agreed[:-1])} and {agreed[-1]} agree", link)


def same_code(first: str, second: str) -> bool:
    """Whether two links are one code: equal texts, or two links that are not refused and have the same QRC id.

    Banks return a plate's link with its parameters in another order, a crc in lower case, or an amount.
    """
    if first == second:
        return True
    one, other = judge(first), judge(second)
    if Verdict.REFUSED in (one.verdict, other.verdict) or one.link is None or other.link is None:
        return False
    return one.link.qrc_id == other.link.qrc_id


def is_host(text: str) -> bool:
    """Whether `text` is the name of a public host, as `judge` takes it: lower case, no address, no dot at its end."""
    return len(text) <= 253 and _HOST.fullmatch(text) is not None


def _check_host(host: str, hosts: Collection[str]) -> None:
    if not any(f".{host}".endswith(f".{one}") for one in (_DOMAIN, *hosts)):
        raise LinkRefused(
            f"{host} is neither {_DOMAIN} nor a host of the acquirer: if its links are to be shown, add it to "
            "display.link_hosts"
        )


def _split(text: str) -> SplitResult:
    if not text:
        raise LinkRefused("the link is empty")
    if len(text) > MAX_LENGTH:
        raise LinkRefused(f"the link has {len(text)} characters, at most {MAX_LENGTH} can be presented")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise LinkRefused("the link has characters that are not allowed in a link")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise LinkRefused(f"not a link: {error}") from None
    if parts.scheme != "https" or not parts.hostname:
        raise LinkRefused("not an https link: phones would not open it")
    if parts.username is not None or parts.password is not None:
        raise LinkRefused("the link has a user name in it, which hides where it leads")
    if parts.hostname == HOST and (port is not None or parts.fragment or not text.startswith(f"https://{HOST}/")):
        raise LinkRefused(f"the link is not of the form https://{HOST}/QRC?...")
    if not is_host(parts.hostname):
        raise LinkRefused(f"{parts.hostname} is not the name of a public host")
    if "nspk" in parts.hostname and not f".{parts.hostname}".endswith(f".{_DOMAIN}"):
        raise LinkRefused(f"{parts.hostname} only looks like {_DOMAIN}")
    return parts


def _fields(query: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in fields:
            raise LinkRefused(f"{name} is in the link twice")
        fields[name] = value
    return fields
