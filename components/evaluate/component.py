"""Kubeflow face of the stage `evaluate`."""

from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from components.stage import stage


@stage
def evaluate(
    loop: str,
    model: Input[Model],
    rows: Input[Dataset],
    train: Input[Dataset],
    validation: Input[Dataset],
    matrices: Input[Dataset],
    test: Input[Dataset],
    schema: Input[Artifact],
    metric: str,
    trained_through: str,
    champion_uri: str,
    problem: dict,
    preparation: dict,
    training: dict,
    monitoring: dict,
    evaluation: Output[Artifact],
    against_champion: Output[Artifact],
    answered_schema: Output[Artifact],
    baseline: Output[Artifact],
    sample: Output[Artifact],
    metrics: Output[Metrics],
    classification: Output[ClassificationMetrics],
    report: Output[HTML],
    code_digest: str,
) -> None:
    """Judge the selected model on the test rows, against the champion and simpler ways to answer, and examine it.

    Args:
        loop: Name of the ModelLoop.
        model: The selected chain.
        rows: All rows of the run, to describe what is usual.
        train: Training rows; like the next two not read for a model made elsewhere.
        validation: Rows that it was tuned on.
        matrices: Both as they were fitted and tuned on.
        test: Rows that nothing was fitted or tuned on.
        schema: What the columns are.
        metric: Metric to compare by.
        trained_through: Newest time in the training rows (ISO 8601), or empty.
        champion_uri: Bento of the model that serves now; empty for a first model.
        problem: Group `problem` of the ModelLoop; what outcomes are worth.
        preparation: Group `preparation` of the ModelLoop, to fit the like again.
        training: Group `training` of the ModelLoop.
        monitoring: Group `monitoring` of the ModelLoop.
        evaluation: What the test rows say.
        against_champion: How the model did against the champion.
        answered_schema: What the columns are, and what the model answers.
        baseline: What live traffic will be compared with.
        sample: Rows and the answers expected, to verify the Bento with.
        metrics: All metrics, for the run's page.
        classification: Confusion matrix and ROC curve, for the run's page.
        report: All of it as a page.
        code_digest: Identity of the driftloop code.
    """
    import json
    from pathlib import Path

    from driftloop.adapters.bento import fetched
    from driftloop.spec import DataSchema, MonitoringSpec, PreparationSpec, TrainingSpec
    from driftloop.stages.evaluate import answered_schema as complete
    from driftloop.stages.evaluate import describe, evaluate, load_champion
    from driftloop.stages.evaluationpage import build_evaluation_page
    from driftloop.stages.examination import Material, examine
    from driftloop.stages.matrices import Matrices
    from driftloop.stages.modelfile import load_model
    from driftloop.stages.parameters import read_problem_group
    from driftloop.stages.predict import build_sample
    from driftloop.stages.records import CandidateRecord
    from driftloop.stages.tablefile import read_table

    chain, tested = load_model(Path(model.path)), read_table(test.path)
    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    record, seed = CandidateRecord.from_metadata(model.metadata), TrainingSpec.model_validate(training).random_state
    champion = None
    if champion_uri:
        with fetched(champion_uri) as content:
            champion = load_champion(content)
    judged = evaluate(
        chain,
        tested,
        read_schema,
        record=record,
        metric=metric,
        trained_through=trained_through,
        champion=champion,
        seed=seed,
    )
    judged = examine(
        chain,
        judged,
        tested,
        read_schema,
        Material(
            record,
            train=lambda: read_table(train.path),
            validation=lambda: read_table(validation.path),
            matrices=lambda: Matrices.load(Path(matrices.path)),
        ),
        problem=read_problem_group(problem, task=read_schema.task),
        preparation=PreparationSpec.model_validate(preparation),
        seed=seed,
    )
    told = complete(chain, read_schema)
    window = MonitoringSpec.model_validate(monitoring).window.duration
    for output, value in (
        (evaluation, judged.evaluation.to_dict()),
        (against_champion, judged.against_champion.to_dict()),
        (baseline, describe(judged, read_table(rows.path), tested, told, window=window).to_dict()),
        (answered_schema, told.to_dict()),
        (sample, build_sample(chain, tested.to_pandas(), read_schema)),
    ):
        Path(output.path).write_text(json.dumps(value))
    Path(report.path).write_text(build_evaluation_page(judged, read_schema, loop))
    # These two live in the metadata, but kfp.local takes an artifact without a file for lost and never caches the step.
    for output in (metrics, classification):
        Path(output.path).touch()
    for name, value in judged.evaluation.metrics.items():
        metrics.log_metric(name, value)
    if judged.confusion:
        classification.log_confusion_matrix(*judged.confusion)
    if judged.roc:
        classification.log_roc_curve(*judged.roc)
