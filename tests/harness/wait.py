"""Polling with a deadline. An expired deadline raises `StepTimeout`, which names the step and ends with its log."""

import asyncio
import contextlib
import time

LOG_TAIL = 3000


class StepTimeout(RuntimeError):
    """A step did not end within its bound."""

    def __init__(self, step, seconds, log=""):
        tail = f"; the log ends with:\n{log[-LOG_TAIL:]}" if log else ""
        super().__init__(f"{step}: no end after {seconds:.0f} s{tail}")


class Deadline:
    """A bound for the loop of one step. `log` is a function that returns what its error quotes."""

    def __init__(self, step, seconds, log=None):
        self.step, self.seconds, self.log = step, seconds, log
        self.end = time.monotonic() + seconds

    def check(self):
        if time.monotonic() > self.end:
            raise StepTimeout(self.step, self.seconds, self.log() if self.log else "")


def wait_until(step, condition, seconds, *, log=None, interval=0.05):
    """Returns the first true value of `condition`."""
    deadline = Deadline(step, seconds, log)
    while not (value := condition()):
        deadline.check()
        time.sleep(interval)
    return value


@contextlib.asynccontextmanager
async def within(step, seconds, log=None):
    """A bound for the awaits of a block."""
    bound = asyncio.timeout(seconds)
    try:
        async with bound:
            yield
    except TimeoutError:
        if not bound.expired():
            raise
        raise StepTimeout(step, seconds, log() if log else "") from None


async def wait_until_async(step, condition, seconds, *, log=None, interval=0.05):
    """`wait_until` in an event loop, for a coroutine function."""
    async with within(step, seconds, log):
        while not (value := await condition()):
            await asyncio.sleep(interval)
        return value
