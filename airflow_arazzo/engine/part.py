"""The part of a run that one machine sees through, where others see to the rest."""

from __future__ import annotations

from airflow_arazzo.engine.state import Frame, State


class Part:
    """Some steps of one workflow, with everything that runs inside them.

    :param steps: ids of the steps; None for a run that is seen through as a whole.
    :param calls: ids of the steps that call their workflow, outermost first; none for the outermost one.
    """

    def __init__(self, state: State, steps: frozenset[str] | None, calls: tuple[str, ...]) -> None:
        self.is_whole = steps is None
        self._state = state
        self._steps = steps or frozenset()
        self._calls = calls
        self._ended: dict[int, Frame] = {}

    def holds(self, step_id: str) -> bool:
        """Whether a step of the innermost workflow is to run here."""
        level = self._level()
        return level is None or (level == len(self._calls) and step_id in self._steps)

    def position(self, step_id: str) -> str:
        """Where a step of the innermost workflow stands in the run: ``call/step``."""
        return "/".join([*(frame.step for frame in self._state.frames[:-1]), step_id])

    def note_end(self) -> None:
        """The innermost workflow is about to end."""
        level = self._level()
        if level is not None:
            self._ended[level] = self._state.frames[-1]

    def activations(self) -> list[Frame]:
        """The workflows around the steps, the outermost first: those that have begun, ended ones too."""
        open_ones = dict(enumerate(self._state.frames[: len(self._calls) + 1]))
        return [frame for _, frame in sorted({**open_ones, **self._ended}.items())]

    def _level(self) -> int | None:
        """Which of the workflows around the steps the innermost one is, 0 for the outermost.

        None for all others, such as those that run before a retry: they are seen through.
        """
        frames = self._state.frames
        level = len(frames) - 1
        if self.is_whole or level > len(self._calls) or any(frame.origin for frame in frames):
            return None
        led = zip(frames, frames[1:], self._calls, strict=False)
        return level if all(inner.purpose == "call" and f.step == call for f, inner, call in led) else None
