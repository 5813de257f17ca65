"""What is fitted is fitted on the training rows: other validation rows, however odd, leave every byte as it was."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from kfp.dsl import Artifact, Dataset, Model

from components.clean import component as clean
from components.plan import component as plan
from components.resample import component as resample
from components.train import component as train
from components.transform import component as transform
from driftloop.spec import DataSpec, Task
from driftloop.stages.split import split
from driftloop.stages.tablefile import write_table
from driftloop.stages.validate import validate

ROWS = 400


def make_table() -> pa.Table:
    random = np.random.default_rng(0)
    number = random.normal(size=ROWS)
    y = number + random.normal(size=ROWS) > 1
    number[::9] = np.nan
    return pa.table(
        {
            "number": number,
            "weight": random.normal(size=ROWS),
            "city": [f"city {index}" for index in random.integers(30, size=ROWS)],
            "note": [" ".join(random.choice(["late", "fine", "again", "never", "broken"], 7)) for _ in range(ROWS)],
            "y": y,
        }
    )


def odd(table: pa.Table) -> pa.Table:
    """Rows as no training row is: extreme numbers, a city of their own, the other class."""
    return pa.table(
        {
            "number": [1e6] * table.num_rows,
            "weight": [None] * table.num_rows,
            "note": ["words of another kind"] * table.num_rows,
            "city": ["elsewhere"] * table.num_rows,
            "y": [not label for label in table.column("y").to_pylist()],
        }
    ).select(table.column_names)


PREPARATIONS = [
    {},
    {"missing": "KNN", "outliers": "LocalOutlierFactor", "normalization": "Quantile", "encoding": "Ordinal",
     "selection": "MutualInformation", "extraction": "PCA"},
    {"missing": "Iterative", "outliers": "IsolationForest", "outlierAction": "Drop", "normalization": "YeoJohnson",
     "encoding": "Target", "selection": "ANOVA", "extraction": "TruncatedSVD", "text": "TFIDFSVD"},
    {"missing": "DropRows", "noise": "LabelFilter", "outliers": "IQR", "scaling": "Robust", "encoding": "OneHot",
     "selection": "VarianceThreshold"},
    {"missing": "DropColumns", "outliers": "ZScore", "outlierAction": "Flag", "scaling": "MinMax", "text": "TFIDF"},
]  # fmt: skip


def fit(
    folder: Path, train_rows: pa.Table, validation_rows: pa.Table, schema: str, preparation: dict
) -> dict[str, bytes]:
    """Run the stages that fit; return what they fitted."""
    folder.mkdir()
    path = {name: str(folder / name) for name in ("train", "validation", "schema")}
    write_table(train_rows, path["train"])
    write_table(validation_rows, path["validation"])
    Path(path["schema"]).write_text(schema)
    rows = {name: Dataset(uri=path[name]) for name in ("train", "validation")}
    common = {"schema": Artifact(uri=path["schema"]), "code_digest": "code"}
    cleaner = Artifact(uri=str(folder / "cleaner"))
    cleaned = {f"cleaned_{name}": Dataset(uri=str(folder / f"cleaned_{name}")) for name in rows}
    report = Artifact(uri=str(folder / "report"))
    clean.clean.python_func(**rows, **cleaned, **common, preparation={}, training={}, cleaner=cleaner, report=report)
    transformer, matrices = Model(uri=str(folder / "transformer")), Dataset(uri=str(folder / "matrices"))
    transform.transform.python_func(
        **rows,
        **cleaned,
        **common,
        preparation={},
        training={},
        transformer=transformer,
        matrices=matrices,
        report=report,
    )
    sampling = Dataset(uri=str(folder / "sampling"))
    resample.resample.python_func(
        **common,
        matrices=matrices,
        cleaned_train=cleaned["cleaned_train"],
        transformer=transformer,
        task="Classification",
        preparation={"sampling": "RandomOverSampler"},
        training={},
        sampling=sampling,
        report=report,
    )
    planned, training = Artifact(uri=str(folder / "plan")), {"algorithms": ["Linear"]}
    plan.plan.python_func(
        **common,
        algorithms=["Linear"],
        matrices=matrices,
        preparation={},
        training=training,
        max_trials=1,  # more would choose by the validation rows, which is what they are for
        champion_uri="",
        plan=planned,
    )
    train.train.python_func(
        **common,
        algorithm="Linear",
        plan=planned,
        matrices=matrices,
        sampling=sampling,
        cleaner=cleaner,
        transformer=transformer,
        loop="loop",
        metric="accuracy",
        training=training,
        candidate=Model(uri=str(folder / "candidate")),
        answers=Dataset(uri=str(folder / "answers")),
    )
    return {name: (folder / name).read_bytes() for name in ("cleaner", "transformer", "sampling", "candidate")}


@pytest.mark.parametrize("preparation", PREPARATIONS, ids=lambda choices: "-".join(choices.values()) or "Auto")
def test_fitted_state_depends_on_training_rows_and_not_on_validation_rows(preparation, tmp_path):
    spec = DataSpec(uri="x", target_column="y")
    validated = validate(make_table(), task=Task.CLASSIFICATION, data=spec)
    parts = split(validated.table, validated.schema, seed=0)
    schema = json.dumps(validated.schema.to_dict())
    fitted = fit(tmp_path / "first", parts.train, parts.validation, schema, preparation)
    assert fit(tmp_path / "second", parts.train, odd(parts.validation), schema, preparation) == fitted
    other = fit(tmp_path / "other", parts.train.slice(20), parts.validation, schema, preparation)
    assert [name for name in fitted if other[name] == fitted[name]] == []
