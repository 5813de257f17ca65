"""What `evaluate` finds out beyond the score: references, diagnosis, slices, robustness, value. It judges on test rows.

Each part is a module of its own; here they are gathered. What does not apply is left out: a model made elsewhere has no
training rows that are known, a regression no outcomes.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from driftloop.algorithms.tasks import answer
from driftloop.spec import DataSchema, PreparationSpec, ProblemSpec
from driftloop.spec.problem import SUPERVISED
from driftloop.stages.baselines import measure_references
from driftloop.stages.crossvalidation import FEW_TEST_ROWS, cross_validate
from driftloop.stages.diagnosis import diagnose, learning_curve
from driftloop.stages.evaluate import Judged
from driftloop.stages.judgements import CrossValidation, CurvePoint, Examination, Membership, Worth
from driftloop.stages.matrices import Matrices
from driftloop.stages.outcomes import measure_worth, value_matrix
from driftloop.stages.privacy import MOST_ROWS, measure_membership, parts_with_rows
from driftloop.stages.records import CandidateRecord
from driftloop.stages.refit import fit_and_answer, fit_estimator
from driftloop.stages.robustness import measure_robustness
from driftloop.stages.slices import find_slices
from driftloop.stages.table import encode_target, read_features


@dataclass(frozen=True)
class Material:
    """What the selected model was made of; each is read where it is needed, and never for a model made elsewhere."""

    record: CandidateRecord
    train: Callable[[], pa.Table]
    validation: Callable[[], pa.Table]
    matrices: Callable[[], Matrices]
    """The same rows prepared."""


def examine(
    chain: Any,
    judged: Judged,
    test: pa.Table,
    schema: DataSchema,
    material: Material,
    *,
    problem: ProblemSpec,
    preparation: PreparationSpec,
    seed: int,
) -> Judged:
    """Return what `evaluate` found, with the examination.

    Args:
        chain: the whole model, with its rule of decision.
        judged: outcome of `evaluate`.
        test: the test rows.
        schema: of those rows.
        material: what the model was made of.
        problem: what outcomes are worth.
        preparation: how rows were prepared, to fit the same again.
        seed: of every random choice.
    """
    found = Examination(parts_with_rows=parts_with_rows(chain))
    if schema.task not in SUPERVISED or not np.isfinite(judged.evaluation.score):
        return replace(judged, evaluation=judged.evaluation.model_copy(update={"examination": found}))
    evaluation, metric = judged.evaluation, judged.evaluation.metric
    frame = read_features(test, schema)
    columns = [name for name in test.column_names if name not in (schema.target.name, schema.time_column)]
    with _quietly():
        slices = find_slices(test, columns, judged.truth, judged.answers, metric=metric, seed=seed)
        robustness = measure_robustness(
            chain,
            frame,
            judged.truth,
            schema,
            metric=metric,
            seed=seed,
            takes_missing=not material.record.origin,
        )
        found = found.model_copy(update={"slices": slices, "robustness": robustness})
        diagnosis = ""
        if not material.record.origin:
            made = _Making(chain, judged, test, schema, material, preparation, seed)
            diagnosis, more = made.examine(frame, problem)
            found = found.model_copy(update=more)
    return replace(judged, evaluation=evaluation.model_copy(update={"diagnosis": diagnosis, "examination": found}))


@dataclass(frozen=True)
class _Making:
    """A model that was trained here: its rows are known, and its like can be fitted again."""

    chain: Any
    judged: Judged
    test: pa.Table
    schema: DataSchema
    material: Material
    preparation: PreparationSpec
    seed: int

    def examine(self, frame: Any, problem: ProblemSpec) -> tuple[str, dict[str, Any]]:
        """Return the verdict of the diagnosis, and the parts of the examination that need training rows."""
        matrices, evaluation = self.material.matrices(), self.judged.evaluation
        train = (matrices.train_x, matrices.train_y)
        prepared = frame
        for _, link in self.chain.steps[:-1]:
            prepared = link.transform(prepared)
        references = measure_references(
            evaluation.algorithm,
            train,
            np.asarray(prepared),
            self.judged.truth,
            self.judged.answers,
            schema=self.schema,
            metric=evaluation.metric,
            seed=self.seed,
        )
        verdict, diagnosis = diagnose(
            evaluation.score,
            evaluation.standard_error,
            evaluation.train_score,
            references,
            self._curve(matrices),
            metric=evaluation.metric,
        )
        found = {
            "references": references,
            "diagnosis": diagnosis,
            "cross_validation": self._cross_validation(),
            "membership": self._membership(matrices),
            "worth": self._worth(matrices, problem),
        }
        return verdict, found

    def _worth(self, matrices: Matrices, problem: ProblemSpec) -> Worth | None:
        if not problem.outcome_values:
            return None
        train = encode_target(matrices.train_y, self.schema)
        matrix = value_matrix(problem.outcome_values, self.schema)
        return measure_worth(self.judged.truth, self.judged.answers, train, matrix, seed=self.seed)

    def _curve(self, matrices: Matrices) -> tuple[CurvePoint, ...]:
        record, evaluation = self.material.record, self.judged.evaluation
        last = None
        if evaluation.train_score is not None and evaluation.validation_score is not None:
            last = CurvePoint(
                rows=len(matrices.train_y),
                train_score=evaluation.train_score,
                validation_score=evaluation.validation_score,
            )
        return learning_curve(
            lambda x, y: fit_estimator(
                record, x, y, self.schema, self.preparation, columns=matrices.columns, seed=self.seed
            ),
            (matrices.train_x, matrices.train_y),
            (matrices.validation_x, matrices.validation_y),
            self.schema,
            metric=evaluation.metric,
            last=last,
            seed=self.seed,
        )

    def _cross_validation(self) -> CrossValidation | None:
        if self.test.num_rows >= FEW_TEST_ROWS:
            return None
        record = self.material.record
        return cross_validate(
            pa.concat_tables([self.material.train(), self.material.validation()]),
            self.schema,
            lambda fitted, judged: fit_and_answer(
                record, fitted, judged, self.schema, self.preparation, seed=self.seed
            ),
            metric=self.judged.evaluation.metric,
            seed=self.seed,
        )

    def _membership(self, matrices: Matrices) -> Membership:
        random = np.random.default_rng(self.seed)
        chosen = np.sort(random.permutation(len(matrices.train_y))[:MOST_ROWS])
        answers = answer(self.chain.steps[-1][1], matrices.train_x[chosen], self.schema.task)
        truth = encode_target(matrices.train_y, self.schema)[chosen]
        return measure_membership(truth, answers, self.judged.truth, self.judged.answers)


@contextmanager
def _quietly() -> Iterator[None]:
    """Fit on one thread, and without the warnings of fits that end early on purpose."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(failed to converge|hasn't converged)")
        yield
