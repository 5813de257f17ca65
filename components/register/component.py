"""Kubeflow face of the stage `register`."""

from kfp.dsl import Artifact, Input, Output

from components.stage import stage


@stage
def register(
    loop: str,
    run_key: str,
    run_id: str,
    claimant: str,
    result_uri: str,
    evaluation: Input[Artifact],
    against_champion: Input[Artifact],
    explanation: Input[Artifact],
    assessment: Input[Artifact],
    report: Input[Artifact],
    latency_seconds: float,
    task: str,
    problem: dict,
    acceptance: dict,
    bento_tag: str,
    bento_uri: str,
    bento_digest: str,
    data_digest: str,
    runtime_image: str,
    result: Output[Artifact],
    code_digest: str,
) -> None:
    """Hold the candidate against the acceptance rules and write the run's one result.

    Args:
        loop: Name of the ModelLoop.
        run_key: Key of the run.
        run_id: Id of this pipeline run.
        claimant: Who claimed the run key in its place, if it is not empty.
        result_uri: Where the result is written, once.
        evaluation: What the test rows say.
        against_champion: How the model did against the champion.
        explanation: Importance of every column.
        assessment: Metrics by group of people.
        report: What validation found; tells how many rows there were.
        latency_seconds: Seconds that a one-row prediction takes.
        task: Classification or Regression.
        problem: Group `problem` of the ModelLoop.
        acceptance: Group `acceptance` of the ModelLoop.
        bento_tag: Tag of the Bento.
        bento_uri: Address of the Bento.
        bento_digest: Digest of the Bento's content.
        data_digest: Digest of the data.
        runtime_image: Image of the run.
        result: The result, for the run's page.
        code_digest: Identity of the driftloop code.
    """
    from pathlib import Path

    from driftloop.adapters.objectstore import FsspecStore
    from driftloop.spec import AcceptanceSpec
    from driftloop.stages.parameters import read_problem_group
    from driftloop.stages.records import Assessment, ChampionComparison, Evaluation, Explanation, ValidationReport
    from driftloop.stages.register import Findings, RunFacts, build_result, write_result

    record = build_result(
        Findings(
            Evaluation.model_validate_json(Path(evaluation.path).read_text()),
            ChampionComparison.model_validate_json(Path(against_champion.path).read_text()),
            Explanation.model_validate_json(Path(explanation.path).read_text()),
            Assessment.model_validate_json(Path(assessment.path).read_text()),
            latency_seconds=latency_seconds,
        ),
        AcceptanceSpec.model_validate(acceptance),
        RunFacts(
            loop=loop,
            run_key=run_key,
            run_id=claimant or run_id,
            bento_tag=bento_tag,
            bento_uri=bento_uri,
            bento_digest=bento_digest,
            data_digest=data_digest,
            rows=ValidationReport.model_validate_json(Path(report.path).read_text()).rows,
            runtime_image=runtime_image,
        ),
        threshold=read_problem_group(problem, task=task).metric.threshold,
    )
    write_result(FsspecStore(), result_uri, record)
    Path(result.path).write_text(record.model_dump_json(by_alias=True, indent=2))
