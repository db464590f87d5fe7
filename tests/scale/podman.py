"""podman with images, containers and networks of its own, which end with a directory and the network namespace of this process."""

import json
import os
import resource

from harness.process import run

# runc: crun refuses cgroups of version 1 beside those of version 2. No limit may exceed that of this process.
CONFIGURATION = """
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_config_dir = "{directory}/networks"
"""


class Podman:
    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        file = directory / "containers.conf"
        files = min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        file.write_text(CONFIGURATION.format(directory=directory, files=files))
        self.environment = {**os.environ, "CONTAINERS_CONF": str(file)}

    def __call__(self, *arguments, check=True, **options):
        own = ["--root", self.directory / "root", "--runroot", self.directory / "run", "--tmpdir", self.directory / "tmp",
               "--storage-driver", "overlay"]
        return run("podman", *own, *arguments, check=check, env=self.environment, **options).stdout

    def inspect(self, kind, name):
        return json.loads(self(kind, "inspect", name))

    def build(self, name, root, dockerfile, context):
        """Builds an image from a Dockerfile whose base is the directory `root`."""
        archive = self.directory / "root.tar"
        run("tar", "-C", root, "-cf", archive, ".")
        self("import", archive, "localhost/base")
        archive.unlink()
        self("build", "--quiet", "--format", "docker", "--build-arg", "RUNTIME_IMAGE=localhost/base", "--tag", name, "--file", dockerfile, context)

    def close(self):
        """Removes every pod, also after a failure, and what is mounted."""
        self("pod", "rm", "--all", "--force", "--time", "0", check=False)
        self("unmount", "--all", check=False)
