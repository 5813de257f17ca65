"""The model file: a fitted scikit-learn chain without pickle, written once by `train`, read by all that follow.

A file holds types from a short trusted list and nothing else; equal models give equal bytes. Loading one runs no code
of the file's own; whether the file is the right one is the manifest's matter (`stages.package`).
"""

import io
import json
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from driftloop.errors import InvalidInputError

TRUSTED_TYPES = (
    "driftloop.algorithms.anomalymodel.AnomalyModel",
    "driftloop.algorithms.bandit.BanditPolicy",
    "driftloop.algorithms.blend.Blend",
    "driftloop.algorithms.clustermodel.Centres",
    "driftloop.algorithms.clustermodel.ClusterModel",
    "driftloop.algorithms.clustermodel.CoreRows",
    "driftloop.algorithms.clustermodel.Mixture",
    "driftloop.algorithms.scaledtarget.ScaledTarget",
    "driftloop.stages.clean.Cleaner",
    "driftloop.stages.datenumbers.date_cycles",
    "driftloop.stages.datenumbers.date_parts",
    "driftloop.stages.filling.RowImputer",
    "driftloop.stages.decisionlinks.FairDecision",
    "driftloop.stages.decisionlinks.ValueDecision",
    "driftloop.stages.foreigninputs.ForeignInputs",
    "driftloop.stages.outliers.RowDetector",
    "driftloop.stages.reduction.ReducingTransformer",
    "driftloop.stages.resample.PriorCorrection",
    "driftloop.stages.transform.date_parts",
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.impute._iterative._ImputerTriplet",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.model_selection._split.KFold",
    "sklearn.model_selection._split.StratifiedKFold",
    "sklearn.model_selection._split.TimeSeriesSplit",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
)
"""What the algorithms of the catalogue, and common models made elsewhere, need beyond skops' own defaults
(scikit-learn's public estimators, numpy)."""

_HEADER = 128
"""Bytes in which a NumPy file says what it holds."""


class UntrustedModelError(InvalidInputError):
    """A model file holds types that are not on the trusted list."""

    def __init__(self, path: Path, types: list[str]) -> None:
        super().__init__(
            f"The model file '{path}' must hold trusted types only. Got {', '.join(types)}. "
            "Build the chain from scikit-learn's estimators, or load only files written by driftloop."
        )


class UnreadableModelError(InvalidInputError):
    """A file is no model file."""

    def __init__(self, path: Path, reason: Exception) -> None:
        super().__init__(
            f"The file '{path}' must be a model file written by driftloop. It can't be read: {reason}. Train again."
        )


def save_model(model: Any, path: Path) -> None:
    """Write a fitted estimator or chain to `path`; equal models give equal bytes.

    Raises:
        UntrustedModelError: a part of the chain could not be loaded again. Nothing is written.
    """
    import skops.io

    data = skops.io.dumps(model)
    if unknown := _untrusted(data):
        raise UntrustedModelError(path, unknown)
    path.write_bytes(_canonical(data))


def load_model(path: Path) -> Any:
    """Read a fitted estimator or chain written by `save_model`.

    Raises:
        UntrustedModelError: the file names a type outside the trusted list; nothing of it was constructed.
        UnreadableModelError: the file is damaged or of another kind.
        OSError: the file can't be opened.
    """
    import skops.io

    data = path.read_bytes()
    try:
        if unknown := _untrusted(data):
            raise UntrustedModelError(path, unknown)
        return skops.io.loads(data, trusted=TRUSTED_TYPES)
    except (BadZipFile, KeyError, TypeError, ValueError, AttributeError, ImportError, EOFError) as error:
        raise UnreadableModelError(path, error) from error


def _untrusted(data: bytes) -> list[str]:
    import skops.io

    return sorted(set(skops.io.get_untrusted_types(data=data)) - set(TRUSTED_TYPES))


def _canonical(data: bytes) -> bytes:
    """Return a skops archive without the times and memory addresses that differ between equal models.

    Equal plain values count as one, because whether they are one object says nothing of the model.
    """
    ids: dict[int | str, int] = {}
    members: dict[str, str] = {}

    def renumber(node: dict[str, Any]) -> dict[str, Any]:
        if isinstance(node.get("__id__"), int):
            identity = node["content"] if node.get("__loader__") == "JsonNode" else node["__id__"]
            node["__id__"] = ids.setdefault(identity, len(ids))
        if isinstance(file := node.get("file"), str):
            node["file"] = members.setdefault(file, f"{len(members)}{PurePosixPath(file).suffix}")
        return node

    target = io.BytesIO()
    with ZipFile(io.BytesIO(data)) as source, ZipFile(target, "w") as archive:
        schema = json.loads(source.read("schema.json"), object_hook=renumber)
        for old, new in members.items():
            archive.writestr(ZipInfo(new), _without_padding(source.read(old)))
        archive.writestr(ZipInfo("schema.json"), json.dumps(schema))
    return target.getvalue()


def _without_padding(member: bytes) -> bytes:
    """Return an array of records, such as a tree's nodes, with zeros between the fields instead of what lay there."""
    if b"'descr': [" not in member[:_HEADER]:
        return member
    import numpy as np

    records = np.load(io.BytesIO(member), allow_pickle=False)
    clean = np.zeros(records.shape, records.dtype)
    for name in records.dtype.names:
        clean[name] = records[name]
    target = io.BytesIO()
    np.save(target, clean, allow_pickle=False)
    return target.getvalue()
