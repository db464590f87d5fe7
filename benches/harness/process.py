"""A program that runs for a while: started, asked for its memory, stopped by its process id."""

import shutil
import socket
import subprocess


class Process:
    """Its output goes to the end of a file, so that the file can be emptied while it runs."""

    def __init__(self, command, log, env=None, cwd=None, user=None):
        # It ends with this harness, however that ends.
        if shutil.which("setpriv"):
            become = ["--reuid", user, "--regid", user, "--init-groups"] if user else []
            command, user = ["setpriv", *become, "--pdeathsig", "TERM", *command], None
        self.name, self.log = str(command[-1]), log
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=cwd, user=user
            )

    def check(self):
        """Fails when it has ended."""
        if self.child.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.child.returncode}: {self.log.read_text()[-2000:]}")

    def stop(self):
        self.child.terminate()
        self.child.wait(timeout=60)

    def memory(self, field):
        """Megabytes: `VmRSS` is what it has now, `VmHWM` the most that it had."""
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as status:
            kilobytes = next(line.split()[1] for line in status if line.startswith(field + ":"))
        return int(kilobytes) / 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
