"""What pods that don't come up say of themselves, for people who can't look into them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from driftloop.workload.names import BENTO_REFUSED_EXIT_CODE, FETCH_CONTAINER

_QUIET = ("ContainerCreating", "PodInitializing")
_LONGEST = 600


@dataclass(frozen=True)
class Words:
    """One sentence about a Deployment's pods."""

    text: str
    is_final: bool = False
    """Whether trying again can't help: the Bento isn't what it must be."""


def words_of_pods(pods: Iterable[Mapping[str, Any]]) -> Words:
    """Return the first trouble of any pod in its own words; no text where there is none."""
    found = [words for pod in pods for words in _words_of(pod)]
    return next((words for words in found if words.is_final), found[0] if found else Words(""))


def _words_of(pod: Mapping[str, Any]) -> Iterator[Words]:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        now, before = container.get("state") or {}, container.get("lastState") or {}
        ended = now.get("terminated") or before.get("terminated") or {}
        waiting = now.get("waiting") or {}
        if ended.get("exitCode"):
            said = _last_words(ended.get("message") or "") or ended.get("reason") or "it said nothing"
            text = f"container '{container['name']}' ended with code {ended['exitCode']}: {said}"
            is_final = container["name"] == FETCH_CONTAINER and ended["exitCode"] == BENTO_REFUSED_EXIT_CODE
            yield Words(text, is_final)
        elif waiting.get("reason") and waiting["reason"] not in _QUIET:
            said = _last_words(waiting.get("message") or "")
            yield Words(f"container '{container['name']}' waits, {waiting['reason']}{said and f': {said}'}")
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield Words(f"not scheduled: {condition.get('message', '')}")


def _last_words(text: str) -> str:
    """Return the end of what a container wrote: the error stands last."""
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST else f"... {words[-_LONGEST:]}"
