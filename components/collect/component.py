"""Kubeflow face of the stage `collect`."""

from kfp.dsl import Dataset, Output

from components.stage import stage


@stage
def collect(
    data_uri: str,
    data_digest: str,
    target_column: str,
    task: str,
    data: dict,
    table: Output[Dataset],
    code_digest: str,
) -> None:
    """Bring the data in with what is joined to them, as one Parquet table.

    Args:
        data_uri: Where the rows are: files, a database, or a file that names rows of the prediction log.
        data_digest: Content that the run is about; other content is refused.
        target_column: Column to predict.
        task: What the rows are for.
        data: Group `data` of the ModelLoop.
        table: The rows as they are.
        code_digest: Identity of the driftloop code.
    """
    from driftloop.adapters.datasource import collect_data
    from driftloop.spec import Task
    from driftloop.stages.parameters import read_data_group
    from driftloop.stages.tablefile import write_table

    spec = read_data_group(data, uri=data_uri, target_column=target_column)
    write_table(collect_data(spec, Task(task), data_digest), table.path)
