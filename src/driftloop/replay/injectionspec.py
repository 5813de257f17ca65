"""Injections as people write them: `--inject "mean_shift column=temp size=0.5 start=2013-05-01"`, or a YAML file.

    KIND [column=NAME] [columns=NAME,NAME] [size=NUMBER] [offset=NUMBER] [start=PLACE] [end=PLACE]
         [ramp=DURATION] [period=DURATION]

PLACE is a date, a time, or a share of the replayed time from 0 to 1. A YAML file is a list of mappings with the same
names, and `kind`.
"""

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import yaml

from driftloop.replay.injections import Injection, InjectionError, InjectionKind
from driftloop.spec.boundary import parse_duration

_FIELDS = ("column", "columns", "size", "offset", "start", "end", "ramp", "period")
_FILES = (".yaml", ".yml")


def read_injections(specs: Sequence[str]) -> list[Injection]:
    """Return the injections of several options, each a text or the name of a YAML file.

    Raises:
        InjectionError: one can't be read.
    """
    return [
        injection
        for spec in specs
        for injection in (_read_file(Path(spec)) if spec.endswith(_FILES) else [parse_injection(spec)])
    ]


def parse_injection(text: str) -> Injection:
    """Read one injection.

    >>> parse_injection("mean_shift column=temp size=0.5sd start=0.4 end=2013-06-01").columns
    ('temp',)

    Raises:
        InjectionError: it can't be read.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InjectionError(f'The injection "{text}" can\'t be read: {error}. Close the quotes.') from error
    if not words:
        raise InjectionError(
            f"The injection must name its kind. Got nothing. Choose one of {', '.join(InjectionKind)}."
        )
    fields: dict[str, object] = {}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            raise InjectionError(
                f"What follows the kind of an injection must be name=value. Got '{word}'. "
                f"The names are {', '.join(_FIELDS)}."
            )
        if name in fields:
            raise InjectionError(f"The '{name}' of the injection '{words[0]}' must be given once. Got it twice.")
        fields[name] = value
    return build_injection({"kind": words[0], **fields})


def build_injection(fields: Mapping[str, object]) -> Injection:
    """Return the injection that a mapping describes: `kind` and the names of the text form.

    Raises:
        InjectionError: a name is unknown, or a value can't be read.
    """
    kind = str(fields.get("kind", ""))
    if kind not in {known.value for known in InjectionKind}:
        raise InjectionError(
            f"The kind of an injection must be one of {', '.join(InjectionKind)}. Got '{kind}'. Choose one of them."
        )
    for name in fields:
        if name != "kind" and name not in _FIELDS:
            raise InjectionError(f"The injection '{kind}' must use the names {', '.join(_FIELDS)}. Got '{name}'.")
    period = _duration(kind, "period", fields["period"]) if "period" in fields else None
    return Injection(
        kind=InjectionKind(kind),
        columns=_columns(fields),
        size=_number(kind, "size", fields["size"]) if "size" in fields else None,
        start=_place(kind, "start", fields.get("start", 0.5)),
        end=_place(kind, "end", fields["end"]) if "end" in fields else None,
        ramp=_duration(kind, "ramp", fields["ramp"]) if "ramp" in fields else timedelta(0),
        period=period,
        offset=_number(kind, "offset", fields.get("offset", 0.0)),
    )


def _read_file(path: Path) -> list[Injection]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InjectionError(f"The file of injections '{path}' must be readable YAML. It is not: {error}.") from error
    items = content if isinstance(content, list) else [content]
    if not items or not all(isinstance(item, dict) for item in items):
        raise InjectionError(
            f"The file of injections '{path}' must hold a list of mappings, such as "
            "'- {kind: mean_shift, column: temp, size: 0.5}'. Got something else."
        )
    return [build_injection({str(name): value for name, value in item.items()}) for item in items]


def _columns(fields: Mapping[str, object]) -> tuple[str, ...]:
    if "columns" not in fields:
        return (str(fields["column"]),) if "column" in fields else ()
    given = fields["columns"]
    names = given if isinstance(given, list) else str(given).split(",")
    return tuple(str(name).strip() for name in names)


def _number(kind: str, name: str, value: object) -> float:
    text = str(value).strip()
    try:
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return float(text.removesuffix("sd") if kind in (InjectionKind.MEAN_SHIFT, InjectionKind.CONCEPT) else text)
    except ValueError as error:
        raise InjectionError(f"The {name} of the injection '{kind}' must be a number. Got '{text}'.") from error


def _duration(kind: str, name: str, value: object) -> timedelta:
    try:
        return parse_duration(str(value))
    except ValueError as error:
        raise InjectionError(
            f"The {name} of the injection '{kind}' must be a duration such as 12h or 14d. Got '{value}'."
        ) from error


def _place(kind: str, name: str, value: object) -> datetime | float:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    text = str(value).strip()
    for read in (float, _utc):
        try:
            return read(text)
        except ValueError:
            continue
    raise InjectionError(
        f"The {name} of the injection '{kind}' must be a date such as 2013-05-01, a time such as 2013-05-01T12:00, or "
        f"a share of the replayed time from 0 to 1. Got '{text}'."
    )


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
