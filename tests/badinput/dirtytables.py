"""Three tables as they come from people's desks: several columns dirty, each in its own way."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROWS = 600


@dataclass(frozen=True)
class DirtyTable:
    """One file, and what `driftloop init` shall make of it."""

    target: str
    task: str
    notes: tuple[str, ...]
    """Each stands in the output of `init`."""
    write: Callable[[Path], None]


def _write(path: Path, header: str, rows: list[list[str]], delimiter: str, encoding: str) -> None:
    lines = [header, *(delimiter.join(row) for row in rows)]
    path.write_bytes("\r\n".join([*lines, ""]).encode(encoding))


def _write_orders(path: Path) -> None:
    """A German export: semicolons, decimal commas, Windows-1252, day-first dates, a delimiter behind each line."""
    random = np.random.default_rng(1)
    rows = []
    for row in range(ROWS):
        price, days = random.gamma(3, 400), int(random.integers(1, 40))
        back = price / 1200 + days / 20 + random.normal() > 2.2
        whole, cents = divmod(round(price * 100), 100)
        amount = f"{whole:,}".replace(",", ".") + f",{cents:02}"
        place = ["Köln", "München", "Zürich "][row % 3]
        day = f"{1 + row % 28:02}.{1 + row // 28 % 12:02}.2023"
        discount = ["5,5", "0,0", "10,25", "-"][int(random.integers(4))]
        rows.append([f"A-{row:05}", day, place, amount, discount, str(days), "Ja" if back else "Nein", ""])
    _write(path, "Bestellung;Datum;Ort;Betrag;Rabatt;Lieferzeit;Retour;", rows, ";", "cp1252")


def _write_loans(path: Path) -> None:
    """A spreadsheet's export: BOM, thousands in quotes, dollars, percent, several spellings of missing and of yes."""
    random = np.random.default_rng(2)
    rows = []
    for row in range(ROWS):
        income, rate, age = random.gamma(5, 15_000), random.uniform(2, 19), int(random.integers(18, 80))
        owner = bool(random.random() < 0.4)
        failed = random.random() < 1 / (1 + np.exp(2.5 + income / 60_000 - rate / 5 - 0.01 * (50 - age)))
        rows.append([
            str(row + 1),
            f'"${income:,.2f}"' if random.random() > 0.05 else "N/A",
            f"{rate:.2f}%",
            f" {age} " if random.random() > 0.03 else "unknown",
            random.choice(["Yes", "yes", "Y"] if owner else ["No", "no"]),
            random.choice(["OH", "CA ", "NY", "?"]),
            f"{1 + row % 12}/{1 + row % 28}/2022",
            "",
            "1" if failed else "0",
        ])  # fmt: skip
    header = "\ufeff id , Annual Income,Interest Rate,age,Owns Home,State,Issued,Comment,Defaulted"
    _write(path, header, rows, ",", "utf-8")


def _write_sensors(path: Path) -> None:
    """A logger's file: tabs, UTF-16, times with and without seconds, error words among numbers, a constant column."""
    random = np.random.default_rng(3)
    rows = []
    for row in range(ROWS):
        temperature, load = 20 + 8 * np.sin(row / 24) + random.normal(), random.uniform(0, 1)
        output = 3 * temperature + 40 * load + random.normal(scale=4)
        seconds = ":00" if row % 2 else ""
        rows.append([
            f"2024-{1 + row // 280:02}-{1 + row // 10 % 28:02} {row % 10 + 8:02}:30{seconds}",
            f"{temperature:.2f}" if random.random() > 0.04 else "#DIV/0!",
            f"{load * 100:.1f} %",
            f"({abs(random.normal()):.2f})" if random.random() < 0.3 else f"{abs(random.normal()):.2f}",
            f"line {row % 4}",
            "rev2",
            f"{output:.3f}",
        ])  # fmt: skip
    _write(path, "Zeit\tTemperatur °C\tLast\tOffset\tLinie\tFirmware\tLeistung", rows, "\t", "utf-16")


TABLES = {
    "orders": DirtyTable(
        target="Retour",
        task="Classification",
        notes=(
            "the text was read as Windows-1252",
            "the columns are parted by semicolons",
            "the delimiter at the end of each line was left out",
            "'Datum': dates were read day first, such as '01.01.2023'",
            "'Rabatt': '5,5' was read as 5.5",
            "left out: 'Bestellung' looks like an identifier",
        ),
        write=_write_orders,
    ),
    "loans": DirtyTable(
        target="Defaulted",
        task="Classification",
        notes=(
            "spaces around column names were left out",
            "'age': 'unknown' read as missing",
            "'Owns Home': 'No', 'Y', 'Yes', 'no', 'yes' were read as 'yes' and 'no'",
            "'Issued': dates were read month first",
            "left out: 'Comment' has no values",
        ),
        write=_write_loans,
    ),
    "sensors": DirtyTable(
        target="Leistung",
        task="Regression",
        notes=(
            "the text was read as UTF-16",
            "the columns are parted by tabs",
            "'Temperatur °C': '#DIV/0!' read as missing",
            "left out: 'Firmware' has the same value in every row (rev2)",
        ),
        write=_write_sensors,
    ),
}
