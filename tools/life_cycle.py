"""docs/life-cycle.md: the work of an ML engineer in its order, and what of the ModelLoop does each part of it.

Made from the types, the catalogue and the components; only order, headings and reports are said here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from driftloop.algorithms.catalogue import CATALOGUE
from driftloop.cli.explanation import METRIC_REASONS
from driftloop.spec import METRICS_BY_TASK
from driftloop.spec.reference import FieldReference, field_reference

STATUS, EXPLAIN, DRIFT = "`driftloop status`", "`driftloop explain`", "drift report"
_METRIC = "spec.problem.metric.name"
_ALGORITHMS = "spec.training.algorithms"


@dataclass(frozen=True)
class Step:
    """One part of the work."""

    title: str
    japanese: str
    components: tuple[str, ...]
    """Folders below `components/`; empty: the controller, the server or the monitor does it."""
    fields: tuple[str, ...]
    """Paths below `spec`, of fields or groups; of two that hold a field, the longer counts."""
    report: str
    """Where people see what was done."""


STEPS = (
    Step("Problem definition", "問題設定", (), ("problem", "maturity"), "page `evaluate`, model card"),
    Step("Success and value", "成功基準と価値", ("adjust", "evaluate", "feasibility"),
         ("problem.outcomeValues", "problem.successCriteria"), "page `evaluate`, `driftloop status`"),
    Step("Data collection", "データ収集", ("snapshot", "collect"), ("data",), "page `validate`, model card"),
    Step("Data validation", "データ検証", ("validate", "split"), ("data.minRows", "data.personal"), "page `validate`"),
    Step("Cleaning", "データクレンジング", ("clean",),
         ("preparation.missing", "preparation.missingConstant", "preparation.noise", "preparation.outliers",
          "preparation.outlierAction"), "page `clean`"),
    Step("Transformation", "データ変換", ("transform",), ("preparation",), "page `transform`"),
    Step("Sampling and augmentation", "サンプリングとデータ拡張", ("resample",),
         ("preparation.sampling", "preparation.augmentation"), "page `resample`"),
    Step("Algorithm selection", "アルゴリズム選択", ("plan", "train", "select"),
         ("training.algorithms", "training.effort"), "page `select`"),
    Step("Training and tuning", "学習とチューニング", ("train",), ("training",), "page `select`"),
    Step("Models made elsewhere", "既存モデルの導入", ("adopt",), ("model",), "page `evaluate`"),
    Step("Evaluation", "評価", ("evaluate", "explain"), ("acceptance",), "pages `evaluate` and `explain`"),
    Step("Fairness and privacy", "公平性とプライバシー", ("adjust", "assess"),
         ("acceptance.fairness", "data.sensitiveColumns"), "page `assess`, model card"),
    Step("Packaging and running", "パッケージ化と実行", ("package", "verify", "register"), ("pipeline",), STATUS),
    Step("Deployment", "デプロイ", (), ("serving",), STATUS),
    Step("Monitoring", "監視", (), ("monitoring",), DRIFT),
    Step("Improvement", "改善", ("remind",), ("retraining", "promotion", "suspend"), "`driftloop why`, timeline"),
    Step("Governance and risk", "ガバナンスとリスク", ("package",),
         ("governance", "data.provenance", "deletionPolicy"), "model card"),
)  # fmt: skip


def build_markdown() -> str:
    """Return the page."""
    lines = [
        "<!-- Generated from the code by `make generate`. -->",
        "",
        "# Life cycle",
        "",
        "What an ML engineer does, in that order, and what does it here: every option with the field of the ModelLoop",
        "that chooses it, the component that carries it out, and the report that shows it. `Auto` is everywhere the",
        "default; what it decided, and why, stands in the report. Defaults: [modelloop.md](modelloop.md).",
    ]
    for step in STEPS:
        does = ", ".join(f"[`{name}`](../components/{name}/README.md)" for name in step.components)
        lines += ["", f"## {step.title} · {step.japanese}", ""]
        lines += [
            f"Component: {does or 'none; the controller, the server and the monitor do it'}. Shown in: {step.report}."
        ]
        lines += ["", "| ModelLoop field | option | meaning |", "|---|---|---|"]
        lines += [_row(*row) for field in fields_of(step) for row in _options(field)]
    return "\n".join(lines) + "\n"


def fields_of(step: Step) -> list[FieldReference]:
    """Return the fields of a step, groups left out, in the order of the reference."""
    return [field for field in field_reference().values() if _step_of(field.path) is step and not _is_group(field)]


def _step_of(path: str) -> Step | None:
    """Return the step with the longest path that holds the field; None for what says no option, such as names."""
    held = [
        (len(prefix), step)
        for step in STEPS
        for prefix in (f"spec.{below}" for below in step.fields)
        if path == prefix or path.startswith(f"{prefix}.")
    ]
    return max(held, key=lambda pair: pair[0])[1] if held else None


def _is_group(field: FieldReference) -> bool:
    return field.type in ("group", "list of group") or any(
        path.startswith(f"{field.path}.") for path in field_reference()
    )


def _options(field: FieldReference) -> Iterator[tuple[str, str, str]]:
    """Yield path, option and meaning; one row without options for a field that has none."""
    name = field.path.removeprefix("spec.")
    if field.path == _METRIC:
        for task, metrics in METRICS_BY_TASK.items():
            for metric in metrics:
                yield name, f"`{metric}` ({task})", METRIC_REASONS[metric]
    elif field.path == _ALGORITHMS:
        yield name, "`Auto`", meanings(field.description, field.choices)["Auto"]
        for algorithm in CATALOGUE:
            yield name, f"`{algorithm.name}` ({', '.join(sorted(algorithm.tasks))})", algorithm.reason
    elif field.choices:
        for choice, meaning in meanings(field.description, field.choices).items():
            yield name, f"`{choice}`", meaning or ("not at all." if choice == "None" else field.description)
    else:
        yield name, field.type, field.description


def meanings(description: str, choices: Sequence[str]) -> dict[str, str]:
    """Return what a description says of each choice: `A, B: words.` says the same of both; nothing is empty.

    >>> meanings("Filling. Mean, Median: that of the rows. Auto: the median.", ("Auto", "Mean", "Median", "None"))
    {'Auto': 'the median.', 'Mean': 'that of the rows.', 'Median': 'that of the rows.', 'None': ''}
    """
    found = dict.fromkeys(choices, "")
    names = "|".join(re.escape(choice) for choice in sorted(choices, key=len, reverse=True))
    marks = list(re.finditer(rf"(?<![\w`])((?:{names})(?:(?:, | and | or )(?:{names}))*): ", description))
    ends = [mark.start() for mark in marks[1:]] + [len(description)]
    for mark, end in zip(marks, ends[: len(marks)], strict=True):
        words = description[mark.end() : end].strip()
        for name in re.split(", | and | or ", mark.group(1)):
            found[name] = words
    return found


def _row(*cells: str) -> str:
    path, *rest = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join([f'`{path}`', *rest])} |"
