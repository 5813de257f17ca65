"""Kubeflow face of the stage `train`."""

from kfp.dsl import Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def train(
    algorithm: str,
    plan: Input[Artifact],
    matrices: Input[Dataset],
    sampling: Input[Dataset],
    cleaner: Input[Artifact],
    transformer: Input[Model],
    schema: Input[Artifact],
    loop: str,
    metric: str,
    training: dict,
    candidate: Output[Model],
    answers: Output[Dataset],
    code_digest: str,
) -> None:
    """Tune and fit one candidate within its share of the budget.

    Args:
        algorithm: Algorithm of this candidate.
        plan: What each candidate may spend, and where it begins.
        matrices: Training rows to fit on, validation rows to tune on.
        sampling: How the training rows are drawn and weighted.
        cleaner: First link of the chain.
        transformer: Second link of the chain.
        schema: What the columns are.
        loop: Name of the ModelLoop; names the shared study.
        metric: Metric to tune for.
        training: Group `training` of the ModelLoop.
        candidate: The whole fitted chain; its metadata tell how it did.
        answers: Its answers to the rows that trials were judged on.
        code_digest: Identity of the driftloop code.
    """
    from pathlib import Path

    from driftloop.algorithms import get_algorithm
    from driftloop.algorithms.tasks import set_up
    from driftloop.spec import DataSchema, TrainingSpec
    from driftloop.stages.clean import Cleaner
    from driftloop.stages.matrices import Matrices
    from driftloop.stages.modelfile import load_model, save_model
    from driftloop.stages.records import SamplingRecord
    from driftloop.stages.resample import Sampling
    from driftloop.stages.searchplan import Plan
    from driftloop.stages.select import Judgement
    from driftloop.stages.train import Budget, Start, build_chain, fit_candidate, shared_study

    spec = TrainingSpec.model_validate(training)
    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    decided = Plan.model_validate_json(Path(plan.path).read_text())
    planned = decided.candidate(algorithm)
    fitted = fit_candidate(
        Matrices.load(Path(matrices.path)),
        Sampling.load(Path(sampling.path)),
        SamplingRecord.from_metadata(sampling.metadata),
        read_schema,
        algorithm=set_up(get_algorithm(algorithm), spec, metric, read_schema),
        metric=metric,
        budget=Budget.of(planned),
        seed=spec.random_state,
        start=Start.of(planned, decided),
        study=shared_study(spec, loop, planned, metric, Path(matrices.path)),
    )
    chain = build_chain(Cleaner.load(Path(cleaner.path)), load_model(Path(transformer.path)), fitted.estimator)
    save_model(chain, Path(candidate.path))
    candidate.metadata.update(fitted.record.to_metadata())
    Judgement(fitted.truth, fitted.answers).save(Path(answers.path))
