"""The pipeline that recurs by `retraining.schedule`: it files a request, and trains nothing. It wires."""

from kfp import dsl

from components.remind.component import remind
from pipelines.parts import STORE_CONFIG, STORE_SECRET, Parameters, place_steps


@dsl.pipeline(
    name="driftloop-schedule",
    description="Asks a loop to retrain. The controller decides, and starts the training run under its own key.",
)
def schedule_pipeline(
    loop: str,
    requests_uri: str,
    schedule: str,
    image: str,
    moment: str = "",
    code_digest: str = "",
    store_secret: str = STORE_SECRET,
    store_config: str = STORE_CONFIG,
    cpu_request: str = "50m",
    cpu_limit: str = "1",
    memory_request: str = "128Mi",
    memory_limit: str = "512Mi",
    node_selector: dict = {},  # noqa: B006 - compiled into the package as the default
    tolerations: list = [],  # noqa: B006
) -> None:
    """File one request to retrain.

    Args:
        loop: Name of the ModelLoop.
        requests_uri: Folder of the loop's requests in the object store.
        schedule: The cron line, for the reason.
        image: Image of the step.
        moment: What names the moment, which Kubeflow Pipelines fills in. Empty: the minute of the step.
        code_digest: Identity of the driftloop code.
        store_secret: Secret with the object store's credentials, beside the step's pod; it may be missing.
        store_config: ConfigMap with the object store's endpoint and region, beside the step's pod; it may be missing.
        cpu_request: Processors that the step is guaranteed.
        cpu_limit: Most processors of the step.
        memory_request: Memory that the step is guaranteed.
        memory_limit: Most memory of the step.
        node_selector: Labels of the nodes that the step may run on.
        tolerations: Taints of nodes that the step puts up with.
    """
    given = Parameters(dict(locals()))
    reminded = remind(**given.pick("loop", "requests_uri", "moment", "schedule"))
    reminded.set_caching_options(enable_caching=False)
    place_steps(given)
