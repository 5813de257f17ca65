"""The parts that the pipelines have in common: functions that wire tasks while a pipeline is compiled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl.pipeline_context import Pipeline

from components.adjust.component import adjust
from components.assess.component import assess
from components.clean.component import clean
from components.collect.component import collect
from components.evaluate.component import evaluate
from components.explain.component import explain
from components.package.component import package
from components.plan.component import plan
from components.register.component import register
from components.resample.component import resample
from components.select.component import select
from components.snapshot.component import snapshot
from components.split.component import split
from components.train.component import train
from components.transform.component import transform
from components.verify.component import verify

STORE_SECRET, STORE_CONFIG = "driftloop-store", "driftloop-store"
"""Names that the steps look under for credentials and place of the object store unless they are told others."""
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_PLACE = ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")
_RESOURCES = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
_USER = 10001  # of the images, by number


@dataclass(frozen=True)
class Parameters:
    """The parameters of a pipeline, by name; parts take what each needs."""

    values: Mapping[str, Any]

    def pick(self, *names: str) -> dict[str, Any]:
        """Return some of them, and `code_digest`, which is an input of every stage."""
        return {name: self.values[name] for name in (*names, "code_digest")}

    @property
    def acceptance(self) -> Any:
        """The rules of acceptance; a proof of concept is held against none."""
        return self.values.get("acceptance", {})

    @property
    def preparation(self) -> Any:
        """How rows are prepared; a model made elsewhere brings its own way."""
        return self.values.get("preparation", {})


@dataclass(frozen=True)
class DataIn:
    """The run claimed, its data here."""

    snapshot: Any
    collect: Any


@dataclass(frozen=True)
class Rows:
    """The rows of a run, and what they are for."""

    all: Any
    train: Any
    validation: Any
    test: Any
    matrices: Any
    """Training and validation rows, prepared."""


@dataclass(frozen=True)
class Trained:
    """One candidate, and the rows it was made and will be judged of."""

    model: Any
    rows: Rows
    trained_through: Any


@dataclass(frozen=True)
class Judged:
    """What the test rows say of a candidate."""

    evaluate: Any
    explain: Any


def bring_data_in(given: Parameters) -> DataIn:
    """Claim the run and fetch the data; the claim is made anew in every run."""
    claimed = snapshot(
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        **given.pick("loop", "data_uri", "target_column", "data", "run_key", "result_uri", "claimant"),
    )
    claimed.set_caching_options(enable_caching=False)
    collected = collect(data_digest=claimed.output, **given.pick("data_uri", "target_column", "task", "data"))
    return DataIn(claimed, collected)


def train_candidate(given: Parameters, *, rows: Any, schema: Any, champion_uri: Any = "") -> Trained:
    """Prepare the rows; plan the search; tune one candidate an algorithm; select the best; adjust it."""
    parted = split(rows=rows, schema=schema, acceptance=given.acceptance, **given.pick("problem", "training"))
    train_rows, validation_rows = parted.outputs["train"], parted.outputs["validation"]
    cleaned = clean(
        train=train_rows, validation=validation_rows, schema=schema, **given.pick("preparation", "training")
    )
    transformed = transform(
        cleaned_train=cleaned.outputs["cleaned_train"],
        cleaned_validation=cleaned.outputs["cleaned_validation"],
        train=train_rows,
        validation=validation_rows,
        schema=schema,
        **given.pick("preparation", "training"),
    )
    balanced = resample(
        matrices=transformed.outputs["matrices"],
        cleaned_train=cleaned.outputs["cleaned_train"],
        transformer=transformed.outputs["transformer"],
        schema=schema,
        **given.pick("task", "preparation", "training"),
    )
    planned = plan(
        matrices=transformed.outputs["matrices"],
        schema=schema,
        champion_uri=champion_uri,
        **given.pick("algorithms", "preparation", "training", "max_trials"),
    )
    with dsl.ParallelFor(items=planned.outputs["Output"], name="candidates") as algorithm:
        tuned = train(
            algorithm=algorithm,
            plan=planned.outputs["plan"],
            matrices=transformed.outputs["matrices"],
            sampling=balanced.outputs["sampling"],
            cleaner=cleaned.outputs["cleaner"],
            transformer=transformed.outputs["transformer"],
            schema=schema,
            **given.pick("loop", "metric", "training"),
        )
    selected = select(
        candidates=dsl.Collected(tuned.outputs["candidate"]),
        answers=dsl.Collected(tuned.outputs["answers"]),
        plan=planned.outputs["plan"],
        **given.pick("metric", "training"),
    )
    model = adjust_candidate(
        given,
        model=selected.outputs["model"],
        train=train_rows,
        matrices=transformed.outputs["matrices"],
        schema=schema,
        champion_uri=given.values.get("champion_uri", ""),
    )
    parts = Rows(rows, train_rows, validation_rows, parted.outputs["test"], transformed.outputs["matrices"])
    return Trained(model, parts, parted.outputs["Output"])


def adjust_candidate(
    given: Parameters, *, model: Any, train: Any, matrices: Any, schema: Any, champion_uri: Any = ""
) -> Any:
    """Set how a model answers; return the model."""
    adjusted = adjust(
        selected=model,
        train=train,
        matrices=matrices,
        schema=schema,
        acceptance=given.acceptance,
        preparation=given.preparation,
        champion_uri=champion_uri,
        **given.pick("task", "problem", "data_uri", "data", "training"),
    )
    return adjusted.outputs["model"]


def judge_candidate(
    given: Parameters, *, model: Any, rows: Rows, schema: Any, trained_through: Any, champion_uri: Any = ""
) -> Judged:
    """Evaluate a model on the test rows and say which columns it looks at."""
    evaluated = evaluate(
        model=model,
        rows=rows.all,
        train=rows.train,
        validation=rows.validation,
        matrices=rows.matrices,
        test=rows.test,
        schema=schema,
        trained_through=trained_through,
        champion_uri=champion_uri,
        preparation=given.preparation,
        **given.pick("loop", "metric", "problem", "training", "monitoring"),
    )
    explained = explain(
        model=model, test=rows.test, matrices=rows.matrices, schema=schema, **given.pick("metric", "training")
    )
    return Judged(evaluated, explained)


def register_candidate(
    given: Parameters, *, data_in: DataIn, judged: Judged, model: Any, test: Any, schema: Any, report: Any
) -> None:
    """Assess groups, package, verify and register the candidate."""
    evaluation, explanation = judged.evaluate.outputs["evaluation"], judged.explain.outputs["explanation"]
    assessed = assess(
        model=model,
        test=test,
        schema=schema,
        evaluation=evaluation,
        baseline=judged.evaluate.outputs["baseline"],
        sample=judged.evaluate.outputs["sample"],
        **given.pick("metric", "data_uri", "data"),
    )
    packaged = package(
        model=model,
        schema=judged.evaluate.outputs["answered_schema"],
        baseline=judged.evaluate.outputs["baseline"],
        sample=judged.evaluate.outputs["sample"],
        evaluation=evaluation,
        explanation=explanation,
        assessment=assessed.outputs["assessment"],
        data_digest=data_in.snapshot.output,
        **given.pick("loop", "problem", "data_uri", "data", "governance", "store_uri", "runtime_image"),
    )
    # The Bento goes on as address and digest: equal content has equal ones, so that a packaging step that is never
    # cached does not make the steps behind it miss the cache.
    address = {name: packaged.outputs[name] for name in ("bento_uri", "bento_digest")}
    verified = verify(**address, **given.pick())
    registered = register(
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        evaluation=evaluation,
        against_champion=judged.evaluate.outputs["against_champion"],
        explanation=explanation,
        assessment=assessed.outputs["assessment"],
        report=report,
        latency_seconds=verified.output,
        bento_tag=packaged.outputs["bento_tag"],
        data_digest=data_in.snapshot.output,
        **address,
        **given.pick("loop", "run_key", "result_uri", "claimant", "task", "problem", "acceptance", "runtime_image"),
    )
    for task in (packaged, registered):
        task.set_caching_options(enable_caching=False)


def place_steps(given: Parameters) -> None:
    """Tell every task of the pipeline that is being compiled its name for people, its image, and how its pod shall be.

    All by parameters, so that one package serves every loop. Pods satisfy the Pod Security Standard `restricted`:
    Kubeflow Pipelines adds what is not said here (no privileges, no capabilities, the runtime's seccomp profile).
    """
    value = given.values
    for stage, task in Pipeline.get_default_pipeline().tasks.items():
        task.set_display_name(_title(stage, task))
        task.set_container_image(value["image"])
        # kfp 2.17 forgets to hand these on into a ParallelFor.
        task.register_pipeline_channels([value[name] for name in _RESOURCES])
        task.set_cpu_request(value["cpu_request"]).set_cpu_limit(value["cpu_limit"])
        task.set_memory_request(value["memory_request"]).set_memory_limit(value["memory_limit"])
        kubernetes.set_security_context(task, run_as_user=_USER, run_as_non_root=True)
        kubernetes.add_node_selector_json(task, value["node_selector"])
        kubernetes.add_toleration_json(task, value["tolerations"])
        credentials, place = ({key: key for key in keys} for keys in (_CREDENTIALS, _PLACE))
        kubernetes.use_secret_as_env(task, value["store_secret"], credentials, optional=True)
        kubernetes.use_config_map_as_env(task, value["store_config"], place, optional=True)
        kubernetes.add_pod_label(task, "app.kubernetes.io/managed-by", "driftloop")
        kubernetes.add_pod_label(task, "app.kubernetes.io/component", "pipeline")


def _title(stage: str, task: Any) -> str:
    """Return the stage's name and what it does, by the first sentence of its component."""
    return f"{stage}: {task.component_spec.description.partition('.')[0].lower()}"
