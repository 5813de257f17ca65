"""What the texts of a CSV column mean: numbers, truth values, dates or texts, judged by the column as a whole.

What can be read in one way only is read, and said in a note. What can't is refused with an example and the remedy.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from driftloop.errors import InvalidInputError
from driftloop.stages.datetext import AmbiguousDatesError, DateStyle, is_date, read_dates

MISSING = (
    "", "NA", "N/A", "n/a", "na", "NaN", "nan", "-nan", "-NaN", "NULL", "null", "#N/A", "#NA", "#N/A N/A",
    "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "?", "-", "--",
)  # fmt: skip
"""Read as missing in every column. `None` and `unknown` may be categories."""
PLACEHOLDERS = frozenset({
    ".", "none", "nil", "missing", "unknown", "n.a.", "n.a", "not available", "not known", "tbd", "(null)", "(none)",
    "*", "#ref!", "#div/0!", "#value!", "#name?", "#num!", "undefined", "<na>", "nat", "---",
})  # fmt: skip
"""Read as missing where all other values are numbers or dates; in lower case."""
_PURE_SHARE = 0.9
"""From this share of numbers (or dates) on, the words among them are slips, not values."""
_FEW_SAMPLES = 3
_HEAD_VALUES = 100
_HEAD_ROWS = 1000

_CURRENCY = "[$€£¥₹]|USD|EUR|GBP|JPY|CHF|INR"
_SIGN = "[+\\-\u2212]"
_SPACES = " \u00a0\u202f'\u2019"
_DIGITS = rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,3}}(?:\.\d{{3}})+|\d{{1,3}}(?:[{_SPACES}]\d{{3}})+|\d+)?"
_NUMBER = (
    rf"^\(?{_SIGN}?(?:(?:{_CURRENCY}) ?)?{_SIGN}?{_DIGITS}(?:[.,]\d*)?(?:[eE][+\-]?\d+)? ?(?:%|(?:{_CURRENCY}))?\)?$"
)
_HAS_DIGIT = r"\d"
_POINT_ONLY = r"^\d{1,3}(\.\d{3})+$|^\d{1,3}$"
_CODE = r"^0\d"
_YES, _NO = frozenset({"yes", "y"}), frozenset({"no", "n"})


class MixedColumnError(InvalidInputError):
    """A column that is nearly all numbers or dates, and holds words too."""

    def __init__(self, name: str, uri: str, *, kind: str, odd: Mapping[str, int], rows: int, total: int) -> None:
        """Build the message; `odd` gives some of the words with their first lines, `rows` is how many have one."""
        shown = ", ".join(f"'{text}' in line {line}" for text, line in odd.items())
        super().__init__(
            f"The column '{name}' of '{uri}' must hold values of one type. Got {kind} in {total - rows} rows and "
            f"something else in {rows} ({shown}). Correct those cells or leave them empty."
        )


class UnclearColumnError(InvalidInputError):
    """A column whose values can be read in more than one way."""

    def __init__(self, name: str, uri: str, constraint: str, got: str, remedy: str) -> None:
        super().__init__(f"The column '{name}' of '{uri}' must hold {constraint}. Got {got}. {remedy}")


@dataclass(frozen=True)
class _Cells:
    """A column's different texts."""

    name: str
    uri: str
    values: pa.StringArray
    """Each text once, trimmed, missing ones aside."""
    counts: Mapping[str, int]
    """How often each occurs."""
    column: pa.StringArray
    """The texts of all rows, null where missing."""

    def line(self, text: str) -> int:
        """Return the first line of the text, the header being line 1."""
        return int(pc.index(self.column, text).as_py()) + 2

    def matching(self, pattern: str) -> list[str]:
        """Return the texts of a form."""
        found: list[str] = self.values.filter(pc.match_substring_regex(self.values, pattern)).to_pylist()
        return found

    def weight(self, texts: Sequence[str]) -> int:
        """Return in how many rows these texts stand."""
        return sum(self.counts[text] for text in texts)


def read_columns(table: pa.Table, uri: str, *, delimiter: str) -> tuple[pa.Table, list[str]]:
    """Give every column of texts the type that its values have.

    Args:
        table: columns of texts.
        uri: what to call the data in messages.
        delimiter: of the file; with a comma between columns, a comma in a number parts thousands.

    Returns:
        The table with integers, floats, booleans, dates, timestamps and texts; and what was read in a special way, in
        plain sentences.

    Raises:
        MixedColumnError, UnclearColumnError: see there.
    """
    heads = (_trim(table.column(place)[:_HEAD_ROWS]) for place in range(table.num_columns))
    decimal_comma = delimiter != "," and any(_has_decimal_commas(column) for column in heads)
    columns, notes = [], []
    for place, name in enumerate(table.column_names):  # one after another: trimmed texts take more than what they say
        column = _trim(table.column(place))
        values, note = _read(column, name, uri, delimiter=delimiter, decimal_comma=decimal_comma)
        columns.append(values)
        if note:
            notes.append(f"'{name}': {note}")
    return pa.Table.from_arrays(columns, names=table.column_names), notes


