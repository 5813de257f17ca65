"""`driftloop status` and `driftloop why` for loops of a cluster: told from the status that the operator writes.

Read as plain values: operator and command may be of different versions, and each leaves alone what it doesn't know.
"""

import json
from typing import Any

import typer
from rich.console import Console

from driftloop.cli.clusterloop import Place
from driftloop.cli.status import count_words, day_words, label_words, show_table, watch_words
from driftloop.workload.names import (
    ACKNOWLEDGE_ANNOTATION,
    APPROVE_ANNOTATION,
    MUTE_ANNOTATION,
    RETRAIN_ANNOTATION,
    ROLLBACK_ANNOTATION,
)

HANDLED_FIELDS = {
    RETRAIN_ANNOTATION: "retrainRequestedAt",
    ROLLBACK_ANNOTATION: "rollback",
    APPROVE_ANNOTATION: "approve",
    MUTE_ANNOTATION: "mute",
    ACKNOWLEDGE_ANNOTATION: "acknowledge",
}
"""Annotation that asks → field of `status.handledRequests` that answers."""


def show_status(place: Place, name: str | None, *, as_json: bool) -> None:
    """Show the loops of a namespace; of a single one, what happened to it."""
    loops = place.loops(name)
    if as_json:
        typer.echo(json.dumps(_told(loops[0]) if name else {"loops": [_told(loop) for loop in loops]}, indent=2))
        return
    if not loops:
        typer.echo(f"There are no loops in the namespace '{place.namespace}'. Bring one: driftloop deploy FILE")
        return
    show_table([_row(loop) for loop in loops])
    if len(loops) == 1:
        _show_story(loops[0])


def show_reasons(place: Place, name: str | None, *, as_json: bool) -> None:
    """Show what one loop waits for, and what is wrong with it."""
    loop = place.loop(name)
    if as_json:
        typer.echo(json.dumps(_told(loop), indent=2))
        return
    console = Console(highlight=False, markup=False)
    for line in _reasons(loop):
        console.print(f"• {line}")
    for line in _figures(loop):
        console.print(line)


def open_requests(loop: dict[str, Any]) -> dict[str, str]:
    """Return the request annotations that were not answered."""
    annotations = loop["metadata"].get("annotations") or {}
    handled = _status(loop).get("handledRequests") or {}
    return {
        annotation: annotations[annotation]
        for annotation, field in HANDLED_FIELDS.items()
        if annotations.get(annotation) and annotations[annotation] != handled.get(field)
    }


def conditions_of(loop: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the conditions by type."""
    return {condition["type"]: condition for condition in _status(loop).get("conditions") or ()}


def _status(loop: dict[str, Any]) -> dict[str, Any]:
    status: dict[str, Any] = loop.get("status") or {}
    return status


def _told(loop: dict[str, Any]) -> dict[str, Any]:
    metadata = loop["metadata"]
    return {
        "loop": metadata["name"],
        "namespace": metadata["namespace"],
        "generation": metadata.get("generation"),
        "minRows": loop["spec"].get("data", {}).get("minRows"),
        "requests": open_requests(loop),
    } | _status(loop)


def _row(loop: dict[str, Any]) -> list[str]:
    status = _status(loop)
    champion, verdict = status.get("champion"), status.get("lastVerdict")
    ready = conditions_of(loop).get("Ready")
    score = champion.get("score") if champion else None
    return [
        loop["metadata"]["name"],
        ready["status"] if ready else "not looked at yet",
        champion["label"] if champion else "none yet",
        "" if champion is None or score is None else f"{champion.get('metric', '')} {score:.3f}",
        verdict["verdict"] if verdict else "no verdict yet",
        str(status.get("promotions", 0)),
        count_words(status.get("labelledRows")),
    ]


def _show_story(loop: dict[str, Any]) -> None:
    for line in (*_alarm_words(loop), *_criteria(loop)):
        typer.echo(f"  {line}")
    for annotation, value in open_requests(loop).items():
        typer.echo(f"  asked, not answered yet: {annotation}: {value}")
    for line in _status(loop).get("history") or ():
        typer.echo(f"  {day_words(line['at'])}  {line['message']}")


def _alarm_words(loop: dict[str, Any]) -> list[str]:
    """Return what bears on the alarms: a budget that can't be kept, silences in force, an open episode."""
    status = _status(loop)
    told = watch_words(list(conditions_of(loop).values()))
    for mute in status.get("mutes") or ():
        what = f"{mute['kind']} is" if mute.get("kind") else "all drift alarms are"
        told.append(f"{what} muted by {mute['by']} until {day_words(mute['until'])}: {mute['reason']}")
    episode = status.get("episode")
    if episode:
        quiet = episode.get("quiet") or "if you know of it: driftloop acknowledge newest --reason TEXT"
        told.append(f"drift episode since {day_words(episode['since'])} ({episode['kind']}); {quiet}")
    return told


def _criteria(loop: dict[str, Any]) -> list[str]:
    measured = {one["name"]: one for one in _status(loop).get("successCriteria") or ()}
    told = []
    for criterion in loop["spec"].get("problem", {}).get("successCriteria") or ():
        found = measured.get(criterion["name"], {})
        reached = {True: ", reached", False: ", not reached"}.get(found.get("reached"), "")
        value = found.get("value")
        figure = "not measured yet" if value is None else f"{value:g}"
        told.append(f"{criterion['name']}: {figure} (goal {criterion['goal']:g}{reached})")
    return told


def _reasons(loop: dict[str, Any]) -> list[str]:
    status, conditions = _status(loop), conditions_of(loop)
    if not status:
        return ["no operator has looked at this loop; see: driftloop doctor --context CONTEXT"]
    told = []
    if status.get("observedGeneration") != loop["metadata"].get("generation"):
        told.append("the operator has not looked at the newest spec yet")
    ready, stalled = conditions.get("Ready"), conditions.get("Stalled")
    if stalled and stalled["status"] == "True":
        told.append(f"stalled: {stalled.get('message') or stalled['reason']}")
    elif ready and ready["status"] != "True":
        told.append(f"not ready: {ready.get('message') or ready['reason']}")
    told += [reason for reason in status.get("waitingFor") or () if not any(reason in line for line in told)]
    told += [f"asked, not answered yet: {name}: {value}" for name, value in open_requests(loop).items()]
    told += [line for line in _alarm_words(loop) if line not in told]
    run = status.get("run")
    if run:
        where = f"; see {run['url']}" if run.get("url") else ""
        told.append(f"the run {run['runKey']} is at: {run.get('stage') or 'its start'}{where}")
    return told or ["nothing: a decision is being carried out"]


def _figures(loop: dict[str, Any]) -> list[str]:
    status, told = _status(loop), []
    log, labels = status.get("log") or {}, status.get("labels") or {}
    if log:
        rows, labelled, dropped, late = (log.get(key, 0) for key in ("rows", "labels", "dropped", "late"))
        told.append(f"so far: {rows:,} predictions logged, {labelled:,} labels, {dropped:,} dropped")
        if late:
            told.append(f"too late for a verdict: {late:,} predictions; they are used for training")
    least = loop["spec"].get("data", {}).get("minRows")
    needed = f" (at least {least:,} are needed)" if least is not None else ""
    told.append(f"labelled rows to train on: {count_words(status.get('labelledRows'))}{needed}")
    if labels.get("predictions"):
        told.append(label_words(labels))
    if status.get("evaluatedThrough"):
        told.append(f"judged through: {day_words(status['evaluatedThrough'])}")
    if status.get("lastFailure"):
        told.append(f"last failure: {status['lastFailure']}")
    return told
