"""Tasks: what the loop's tasks wait for: a doorbell, an event, a call that fails.

Loop thread only. Nothing here knows what is played.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from realtime.doorbell import Doorbell


async def is_set(event: asyncio.Event, *, within_s: float) -> bool:
    """Wait for the event, but not longer than that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    return event.is_set()


async def failed_call() -> None:
    """Wait for a call that was booked on the loop to fail, and raise what it raised."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()

    def take(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "exception" in context and not failed.done():
            failed.set_exception(context["exception"])
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(take)
    try:
        await failed
    finally:
        loop.set_exception_handler(None)


async def whenever(doorbell: Doorbell, act: Callable[[], None]) -> None:
    """Act, for ever, each time the doorbell has been rung since the last time."""
    loop = asyncio.get_running_loop()
    rung = asyncio.Event()
    loop.add_reader(doorbell.fileno(), rung.set)
    try:
        while True:
            await rung.wait()
            rung.clear()
            doorbell.drain()
            act()
    finally:
        loop.remove_reader(doorbell.fileno())
