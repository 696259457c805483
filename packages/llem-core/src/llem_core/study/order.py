"""Which run comes next: in order, or block by block."""

from __future__ import annotations

from collections.abc import Sequence

from llem_core.study.plan import PlannedRun


class Order:
    """The runs that are left, of which each is handed out once.

    With blocks, a cycle is a block, and it has one slot at a time: its runs follow each other, so
    that they can be on one node. Without blocks runs are taken in order.

    Args:
        runs: the runs to take, in order.
        blocked: whether each cycle is a block.
    """

    def __init__(self, runs: Sequence[PlannedRun], *, blocked: bool) -> None:
        self._runs = runs
        self._left = list(range(len(runs)))
        self._blocked = blocked
        self._active: set[int] = set()

    def __bool__(self) -> bool:
        """Whether any run is left."""
        return bool(self._left)

    def pick(self, last: PlannedRun | None) -> int | None:
        """Which run a free slot may start next; it is not taken by this.

        Args:
            last: the run that the slot had before; it stays with that one's block.

        Returns:
            Its place among the runs, from 0; ``None`` where all that is left has to wait for
            another slot.
        """
        if not self._blocked:
            return self._left[0] if self._left else None
        free = [i for i in self._left if self._runs[i].cycle not in self._active]
        own = [i for i in free if last is not None and self._runs[i].cycle == last.cycle]
        return next(iter(own or free), None)

    def take(self, index: int) -> None:
        """A slot starts this run."""
        self._left.remove(index)
        self._active.add(self._runs[index].cycle)

    def end(self, index: int) -> None:
        """This run has ended."""
        self._active.discard(self._runs[index].cycle)

    def again(self, index: int) -> None:
        """This run has ended, and is the first to be taken again."""
        self.end(index)
        self._left.insert(0, index)
