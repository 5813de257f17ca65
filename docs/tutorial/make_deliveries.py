"""Makes the files of the tutorial: a messy table of deliveries, and requests and labels to send once the model serves.

The same seed makes the same deliveries. Nothing is needed but Python.
"""

import csv
import json
import math
import random
from datetime import UTC, datetime, timedelta

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 90
ROWS, LIVE_ROWS = 4000, 600
COLUMNS = [
    "delivery_id", "placed", "distance_km", "weight_kg", "carrier", "warehouse", "express", "driver_note",
    "source_system", "late",
]  # fmt: skip
INPUTS = ["delivery_id", "distance_km", "weight_kg", "carrier", "warehouse", "express"]


def make_delivery(number: int, chance: random.Random, *, expanding: bool = False) -> dict:
    """Return one delivery; when the shop is expanding, its customers live further away and a carrier gets slow."""
    distance = chance.lognormvariate(3.4, 0.8) if expanding else chance.lognormvariate(2.8, 0.6)
    carrier = chance.choices(["Bolt", "Snail", "Hare"], [5, 3, 2])[0]
    express = chance.random() < 0.2
    slowness = {"Bolt": -1.0, "Snail": 1.5, "Hare": -0.5}[carrier]
    risk = -2.2 + 0.05 * distance + slowness - 0.9 * express
    if expanding:
        risk = {"Bolt": 1.5, "Snail": -2.5, "Hare": -0.5}[carrier] + 0.01 * distance
    return {
        "delivery_id": f"D{number:06}",
        "placed": (FIRST_DAY + timedelta(days=DAYS * number / ROWS)).isoformat(timespec="minutes"),
        "distance_km": round(distance, 1),
        "weight_kg": round(chance.lognormvariate(1, 0.5), 2),
        "carrier": carrier,
        "warehouse": chance.choice(["east", "west"]),
        "express": express,
        "driver_note": f"door {chance.randrange(10**6):06}",
        "source_system": "orders-v2",
        "late": chance.random() < 1 / (1 + math.exp(-risk)),
    }


def soil(row: dict, chance: random.Random) -> dict:
    """Spoil a row as real exports are spoiled."""
    if chance.random() < 0.04:
        row["distance_km"] = "n/a"
    if chance.random() < 0.55:
        row["weight_kg"] = ""  # only some warehouses have scales
    if chance.random() < 0.05:
        row["carrier"] = chance.choice(["", "  "])
    if chance.random() < 0.02:
        row["late"] = ""  # lost, nobody knows
    return row


def write_live(name: str, first: int, chance: random.Random, *, expanding: bool) -> None:
    """Write the body of a prediction request, and of the labels that come later."""
    rows = [make_delivery(first + number, chance, expanding=expanding) for number in range(LIVE_ROWS)]
    asked = [{column: row[column] for column in INPUTS} for row in rows]
    truth = [{"key": row["delivery_id"], "label": row["late"]} for row in rows]
    with open(f"{name}.json", "w", encoding="utf-8") as file:
        json.dump({"rows": asked}, file)
    with open(f"{name}-labels.json", "w", encoding="utf-8") as file:
        json.dump({"labels": truth}, file)


def main() -> None:
    """Write deliveries.csv, usual.json and expanding.json, and the labels of both."""
    chance = random.Random(7)
    with open("deliveries.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(soil(make_delivery(number, chance), chance) for number in range(ROWS))
    write_live("usual", ROWS, chance, expanding=False)
    write_live("expanding", ROWS + LIVE_ROWS, chance, expanding=True)
    print(f"wrote deliveries.csv ({ROWS:,} rows), usual.json, expanding.json and their labels")


if __name__ == "__main__":
    main()
