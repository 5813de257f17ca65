"""Which runner a loop's spec names: Kubeflow Pipelines, or one Kubernetes Job a run."""

from driftloop.adapters.jobrunner import JobRunner
from driftloop.adapters.kubeapi import KubeApi
from driftloop.adapters.kubeflow import KubeflowRunner
from driftloop.errors import DriftloopError
from driftloop.loop.runner import Runner
from driftloop.operator.settings import OperatorSettings
from driftloop.spec import ModelLoop


class KubeflowMissingError(DriftloopError):
    """A loop wants Kubeflow, and the operator knows of none."""

    def __init__(self, loop: str) -> None:
        super().__init__(
            f"The 'spec.pipeline.runner' of ModelLoop '{loop}' is Kubeflow, and the operator knows no Kubeflow "
            "Pipelines. Install the chart with the value kubeflow.url, or set the runner to Job."
        )


class Runners:
    """The runners of a cluster.

    Args:
        api: the Kubernetes API.
        settings: where Kubeflow is.
    """

    def __init__(self, api: KubeApi, settings: OperatorSettings) -> None:
        self._job = JobRunner(api, settings.platform)
        self._kubeflow = (
            KubeflowRunner(
                settings.kubeflow_url,
                api,
                settings.platform,
                ui_url=settings.kubeflow_ui_url,
                token_path=settings.kubeflow_token_path,
            )
            if settings.kubeflow_url
            else None
        )

    def of(self, loop: ModelLoop) -> Runner:
        """Return the runner that a loop's spec names.

        Raises:
            KubeflowMissingError: it is Kubeflow, and there is none.
        """
        if loop.spec.pipeline.runner == "Job":
            return self._job
        if self._kubeflow is None:
            raise KubeflowMissingError(f"{loop.metadata.namespace}/{loop.metadata.name}")
        return self._kubeflow
