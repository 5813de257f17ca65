"""Kubeflow face of the stage `plan`."""

from kfp.dsl import Artifact, Dataset, Input, Output

from components.stage import stage


@stage
def plan(
    algorithms: list,
    matrices: Input[Dataset],
    schema: Input[Artifact],
    preparation: dict,
    training: dict,
    max_trials: int,
    champion_uri: str,
    plan: Output[Artifact],
    code_digest: str,
) -> list:
    """Decide which algorithms are tried and why, with what part of the budget, from which start.

    Args:
        algorithms: Algorithms that may be tried.
        matrices: Training rows; only their number and the target are read.
        schema: What the columns are.
        preparation: Group `preparation` of the ModelLoop; whether numbers are scaled.
        training: Group `training` of the ModelLoop.
        max_trials: Trials of all candidates together.
        champion_uri: Bento of the model that serves now, whose trials are gone on from; empty for a first model.
        plan: Candidates with reasons, parts of the budget and first trials; what is left out, and why.
        code_digest: Identity of the driftloop code.

    Returns:
        Names of the algorithms that are tried.
    """
    from pathlib import Path

    from driftloop.adapters.bento import fetched
    from driftloop.spec import DataSchema, PreparationSpec, TrainingSpec
    from driftloop.stages.package import MODEL_FOLDER, TRAINING_FILE
    from driftloop.stages.plan import Wishes, read_shape
    from driftloop.stages.plan import plan as decide
    from driftloop.stages.records import Evaluation

    champion = None
    if champion_uri:
        with fetched(champion_uri) as content:
            champion = Evaluation.model_validate_json((content / MODEL_FOLDER / TRAINING_FILE).read_bytes())

    learned = DataSchema.model_validate_json(Path(schema.path).read_text()).task
    is_scaled = PreparationSpec.model_validate(preparation).scaling != "None"
    decided = decide(
        read_shape(Path(matrices.path), learned, is_scaled=is_scaled),
        Wishes(algorithms, TrainingSpec.model_validate(training), max_trials),
        champion,
    )
    Path(plan.path).write_text(decided.model_dump_json(by_alias=True))
    return [candidate.algorithm for candidate in decided.candidates]
