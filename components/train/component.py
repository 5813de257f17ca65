"""Kubeflow face of the stage `train`."""

from kfp.dsl import Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def train(
    algorithm: str,
    matrices: Input[Dataset],
    sampling: Input[Dataset],
    cleaner: Input[Artifact],
    transformer: Input[Model],
    schema: Input[Artifact],
    metric: str,
    max_trials: int,
    training: dict,
    candidate: Output[Model],
    code_digest: str,
) -> None:
    """Tune and fit one candidate within its share of the budget.

    Args:
        algorithm: Algorithm of this candidate.
        matrices: Training rows to fit on, validation rows to tune on.
        sampling: How the training rows are drawn and weighted.
        cleaner: First link of the chain.
        transformer: Second link of the chain.
        schema: What the columns are.
        metric: Metric to tune for.
        max_trials: Trials of all candidates together.
        training: Group `training` of the ModelLoop; its algorithms share the budget where they are named.
        candidate: The whole fitted chain; its metadata tell how it did.
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
    from driftloop.stages.train import build_chain, fit_candidate, share_budget

    spec = TrainingSpec.model_validate(training)
    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    sharing = spec.algorithms if algorithm in spec.algorithms else (algorithm,)
    fitted = fit_candidate(
        Matrices.load(Path(matrices.path)),
        Sampling.load(Path(sampling.path)),
        SamplingRecord.from_metadata(sampling.metadata),
        read_schema,
        algorithm=set_up(get_algorithm(algorithm), spec, metric, read_schema),
        metric=metric,
        budget=share_budget(sharing, algorithm, trials=max_trials, duration=spec.timeout),
        seed=spec.random_state,
    )
    chain = build_chain(Cleaner.load(Path(cleaner.path)), load_model(Path(transformer.path)), fitted.estimator)
    save_model(chain, Path(candidate.path))
    candidate.metadata.update(fitted.record.to_metadata())
