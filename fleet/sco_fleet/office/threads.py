"""Threads for what takes long in the office: what waits for one of them holds none that a lane's request could need."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

from starlette.exceptions import HTTPException

A = TypeVar("A")


class Threads:
    """Some threads.

    Args:
        most: how many.
        name: of them.
        room: how much may be under way or wait that has taken a place by `enter`.
    """

    def __init__(self, most: int, name: str, room: int = 1) -> None:
        self._pool = ThreadPoolExecutor(most, name)
        self._room = BoundedSemaphore(room)

    async def run(self, work: Callable[[], A]) -> A:
        """The result of `work`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    @contextlib.contextmanager
    def enter(self) -> Iterator[Callable[[Callable[[], None]], None]]:
        """A place, for the block and for the work that it has begun by calling what it gets. Raises HTTPException."""
        if not self._room.acquire(blocking=False):
            raise HTTPException(429, headers={"Retry-After": "30"})
        with contextlib.ExitStack() as stack:
            stack.callback(self._room.release)

            def begin(work: Callable[[], None]) -> None:
                self._pool.submit(work).add_done_callback(lambda _: self._room.release())
                stack.pop_all()

            yield begin
