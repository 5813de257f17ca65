"""Kubeflow face of the stage `adjust`."""

from kfp.dsl import Artifact, Dataset, Input, Model, Output

from components.stage import stage


@stage
def adjust(
    selected: Input[Model],
    train: Input[Dataset],
    matrices: Input[Dataset],
    schema: Input[Artifact],
    task: str,
    problem: dict,
    data_uri: str,
    data: dict,
    acceptance: dict,
    preparation: dict,
    training: dict,
    champion_uri: str,
    model: Output[Model],
    code_digest: str,
) -> None:
    """Set how the selected model answers: by what outcomes are worth, more alike for groups, clusters as before.

    Args:
        selected: The selected chain.
        train: Training rows, with their sensitive columns.
        matrices: The same as they were fitted on; not read for a model made elsewhere.
        schema: What the columns are.
        task: Kind of problem.
        problem: Group `problem` of the ModelLoop; says what outcomes are worth.
        data_uri: Where the rows came from.
        data: Group `data` of the ModelLoop; names the sensitive columns.
        acceptance: Group `acceptance` of the ModelLoop; says how a difference between groups is made smaller.
        preparation: Group `preparation` of the ModelLoop; how classes are balanced.
        training: Group `training` of the ModelLoop; its random state.
        champion_uri: Bento of the model that serves now, whose numbers clusters keep; empty for a first model.
        model: The chain with its rule of decision; as it was where none is asked for.
        code_digest: Identity of the driftloop code.
    """
    import shutil
    from pathlib import Path

    from driftloop.adapters.bento import fetched
    from driftloop.spec import AcceptanceSpec, DataSchema, PreparationSpec, Task, TrainingSpec
    from driftloop.stages.adjust import adjust, is_needed
    from driftloop.stages.matrices import Matrices
    from driftloop.stages.modelfile import load_model, save_model
    from driftloop.stages.parameters import read_data_group, read_problem_group
    from driftloop.stages.records import CandidateRecord
    from driftloop.stages.tablefile import read_table

    goal, rules = read_problem_group(problem, task=task), AcceptanceSpec.model_validate(acceptance)
    record = CandidateRecord.from_metadata(selected.metadata)
    read_schema = DataSchema.model_validate_json(Path(schema.path).read_text())
    if champion_uri and goal.task is Task.CLUSTERING:
        from driftloop.stages.unlabelled import keep_numbers

        chain = load_model(Path(selected.path))
        with fetched(champion_uri) as content:
            keep_numbers(chain, content, read_table(train.path), read_schema)
        save_model(chain, Path(model.path))
        model.metadata.update(record.to_metadata())
        return
    if not is_needed(goal, rules):
        shutil.copyfile(selected.path, model.path)
        model.metadata.update(record.to_metadata())
        return
    chain, told = adjust(
        load_model(Path(selected.path)),
        record,
        read_table(train.path),
        lambda: Matrices.load(Path(matrices.path)),
        read_schema,
        problem=goal,
        acceptance=rules,
        preparation=PreparationSpec.model_validate(preparation),
        sensitive_columns=read_data_group(data, uri=data_uri, target_column=read_schema.target.name).sensitive_columns,
        seed=TrainingSpec.model_validate(training).random_state,
    )
    save_model(chain, Path(model.path))
    model.metadata.update(told.to_metadata())