def _trim(column: pa.ChunkedArray) -> pa.StringArray:
    trimmed = pc.utf8_trim_whitespace(column.combine_chunks())
    is_missing = pc.is_in(trimmed, pa.array(MISSING))
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), trimmed)


def _has_decimal_commas(column: pa.StringArray) -> bool:
    """Whether a column proves that the file writes 1,5 for one and a half."""
    values = column.drop_null()
    is_decimal = pc.match_substring_regex(values, rf"^{_SIGN}?[\d.]*\d,\d+$")
    is_sure = pc.match_substring_regex(values, rf",\d{{1,2}}$|,\d{{4,}}$|^{_SIGN}?0,|\.\d+,")
    return len(values) > 0 and pc.mean(is_decimal).as_py() > _PURE_SHARE / 2 and bool(pc.any(is_sure).as_py())


def _read(column: pa.StringArray, name: str, uri: str, *, delimiter: str, decimal_comma: bool) -> tuple[pa.Array, str]:
    if column.null_count == len(column):
        return pa.nulls(len(column)), ""
    if not (decimal_comma and _all_match(column, _POINT_ONLY)):
        plain, note = _read_plainly(column)
        if plain is not None:
            return plain, note
    counted = pc.value_counts(column.drop_null())
    values = counted.field("values")
    counts = dict(zip(values.to_pylist(), counted.field("counts").to_pylist(), strict=True))
    cells = _Cells(name, uri, values, counts, column)
    return _read_cells(cells, delimiter=delimiter, decimal_comma=decimal_comma)


def _read_plainly(column: pa.StringArray) -> tuple[pa.Array | None, str]:
    """Read what Arrow reads: plain numbers, true and false, ISO 8601."""
    if _any_match(column, _CODE) and _all_match(column, r"^\d+$"):
        return column, "numbers with leading zeros were read as texts"
    head = column.drop_null()[:_HEAD_VALUES]  # a cast that fails does so only after all rows, and slowly
    for kind in (pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            head.cast(kind)
            return column.cast(kind), ""
        except pa.ArrowInvalid:
            continue
    return None, ""


def _all_match(column: pa.StringArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(column, pattern)).as_py())


def _any_match(column: pa.StringArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, pattern)).as_py())


def _read_cells(cells: _Cells, *, delimiter: str, decimal_comma: bool) -> tuple[pa.Array, str]:
    numbers = [text for text in cells.matching(_NUMBER) if re.search(_HAS_DIGIT, text)]
    dates = [text for text in cells.values.to_pylist() if is_date(text)]
    dated = set(dates)
    numbers = [text for text in numbers if text not in dated]
    total = cells.weight(cells.values.to_pylist())
    for kind, texts in (("dates", dates), ("numbers", numbers)):
        own = set(texts)
        others = [text for text in cells.values.to_pylist() if text not in own]
        words = [text for text in others if text.casefold() not in PLACEHOLDERS]
        if not texts:
            continue
        if not words:
            reading, note = (
                _read_dates(cells, texts)
                if kind == "dates"
                else _read_numbers(cells, texts, delimiter=delimiter, decimal_comma=decimal_comma)
            )
            missing = f"{', '.join(map(repr, others[:_FEW_SAMPLES]))} read as missing" if others else ""
            return reading, "; ".join(filter(None, (note, missing)))
        # Words without digits among numbers are slips; with digits they may be codes, such as 250 and V27.
        is_slip = kind == "dates" or not any(re.search(_HAS_DIGIT, word) for word in words)
        if is_slip and cells.weight(texts) >= _PURE_SHARE * total:
            odd = {word: cells.line(word) for word in words[:_FEW_SAMPLES]}
            raise MixedColumnError(cells.name, cells.uri, kind=kind, odd=odd, rows=cells.weight(words), total=total)
    return _read_texts(cells, cells.weight(numbers), total)


def _read_texts(cells: _Cells, numbers: int, total: int) -> tuple[pa.Array, str]:
    if len(cells.counts) > 2 and {text.casefold() for text in cells.counts} <= _YES | _NO:  # noqa: PLR2004 - two answers
        is_yes = pc.is_in(pc.utf8_lower(cells.column), pa.array(sorted(_YES)))
        answers = pc.if_else(pc.is_valid(cells.column), pc.if_else(is_yes, "yes", "no"), None)
        return answers, f"{', '.join(map(repr, sorted(cells.counts)))} were read as 'yes' and 'no'"
    note = ""
    if numbers > total / 2:
        word = next(text for text in cells.counts if not re.fullmatch(_NUMBER, text))
        note = f"numbers in {numbers} rows and others such as '{word}' in {total - numbers} were read as texts"
    return cells.column, note


