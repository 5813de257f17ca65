"""Cuts the operator off after any single effect on the outside world: as a kill does, or as a lost reply does."""

from collections.abc import Callable
from typing import Any

API_EFFECTS = ("apply", "create", "replace", "patch", "patch_status", "delete", "delete_all", "emit_event")
STORE_EFFECTS = ("create", "replace", "remove")
RUNNER_EFFECTS = ("start", "cancel", "keep_schedule")


class KilledError(BaseException):
    """The process is gone; nothing of it may run on."""


class Fault:
    """Counts effects, and strikes once: after the one with a number."""

    def __init__(self, number: int, strike: Callable[[str], BaseException]) -> None:
        self.number = number
        self.strike = strike
        self.count = 0
        self.struck = ""

    def watch(self, target: Any, effects: tuple[str, ...]) -> Any:
        return _Watched(target, effects, self)

    def after(self, effect: str) -> None:
        self.count += 1
        if self.count == self.number:
            self.struck = effect
            raise self.strike(effect)


class _Watched:
    def __init__(self, target: Any, effects: tuple[str, ...], fault: Fault) -> None:
        self._target, self._effects, self._fault = target, effects, fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._effects:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = found(*args, **kwargs)
            self._fault.after(f"{type(self._target).__name__}.{name}")
            return answer

        return call
