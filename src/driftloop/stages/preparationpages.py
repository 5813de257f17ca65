"""The pages of `clean` and `transform`: what was filled, clipped, left out, encoded, and why.

Draws what the stages recorded; looks at no data and judges nothing.
"""

from driftloop.reports.bars import Bar, bar_chart
from driftloop.reports.markup import figure, name, percent, plain
from driftloop.reports.page import Card, Header, cards, fact_table, figures, paragraph, render_page, section, table
from driftloop.stages.filling import MOST_ROWS_TO_COMPARE, MOST_ROWS_TO_REGRESS
from driftloop.stages.noise import MOST_ROWS_FITTED, WINDOW
from driftloop.stages.outliers import MOST_ROWS_FITTED as MOST_NEIGHBOURS
from driftloop.stages.outliers import SHARE_OF_ROWS
from driftloop.stages.records import CleanedColumn, CleaningRecord, TransformationRecord

_MISSING = {
    "Auto": "the median, and a flag where training rows have gaps. Auto: it takes no time, no outlier moves it, and "
    "the flag lets a model learn what a gap means",
    "Mean": "the mean of the training rows",
    "Median": "the median of the training rows",
    "MostFrequent": "the most frequent value of the training rows",
    "Constant": "the constant, with a flag; a date the median, true or false the more frequent one",
    "KNN": f"the mean of the five nearest training rows, of which {MOST_ROWS_TO_COMPARE:,} are kept, evenly chosen",
    "Iterative": "what the other columns predict, by Bayesian ridge regression on at most "
    f"{MOST_ROWS_TO_REGRESS:,} training rows",
    "DropRows": "the median in requests; training rows with a gap are left out",
    "DropColumns": "nothing: columns with a gap in training are left out",
}
_OUTLIERS = {
    "Auto": "none are looked for. Auto: trees don't mind extreme numbers, and cutting them may cut what matters",
    "None": "none are looked for",
    "ZScore": "numbers beyond three standard deviations from the mean",
    "IQR": "numbers beyond 1.5 interquartile ranges from the quartiles",
    "Clip": "numbers beyond the 0.5 % and 99.5 % quantiles",
    "IsolationForest": f"rows that an isolation forest parts from the others soonest, {100 * SHARE_OF_ROWS:g} %",
    "LocalOutlierFactor": f"rows that lie less densely than their neighbours, {100 * SHARE_OF_ROWS:g} %; at most "
    f"{MOST_NEIGHBOURS:,} training rows, evenly chosen, are neighbours",
}
_ACTIONS = {"Clip": "drawn in to the limit", "Drop": "training rows are left out", "Flag": "a column says so", "": ""}
_NOISE = {
    "Auto": "left as it is. Auto: a filter takes away rows or detail that a model may need",
    "None": "left as it is",
    "Smooth": f"numbers of training rows are the running median of {WINDOW} rows in the order of time",
    "LabelFilter": "training rows whose label a linear model, nearest neighbours and a random forest all contradict, "
    f"each fitted on at most {MOST_ROWS_FITTED:,} rows of the other folds, are left out",
}


def build_cleaning_page(record: CleaningRecord) -> str:
    """Return what `clean` did as one self-contained HTML page."""
    columns = record.columns
    gaps = [column for column in columns if column.missing]
    left_out = record.rows_before - record.rows
    dropped = [column for column in columns if column.is_dropped]
    return render_page(
        Header(
            "How the rows were cleaned",
            "What was missing, extreme or noisy, what became of it, and why?",
            {"Training rows": f"{record.rows_before:,}"},
        ),
        cards(
            Card("Rows to fit on", f"{record.rows:,}", f"{left_out:,} left out", "b" if left_out else "a"),
            Card("Columns with gaps", f"{len(gaps):,}", f"of {len(columns):,}"),
            Card("Columns left out", f"{len(dropped):,}", ", ".join(column.name for column in dropped)),
            Card("Extreme values", f"{sum(column.beyond for column in columns):,}", "beyond the limits"),
        ),
        section(
            "What was done",
            fact_table(
                {
                    f"Missing ({record.missing})": _MISSING[record.missing],
                    f"Outliers ({record.outliers})": "; ".join(
                        filter(None, (_OUTLIERS[record.outliers], _ACTIONS[record.outlier_action]))
                    ),
                    f"Noise ({record.noise})": _NOISE[record.noise],
                }
            ),
            note="All of it is learned from the training rows. Rows are left out of these only: a request is answered.",
        ),
        section(
            "Rows left out",
            *(
                paragraph(
                    f"{entry.rows:,} training rows ({percent(entry.rows / max(record.rows_before, 1))}) {entry.reason} "
                    f"and are left out ({entry.field}: {entry.choice})."
                )
                for entry in record.left_out
            ),
        ),
        section("Columns", figures(_gaps(gaps, record.rows_before)), _columns(columns, record.rows_before)),
    )


def _gaps(columns: list[CleanedColumn], rows: int) -> str:
    if not columns:
        return ""
    ordered = sorted(columns, key=lambda column: -column.missing)
    bars = [Bar(column.name, (column.missing,), percent(column.missing / max(rows, 1))) for column in ordered]
    alt = f"Share of missing values of {len(bars)} columns, at most {bars[0].text}"
    return bar_chart("Missing in the training rows", bars, [("a", "missing")], alt=alt)


def _columns(columns: tuple[CleanedColumn, ...], rows: int) -> str:
    names = ("Column", "Type", "Missing", "A missing value becomes", "Usual from", "to", "Beyond")
    return table(
        names,
        [
            (
                name(column.name),
                plain(column.type),
                percent(column.missing / max(rows, 1)),
                "the column is left out"
                if column.is_dropped
                else plain(column.filling + (", with a flag" if column.is_flagged else "")),
                *([figure(limit) for limit in column.limits] or ["", ""]),
                f"{column.beyond:,}" if column.limits else "",
            )
            for column in columns
        ],
        numbers=(2, 4, 5, 6),
    )


def build_transformation_page(record: TransformationRecord) -> str:
    """Return how `transform` makes the matrix as one self-contained HTML page."""
    inputs = sum(len(part.inputs) for part in record.parts)
    return render_page(
        Header(
            "How columns become numbers",
            "What does an algorithm see of each column, and why so?",
            {"Columns of the matrix": f"{record.columns:,}"},
        ),
        cards(
            Card("Columns in", f"{inputs:,}", "with flags of cleaning"),
            Card("Columns of the matrix", f"{record.columns:,}", "", "a"),
        ),
        section(
            "Encoding and scaling",
            table(
                ("Columns", "Become", "Why", "Columns of the matrix"),
                [
                    (
                        ", ".join(map(name, part.inputs)),
                        plain(part.becomes),
                        plain(part.why),
                        f"{part.columns:,}",
                    )
                    for part in record.parts
                ],
                numbers=(3,),
            ),
            note="Everything is learned from the training rows.",
        ),
        section("Columns left out or combined", *map(paragraph, record.notes)),
    )
