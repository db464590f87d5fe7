"""The bounds of tests/harness: what does not end is an error that names the step and quotes its log.

usage: bounds.py
"""

import asyncio
import contextlib
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from harness.process import Process, children, has_ended, run  # noqa: E402
from harness.wait import Deadline, StepTimeout, wait_until, wait_until_async, within  # noqa: E402

WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-harness-"))
# Reports readiness, ignores SIGTERM and has a child.
STUBBORN = "trap '' TERM; echo 'still busy'; sleep 60 & while :; do sleep 0.1; done"


@contextlib.contextmanager
def times_out(*parts):
    started = time.monotonic()
    try:
        yield
    except StepTimeout as error:
        assert all(part in str(error) for part in parts), error
        assert time.monotonic() - started < 10, "the bound was not kept"
    else:
        raise AssertionError(f"no error for {parts}")


def stubborn_process(name):
    process = Process(name, ["bash", "-c", STUBBORN], WORK / f"{name}.log")
    wait_until("the output", lambda: "still busy" in process.log() and children(process.pid), 10)
    return process


def process_that_ignores_sigterm_is_killed_and_reported():
    process = stubborn_process("ignorant")
    with times_out("ignorant after SIGTERM", "still busy"):
        process.stop(seconds=0.5)
    wait_until("the end", lambda: not process.is_running(), 10)
    print("ok a process that does not stop is killed and reported", flush=True)


def kill_tree_ends_the_children():
    process = stubborn_process("tree")
    descendants = children(process.pid)
    process.kill_tree()
    assert descendants and all(map(has_ended, descendants)) and process.returncode == -9, descendants
    print("ok children are killed with their process", flush=True)


def early_end_is_reported_with_the_log():
    process = Process("failing", ["bash", "-c", "echo 'no such setting'; exit 3"], WORK / "failing.log")
    try:
        wait_until("the start of failing", process.check_running, 10)
    except RuntimeError as error:
        assert "failing ended with 3" in str(error) and "no such setting" in str(error), error
    else:
        raise AssertionError("no error for a process that ended early")
    print("ok a process that ends early is reported", flush=True)


def commands_and_conditions_are_bounded():
    with times_out("sleep 60", "half done"):
        run("bash", "-c", "echo 'half done'; exec sleep 60", seconds=0.5)
    with times_out("the condition", "the log"):
        wait_until("the condition", lambda: False, 0.2, log=lambda: "the log")
    deadline = Deadline("the loop", 0.1)
    deadline.check()
    time.sleep(0.2)
    with times_out("the loop"):
        deadline.check()
    print("ok commands, conditions and loops are bounded", flush=True)


async def awaits_are_bounded():
    async def hang():
        await asyncio.sleep(60)

    with times_out("the await", "its log"):
        async with within("the await", 0.2, lambda: "its log"):
            await hang()
    with times_out("the coroutine"):
        await wait_until_async("the coroutine", hang, 0.2)
    try:
        async with within("the outer step", 5):
            raise TimeoutError("of something inside")
    except TimeoutError as error:
        assert "inside" in str(error), error
    print("ok awaits are bounded", flush=True)


try:
    process_that_ignores_sigterm_is_killed_and_reported()
    kill_tree_ends_the_children()
    early_end_is_reported_with_the_log()
    commands_and_conditions_are_bounded()
    asyncio.run(awaits_are_bounded())
    print("harness: all checks passed")
finally:
    shutil.rmtree(WORK, ignore_errors=True)
