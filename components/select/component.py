"""Kubeflow face of the stage `select`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def select(
    candidates: Input[list[Model]],
    answers: Input[list[Dataset]],
    plan: Input[Artifact],
    task: str,
    metric: str,
    training: dict,
    model: Output[Model],
    report: Output[HTML],
    code_digest: str,
) -> None:
    """Pick the candidate that did best on the validation rows, or blend two or three.

    Args:
        candidates: One model per algorithm, its metadata telling how it did.
        answers: Its answers to the rows that it was judged on.
        plan: Why each was tried, and what was not.
        task: Kind of problem; answers of classes and numbers can be blended.
        metric: Metric by which they are compared.
        training: Group `training` of the ModelLoop.
        model: The best.
        report: All candidates, and what was left out, as a page.
        code_digest: Identity of the driftloop code.
    """
    import shutil
    from pathlib import Path

    from driftloop.spec import SUPERVISED, TrainingSpec
    from driftloop.stages.records import CandidateRecord, Plan
    from driftloop.stages.select import Judgement, blend_chains, select
    from driftloop.stages.selectionpage import build_selection_page

    spec = TrainingSpec.model_validate(training)
    records = [CandidateRecord.from_metadata(candidate.metadata) for candidate in candidates]
    chosen = select(
        records,
        [Judgement.load(Path(answer.path)) for answer in answers],
        metric=metric,
        may_blend=spec.blend == "Auto" and task in SUPERVISED,
        seed=spec.random_state,
    )
    if len(chosen.parts) == 1:
        shutil.copyfile(candidates[chosen.parts[0]].path, model.path)
    else:
        from driftloop.stages.modelfile import load_model, save_model

        chains = [load_model(Path(candidates[part].path)) for part in chosen.parts]
        save_model(blend_chains(chains, chosen.weights), Path(model.path))
    model.metadata.update(chosen.record.to_metadata())
    planned = Plan.model_validate_json(Path(plan.path).read_text())
    Path(report.path).write_text(build_selection_page(planned, records, chosen, metric))
