"""Programs: run to their end, or started and stopped by their process id. Each wait for them has a bound."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess

from harness.wait import LOG_TAIL, StepTimeout, wait_until

# The bound of a command that names none, and of a process that was told to stop.
RUN_TIMEOUT, STOP_TIMEOUT = 600, 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def credentials(user):
    """The options of `subprocess` that run a program as `user` and in no other group; None changes nothing."""
    return {"user": user, "group": user, "extra_groups": []} if user else {}


def run(*command, check=True, seconds=RUN_TIMEOUT, user=None, **options):
    """Runs a command to its end. With `check` any exit code but 0 is an error that quotes what the command printed."""
    name = " ".join(map(str, command))
    options = {"capture_output": True, "text": True, "errors": "replace", **credentials(user), **options}
    try:
        done = subprocess.run(command, check=False, timeout=seconds, **options)
    except subprocess.TimeoutExpired as error:
        # Bytes, also where text was wanted.
        printed = b"".join(part for part in (error.stdout, error.stderr) if part)
        raise StepTimeout(name, seconds, printed.decode(errors="replace")) from None
    if check and done.returncode != 0:
        raise RuntimeError(f"{name}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def children(pid):
    """The process ids of the children that run, without zombies."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        # A process may end between the listing and the read.
        with contextlib.suppress(OSError):
            # After the name, which may contain anything: the state, then the parent.
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(stat.parent.name))
    return found


def has_ended(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class Process:
    """A program that appends its output to `log` and ends with this harness, however that ends."""

    def __init__(self, name, command, log, *, user=None, death_signal="TERM", **options):
        self.name, self.log_file = name, log
        if shutil.which("setpriv"):
            identity = ["--reuid", user, "--regid", user, "--clear-groups"] if user else []
            command, user = ["setpriv", *identity, "--pdeathsig", death_signal, *command], None
        options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **credentials(user), **options}
        with open(log, "ab") as output:
            self.child = subprocess.Popen(command, stdout=output, **options)

    @property
    def pid(self):
        return self.child.pid

    @property
    def returncode(self):
        return self.child.returncode

    def is_running(self):
        return self.child.poll() is None

    def check_running(self):
        if not self.is_running():
            raise RuntimeError(f"{self.name} ended with {self.returncode}; its log ends with:\n{self.log()[-LOG_TAIL:]}")

    def log(self, since=0):
        """What was logged after the first `since` bytes."""
        with open(self.log_file, "rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    def log_size(self):
        return os.path.getsize(self.log_file)

    def send_signal(self, number):
        self.child.send_signal(number)

    def wait(self, after, seconds=STOP_TIMEOUT):
        """Waits for the end; `after` says what should cause it. A process that outlives the bound is killed."""
        try:
            self.child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            raise StepTimeout(f"{self.name} after {after}", seconds, self.log()) from None

    def stop(self, number=signal.SIGTERM, seconds=STOP_TIMEOUT):
        """Sends a signal and waits for the end. Returns the exit code."""
        if self.is_running():
            self.send_signal(number)
            self.wait(signal.Signals(number).name, seconds)
        return self.returncode

    def kill_tree(self):
        """Kills the process and its children at once, as a power failure does."""
        # A stopped process starts no child that the list would lack.
        self.send_signal(signal.SIGSTOP)
        descendants = children(self.pid)
        for pid in (self.pid, *descendants):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.wait("SIGKILL")
        wait_until(f"the children of {self.name} after SIGKILL", lambda: all(map(has_ended, descendants)), STOP_TIMEOUT, log=self.log)

    def memory_mb(self, field):
        """Memory in MB: `VmRSS` is the resident set, `VmHWM` its peak."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            kilobytes = next(line.split()[1] for line in status if line.startswith(field + ":"))
        return int(kilobytes) / 1024

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))
