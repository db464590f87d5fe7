"""Hosts as network namespaces, joined by a bridge in the namespace of this process. They end with this process."""

import os

from harness.process import Process, run
from harness.wait import wait_until

BRIDGE, GATEWAY, PREFIX = "hosts", "10.0.0.1", 24


def create_bridge(*addresses):
    """Creates the bridge, with more addresses of this side than that of the gateway."""
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    for address in (f"{GATEWAY}/{PREFIX}", *addresses):
        run("ip", "address", "add", address, "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")


def remove_bridge():
    run("ip", "link", "delete", BRIDGE, check=False)


class Namespace:
    """A host with one address."""

    def __init__(self, name, address, base):
        self.name, self.address, self.link = name, address, f"link-{name}"
        self.holder = Process(name, ["unshare", "--net", "sleep", "infinity"], base / f"{name}.log")
        own = os.readlink("/proc/self/ns/net")
        wait_until(f"the namespace {name}", lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != own, 10)
        # Runs a program inside.
        self.enter = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"]
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        run("ip", "link", "set", self.link, "master", BRIDGE, "up")
        for command in (("link", "set", "lo", "up"), ("address", "add", f"{address}/{PREFIX}", "dev", "eth0"), ("link", "set", "eth0", "up"),
                        ("route", "add", "default", "via", GATEWAY)):
            run(*self.enter, "ip", *command)

    def cut(self):
        """No packet reaches or leaves the host any more, and nobody is told."""
        run("ip", "link", "set", self.link, "down")

    def heal(self):
        run("ip", "link", "set", self.link, "up")

    def close(self):
        self.holder.stop()