def _read_dates(cells: _Cells, texts: Sequence[str]) -> tuple[pa.Array, str]:
    remedy = "Write every date as in 2013-02-01 (ISO 8601)."
    try:
        reading = read_dates(texts)
    except AmbiguousDatesError as error:
        iso = next((text for text in texts if re.match(r"\d{4}", text)), "")
        also = f", beside '{iso}'" if iso else ""
        constraint = "dates that can be read in one way only"
        raise UnclearColumnError(cells.name, cells.uri, constraint, f"{error}{also}", remedy) from error
    except ValueError as error:
        raise UnclearColumnError(cells.name, cells.uri, "dates of one format", str(error), remedy) from error
    zoned = {time.tzinfo is not None for time in reading.times}
    if len(zoned) > 1:
        example = {time.tzinfo is not None: text for time, text in zip(reading.times, texts, strict=True)}
        got = f"'{example[True]}' with a time zone and '{example[False]}' without"
        raise UnclearColumnError(cells.name, cells.uri, "times that all name their zone, or none", got, remedy)
    kind = pa.timestamp("us", "UTC") if zoned == {True} else pa.timestamp("us")
    places = pc.index_in(cells.column, pa.array(texts, pa.string()))
    values = pa.array(reading.times, kind).take(places)
    written = [f"{style}, such as '{text}'" for style, text in reading.styles.items()]
    note = f"dates were read {' and '.join(written)}" if set(reading.styles) != {DateStyle.YEAR_FIRST} else ""
    return values, note


def _read_numbers(cells: _Cells, texts: Sequence[str], *, delimiter: str, decimal_comma: bool) -> tuple[pa.Array, str]:
    percent = [text for text in texts if "%" in text]
    if percent and len(percent) < len(texts):
        other = next(text for text in texts if "%" not in text)
        got, remedy = f"'{percent[0]}' and '{other}'", "Write all of them in one unit."
        raise UnclearColumnError(cells.name, cells.uri, "numbers of one unit", got, remedy)
    currencies: dict[str, str] = {}
    for text in texts:
        if found := re.search(_CURRENCY, text):
            currencies.setdefault(found[0], text)
    if len(currencies) > 1:
        got = " and ".join(f"'{text}'" for text in islice(currencies.values(), 2))
        remedy = "Convert them to one currency."
        raise UnclearColumnError(cells.name, cells.uri, "numbers of one currency", got, remedy)
    bare = [re.sub(rf"(?:{_CURRENCY})|[%{_SPACES}]", "", text).replace("\u2212", "-") for text in texts]
    bare = [f"-{text[1:-1]}" if text.startswith("(") else text for text in bare]
    comma = _comma_of(cells, bare, delimiter=delimiter, decimal_comma=decimal_comma)
    plain = [_to_point(text, comma) for text in bare]
    numbers = pa.array(plain, pa.string()).cast(pa.float64())
    if percent:
        numbers = pc.divide(numbers, 100.0)
    elif all(re.fullmatch(r"[+\-]?\d+", text) for text in plain):
        numbers = numbers.cast(pa.int64())
    example = next((text for text, plainly in zip(texts, plain, strict=True) if text != plainly), None)
    note = f"'{example}' was read as {numbers[texts.index(example)].as_py()}" if example else ""
    return numbers.take(pc.index_in(cells.column, pa.array(texts, pa.string()))), note


def _comma_of(cells: _Cells, texts: Sequence[str], *, delimiter: str, decimal_comma: bool) -> str:
    """Return what a comma is in these numbers: `decimal`, `thousands`, or nothing where there is none.

    Raises:
        UnclearColumnError: it may be either, or is both.
    """
    decimal = [t for t in texts if re.search(r",\d{0,2}$|,\d{4,}$|^[+-]?0,|\.\d+,|^[+-]?,|\.\d{3}\.", t)]
    thousands = [t for t in texts if re.search(r",\d{3},|,\d{3}\.|\.\d{1,2}$|\.\d{4,}$|^[+-]?0\.", t)]
    remedy = "Write numbers with a decimal point and without thousands separators, as in 1234.5."
    if decimal and thousands:
        got = f"'{decimal[0]}' with a decimal comma and '{thousands[0]}' with a decimal point"
        raise UnclearColumnError(cells.name, cells.uri, "numbers of one notation", got, remedy)
    if decimal:
        return "decimal"
    open_ = next((text for text in texts if "," in text), "")
    if thousands:
        return "thousands"
    if decimal_comma:
        return "decimal"
    if open_ and delimiter != ",":
        whole, fraction = open_.replace(",", ""), open_.replace(",", ".")
        got = f"'{open_}', which may be {whole} or {fraction}"
        raise UnclearColumnError(cells.name, cells.uri, "numbers that can be read in one way only", got, remedy)
    return "thousands" if open_ else ""


def _to_point(text: str, comma: str) -> str:
    if comma == "decimal":
        return text.replace(".", "").replace(",", ".")
    return text.replace(",", "")
