"""Columns that hold personal data: found by form and check digit, names of people by the column's name and form.

Part of the stage `validate`, which does with them what `data.personal` says. It looks at a thousand values a column.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from driftloop.errors import InvalidInputError
from driftloop.stages.rawcolumn import is_text

_MOST_LOOKED_AT = 1000
_FEWEST_VALUES = 5
_MOSTLY = 0.8
_SURELY = 0.9
"""One in ten made-up numbers has a right check digit."""
_MENTIONED = 0.01
_EMAIL = r"[\w.+-]+@[\w-]+(\.[\w-]+)*\.[A-Za-z]{2,}"
_PHONE = (
    r"\+\d[\d ().-]{6,18}\d|0\d{1,5}[ /()-][\d ()./-]{4,14}\d|\(\d{2,5}\)[ -]?\d[\d -]{4,14}\d"
    r"|\d{3}[-. ]\d{3}[-. ]\d{4}"
)
_DATE = re.compile(r"\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.]\d{2,4}")
_IBAN = r"[A-Z]{2}\d{2}( ?[A-Z0-9]{2,4}){3,8}"
_SSN = r"\d{3}-\d{2}-\d{4}"
_PHONE_COLUMN = re.compile(r"(?i)(^|[_\W])(tel|phone|mobile|cell|fax|telephone|telefon|handy|msisdn)|電話|携帯")
_NAME_COLUMN = re.compile(
    r"(?i)^(full|first|last|middle|given|family|maiden|sur|fore|birth)[_ -]?names?$"
    r"|^(customer|client|patient|employee|user|person|contact|student|passenger|driver|owner|applicant|member|guest|"
    r"author|teacher|subscriber|holder|borrower)s?[_ -](full[_ -]?|first[_ -]?|last[_ -]?)?name$"
    r"|^name$|^surname$|^(vor|nach|familien)name$|^(nom|prenom|prénom|nombre|apellidos?|cognome|nome)$|氏名|姓名|名前|苗字"
)
_NAME = r"[^\W\d_a-z][^\W\d_]*([ .\u2019'-]+[^\W\d_]+\.?){0,4}"
_LONGEST_VALUE = 60
_SHORTEST_ID, _LONGEST_ID = 9, 19


@dataclass(frozen=True)
class PersonalColumn:
    """What a column holds."""

    what: str
    """In plain words, plural."""
    is_mentioned: bool = False
    """Whether some of its texts mention such values, rather than being them."""


class PersonalDataError(InvalidInputError):
    """There are personal data, and the loop wants none."""

    def __init__(self, found: Mapping[str, PersonalColumn]) -> None:
        listed = ", ".join(f"'{name}' ({column.what})" for name, column in found.items())
        super().__init__(
            f"The data must hold no personal data ('data.personal' is Refuse). Found: {listed}. Take these columns out "
            "where the data come from, or set 'data.personal' to Drop or Hash."
        )


def find_personal(columns: Mapping[str, pa.ChunkedArray]) -> dict[str, PersonalColumn]:
    """Return the columns that hold personal data, by name."""
    found = {}
    for name, column in columns.items():
        if not (is_text(column.type) or pa.types.is_integer(column.type)):
            continue
        values = _look(column)
        what = _recognise(name, values, is_number=not is_text(column.type)) if len(values) >= _FEWEST_VALUES else ""
        if what:
            found[name] = PersonalColumn(what)
        elif is_text(column.type) and (mentioned := _mentioned(values)):
            found[name] = PersonalColumn(mentioned, is_mentioned=True)
    return found


def _look(column: pa.ChunkedArray) -> list[str]:
    """Return some of the different values as texts, evenly chosen."""
    step = max(len(column) // _MOST_LOOKED_AT, 1)
    chosen = column.take(pa.array(range(0, len(column), step))).unique().drop_null()
    return [str(value).strip() for value in chosen.to_pylist()]


def _recognise(name: str, values: Sequence[str], *, is_number: bool) -> str:
    short = [value for value in values if len(value) <= _LONGEST_VALUE]
    if len(short) < _MOSTLY * len(values):
        return ""
    if not is_number:
        for what, pattern, is_right, least in _FORMS:
            if _share(short, pattern, is_right) >= least:
                return what
        if _NAME_COLUMN.search(name) and _share(short, _NAME, _is_any) >= _MOSTLY:
            return "names of people"
    if _PHONE_COLUMN.search(name) and _share(short, r"\+?[\d ().-]{7,20}", _has_phone_digits) >= _MOSTLY:
        return "phone numbers"
    return _recognise_number(short)


def _recognise_number(values: Sequence[str]) -> str:
    """Look for check digits of cards and national identity numbers."""
    plain = [re.sub(r"[ .\-/]", "", value) for value in values]
    if _share(plain, rf"[A-Z\d]{{{_SHORTEST_ID},{_LONGEST_ID}}}", _has_digits) < _SURELY:
        return ""
    from stdnum import luhn

    if _share(plain, r"[3-6]\d{12,18}", luhn.is_valid) >= _SURELY:
        return "card numbers"
    for country, is_valid in _national_ids().items():
        if _share(plain, r"[A-Z\d]+", is_valid) >= _SURELY:
            return f"national identity numbers ({country})"
    return ""


def _national_ids() -> Mapping[str, Callable[[str], bool]]:
    from stdnum.be import nn
    from stdnum.br import cpf
    from stdnum.ch import ssn as ahv
    from stdnum.de import idnr
    from stdnum.es import dni, nie
    from stdnum.fr import nir
    from stdnum.in_ import aadhaar
    from stdnum.it import codicefiscale
    from stdnum.jp import in_ as my_number
    from stdnum.nl import bsn
    from stdnum.pl import pesel
    from stdnum.se import personnummer

    modules = {
        "France": nir,
        "Germany": idnr,
        "Spain": dni,
        "Spain, foreigners": nie,
        "Italy": codicefiscale,
        "Netherlands": bsn,
        "Belgium": nn,
        "Sweden": personnummer,
        "Poland": pesel,
        "Brazil": cpf,
        "India": aadhaar,
        "Japan": my_number,
        "Switzerland": ahv,
    }
    return {country: module.is_valid for country, module in modules.items()}


def _mentioned(values: Sequence[str]) -> str:
    long = [value for value in values if " " in value]
    for what, pattern in (("e-mail addresses", _EMAIL), ("bank accounts (IBAN)", rf"\b{_IBAN}\b")):
        hits = [match for value in long if (match := re.search(pattern, value))]
        if what.startswith("bank"):
            hits = [match for match in hits if _is_iban(match[0])]
        if len(hits) >= max(_MENTIONED * len(values), 2):
            return what
    return ""


def _share(values: Iterable[str], pattern: str, is_right: Callable[[str], bool]) -> float:
    """Return the share of values of a form that are right."""
    checked = [bool(re.fullmatch(pattern, value)) and is_right(value) for value in values]
    return sum(checked) / len(checked)


def _is_any(_value: str) -> bool:
    return True


def _has_phone_digits(value: str) -> bool:
    return 8 <= sum(letter.isdigit() for letter in value) <= 15 and not _DATE.match(value)  # noqa: PLR2004 - E.164


def _has_digits(value: str) -> bool:
    return any(letter.isdigit() for letter in value)


def _is_iban(value: str) -> bool:
    from stdnum import iban

    return bool(iban.is_valid(value, check_country=False))


def _is_ssn(value: str) -> bool:
    from stdnum.us import ssn

    return bool(ssn.is_valid(value))


_FORMS: Sequence[tuple[str, str, Callable[[str], bool], float]] = (
    ("e-mail addresses", _EMAIL, _is_any, _MOSTLY),
    ("bank accounts (IBAN)", _IBAN, _is_iban, _SURELY),
    ("national identity numbers (United States)", _SSN, _is_ssn, _SURELY),
    ("phone numbers", _PHONE, _has_phone_digits, _MOSTLY),
)
"""What, form, check, and the share of values that must have it."""
