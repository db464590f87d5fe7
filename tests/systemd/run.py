"""The installation without Docker: a real systemd and nginx, in namespaces of their own, from the runbook's commands.

usage: run.py APONTA_BINARY; needs root
"""

import asyncio
import contextlib
import http.client
import json
import pathlib
import re
import resource
import shutil
import socket
import ssl
import sys
import tempfile
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(REPOSITORY / "tests"), str(REPOSITORY / "tests/faults")]

from azure_stub import AzureStub  # noqa: E402
from harness.postgres import Cluster  # noqa: E402
from harness.process import Process, free_port, run  # noqa: E402
from harness.text import replace_all  # noqa: E402
from harness.wait import wait_until  # noqa: E402

BINARY = pathlib.Path(sys.argv[1]).resolve()
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-systemd-"))
NAME, PASSWORD = "api.exemplo.br", "s3nha %$'\"\\ é"
HTTP, HTTPS = free_port(), free_port()


def is_free(port):
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return True
    return False


# The metrics of an instance are on its port with a 1 before it.
ONE, OTHER = [port for port in range(8001, 9999) if is_free(port) and is_free(10_000 + port)][:2]
UNIT = REPOSITORY / "deploy/systemd/aponta@.service"

# A copy of this host in memory, on which the commands of the runbook run. /sys and /proc/sys are read-only, so that no unit changes the host.
BOOT = """
set -eu
cd "$1"
mount --make-rprivate /
mkdir upper root && mount -t tmpfs -o size=1g tmpfs upper && mkdir upper/changed upper/work
mount -t overlay -o lowerdir=/,upperdir=upper/changed,workdir=upper/work overlay root
cd root
mount -t proc proc proc && mount --bind proc/sys proc/sys && mount -o remount,ro,bind proc/sys
mount -t sysfs -o ro sysfs sys
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
else
    mount -t tmpfs tmpfs sys/fs/cgroup && mkdir sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
fi
mount -t tmpfs tmpfs run && mount -t tmpfs tmpfs tmp && chmod 1777 tmp && mount --rbind /dev dev
rm -rf etc/systemd/system/*.wants etc/nginx/sites-enabled/* && : > etc/machine-id
mkdir -p source former && mount --bind "$2" source
# A unit may have a user namespace only if the root directory is that of the mount namespace.
pivot_root . former && umount -l /former
# As systemd itself does on a host: it mounts credentials in a namespace of their own.
mount --make-rshared /
exec env -i container=other PATH="$PATH" /lib/systemd/systemd --system --unit=multi-user.target --show-status=0
"""


class Host:
    """A host with systemd as its first process, until it is closed."""

    def __init__(self):
        command = ["unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--kill-child", "bash", "-c", BOOT, "bash",
                   str(WORK), str(REPOSITORY)]
        self.process = Process("systemd", command, WORK / "systemd.log", death_signal="KILL")
        self.first = wait_until("the first process", self._first_process, 30, log=self.process.log)
        wait_until("the start of systemd", lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"),
                   120, log=self.process.log, interval=0.5)

    def _first_process(self):
        self.process.check_running()
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        with contextlib.suppress(OSError):
            return next((int(pid) for pid in children if "systemd" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()), None)

    def run(self, *command, **options):
        return run("nsenter", "--target", str(self.first), "--mount", "--pid", "--uts", "--ipc", "--cgroup", *command, **options)

    def shell(self, script):
        return self.run("bash", "-euc", f"cd /source\n{script}", seconds=120)

    def edit(self, path, *replacements):
        """Replaces texts of a file, as an operator with an editor does."""
        text = self.run("cat", path).stdout
        for before, _ in replacements:
            assert before in text, (path, before)
        self.write(path, replace_all(text, dict(replacements)))

    def write(self, path, text):
        self.run("tee", path, input=text)

    def close(self):
        self.process.kill_tree()


class Load:
    """Reads and writes through nginx until the end of the block."""

    def __init__(self, projeto):
        self.projeto, self.failures, self.requests, self.created, self.is_over = projeto, [], 0, [], threading.Event()
        self.threads = [threading.Thread(target=self._send) for _ in range(4)]

    def _send(self):
        while not self.is_over.is_set():
            for method, path, body, expected in (("POST", "/api/v1/atividades", {"nome": "Sob carga", "id_projeto": self.projeto}, 201),
                                                 ("GET", "/api/v1/atividades?limit=5", None, 200)):
                try:
                    status, response = request(method, path, body)
                except (OSError, http.client.HTTPException) as error:
                    status, response = 0, repr(error)
                self.requests += 1
                if status != expected:
                    self.failures.append((method, status, response))
                elif method == "POST":
                    self.created.append(response["id"])
            time.sleep(0.01)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *_):
        time.sleep(1)
        self.is_over.set()
        for thread in self.threads:
            thread.join()


def request(method, path, body=None, token="conhecido-1"):
    context = ssl.create_default_context(cafile=str(WORK / "origin.pem"))
    connection = http.client.HTTPSConnection("127.0.0.1", HTTPS, timeout=30, context=context)
    # The name is checked, and the address is that of this host.
    connection._create_connection = lambda address, *rest: socket.create_connection(("127.0.0.1", HTTPS), 30)
    connection.host = NAME
    with contextlib.closing(connection):
        headers = {"Host": NAME, "Authorization": f"Bearer {token}", **({"Content-Type": "application/json"} if body else {})}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        text = response.read().decode()
        return response.status, json.loads(text) if response.headers["Content-Type"].startswith("application/json") else text


def start_azure():
    """Returns the address of a stand-in of Azure DevOps, which runs in a thread."""
    stub, loop = AzureStub(), asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    asyncio.run_coroutine_threadsafe(stub.open(), loop).result(30)
    return stub.url


def unit_is_hardened():
    """At most 2.0 of 10, and without an error."""
    checked = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", UNIT, check=False)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", checked.stdout)
    assert checked.returncode == 0 and float(level[1]) <= 2, checked
    print(f"ok the exposure level of the unit is {level[1]}", flush=True)


def install(host, cluster, azure):
    """Runs the commands of the chapter."""
    chapter = (REPOSITORY / "deploy/README.md").read_text().split("\n## Without Docker\n")[1].split("\n## ")[0]
    files, start = (re.sub(r"^   ", "", block.split("```")[0], flags=re.MULTILINE) for block in chapter.split("```sh\n")[1:])
    literal = PASSWORD.replace("'", "''")
    cluster.sql(f"CREATE ROLE aponta LOGIN PASSWORD '{literal}';")
    cluster.sql("CREATE DATABASE aponta OWNER aponta")
    host.run("mkdir", "-p", "/built")
    host.run("cp", f"/source/{BINARY.relative_to(REPOSITORY)}", "/built/aponta")
    ports = lambda text: replace_all(text, {"8001": str(ONE), "8002": str(OTHER), "target/dist/aponta": "/built/aponta"})  # noqa: E731
    host.shell(ports(files))
    host.edit("/etc/aponta/aponta.env", ("DATABASE_HOST=/run/postgresql", f"ENVIRONMENT=development\nRATE_PER_PERSON=off\nDATABASE_HOST=127.0.0.1\nDATABASE_PORT={cluster.port}"),
              ("AZURE_DEVOPS_ORG_URL=", f"AZURE_DEVOPS_ORG_URL={azure}"))
    host.write("/etc/aponta/secrets/database_password", f"{PASSWORD}\n")
    host.edit("/etc/nginx/conf.d/aponta.conf", ("api.example.com", NAME), ("listen 80", f"listen {HTTP}"), ("listen [::]:80", f"listen [::]:{HTTP}"),
              ("listen 443", f"listen {HTTPS}"), ("listen [::]:443", f"listen [::]:{HTTPS}"))
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9", "-subj", f"/CN={NAME}", "-addext",
        f"subjectAltName=DNS:{NAME}", "-keyout", WORK / "origin.key", "-out", WORK / "origin.pem")
    for name in ("origin.key", "origin.pem"):
        host.write(f"/etc/aponta/certs/{name}", (WORK / name).read_text())
    host.run("systemctl", "start", "nginx")
    host.shell(ports(start))
    wait_until("both instances", lambda: all(health(port) == 200 for port in (ONE, OTHER)), 60, interval=0.2)
    print("ok installed by the commands of the runbook", flush=True)


def health(port):
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/health")
        return connection.getresponse().status
    return 0


def main_pid(host, port):
    return host.run("systemctl", "show", "--property", "MainPID", "--value", f"aponta@{port}").stdout.strip()


def instances_are_confined(host):
    for port in (ONE, OTHER):
        pid = main_pid(host, port)
        status = host.run("cat", f"/proc/{pid}/status").stdout
        assert not re.search(r"^Uid:\t0\t", status, re.MULTILINE) and "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status, status
        # Not every kernel filters system calls.
        assert "Seccomp:\t2" in status or not pathlib.Path("/proc/sys/kernel/seccomp").exists(), status
        limits = host.run("cat", f"/proc/{pid}/limits").stdout
        descriptors = int(re.search(r"^Max open files +(\d+)", limits, re.MULTILINE)[1])
        assert descriptors in (65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]), limits
        environment = host.run("cat", f"/proc/{pid}/environ").stdout
        assert PASSWORD not in environment and "DATABASE_PASSWORD_FILE=/run/credentials/" in environment, environment
        listening = host.run("ss", "-tlnpH").stdout
        mine = [line.split()[3] for line in listening.splitlines() if f"pid={pid}," in line]
        assert sorted(mine) == sorted([f"127.0.0.1:{port}", f"127.0.0.1:1{port}"]), mine
        # What the unit sets exposes nothing in production either.
        names = ("API_HOST", "API_PORT", "METRICS_PORT", "TRUSTED_PROXIES")
        unit = dict(line.split("=", 1) for line in environment.split("\0") if line.split("=")[0] in names)
        doctor = run(BINARY, "doctor", check=False, env={**unit, "AZURE_DEVOPS_ORG_URL": "http://127.0.0.1:9/exemplo",
                                                         "DATABASE_URL": "postgresql://a:b@127.0.0.1:9/aponta"}).stdout
        assert len(unit) == 4 and f"ok     network       listens on 127.0.0.1:{port}" in doctor and "WARN" not in doctor, doctor
    assert host.run("stat", "-c", "%a %U", "/etc/aponta/secrets/database_password").stdout == "600 root\n"
    print("ok the instances are confined", flush=True)


def nginx_protects(host):
    assert request("GET", "/api/v1/projetos", token="outro")[0] == 401
    status, response = request("GET", "/health")
    assert (status, response["status"]) == (200, "healthy"), response
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", HTTP, timeout=5)) as plain:
        plain.request("GET", "/health", headers={"Host": NAME})
        assert plain.getresponse().status == 308
    assert request("POST", "/api/v1/projetos", {"nome": "A" * 1_300_000})[0] == 413
    print("ok nginx terminates TLS and bounds requests", flush=True)


def another_binary(host, name, script=None):
    """Makes a binary with other bytes, which does the same unless a script is given."""
    if script:
        host.write(f"/built/{name}", script)
        host.run("chmod", "755", f"/built/{name}")
    else:
        host.shell(f"cp /built/aponta /built/{name} && printf '{name}' >> /built/{name}")
    return f"/built/{name}"


def running(host):
    return [host.run("readlink", f"/proc/{main_pid(host, port)}/exe").stdout.strip() for port in (ONE, OTHER)]


def upgrade_fails_no_request(host, projeto):
    binary, before = another_binary(host, "newer"), running(host)
    with Load(projeto) as load:
        done = host.run("aponta-upgrade", binary, seconds=300)
        after = running(host)
        host.run("aponta-upgrade", "--rollback", seconds=300)
    assert "serves" in done.stdout and set(after).isdisjoint(before) and running(host) == before, (done, before, after)
    assert not load.failures, (len(load.failures), load.requests, load.failures[:3])
    print(f"ok upgraded and rolled back: {load.requests} requests, 0 failed", flush=True)
    return load.created


def bad_binaries_change_nothing(host, projeto):
    before = running(host)
    dies = '#!/bin/bash\n[[ $1 != serve ]] || exit 3\nexec /opt/aponta/first/aponta "$@"\n'
    refuses = '#!/bin/bash\n[[ $1 != config ]] || exit 1\nexec /opt/aponta/first/aponta "$@"\n'
    older = '#!/bin/bash\n[[ $* != "migrate status" ]] || echo "m1  unknown to this version"\nexec /opt/aponta/first/aponta "$@"\n'
    with Load(projeto) as load:
        for name, script, message in (("dies", dies, "serves as before"), ("refuses", refuses, "refuses the settings; nothing was changed"),
                                      ("older", older, "does not know the newest 1 migration(s)"), ("absent", None, "is not an executable file")):
            binary = another_binary(host, name, script) if script else "/built/absent"
            done = host.run("aponta-upgrade", binary, check=False, seconds=300)
            assert done.returncode == 1 and message in done.stderr, (name, done)
            assert running(host) == before, name
    assert not load.failures, (len(load.failures), load.requests, load.failures[:3])
    print(f"ok bad binaries change nothing: {load.requests} requests, 0 failed", flush=True)
    return load.created


def killed_instance_is_restarted(host):
    pid = main_pid(host, ONE)
    host.run("kill", "-9", pid)
    wait_until("another process", lambda: main_pid(host, ONE) not in ("0", pid) and health(ONE) == 200, 30)
    print("ok a killed instance is restarted", flush=True)


def main():
    unit_is_hardened()
    # Not through /tmp, which another user may not enter.
    WORK.chmod(0o755)
    (WORK / "postgres").mkdir()
    cluster = Cluster(WORK / "postgres", log=WORK / "postgres.log", password="superusuario")
    cluster.give_to_server(WORK / "postgres")
    cluster.initialize()
    cluster.start()
    host = Host()
    try:
        install(host, cluster, start_azure())
        instances_are_confined(host)
        nginx_protects(host)
        status, projeto = request("POST", "/api/v1/projetos", {"nome": "Portal"})
        assert status == 201, (status, projeto)
        created = upgrade_fails_no_request(host, projeto["id"])
        created += bad_binaries_change_nothing(host, projeto["id"])
        killed_instance_is_restarted(host)
        stored = set(cluster.sql("SELECT id FROM atividades", "aponta").split())
        assert set(created) <= stored, f"{len(set(created) - stored)} of {len(created)} created atividades are missing"
        print(f"systemd: all checks passed, {len(created)} created atividades were found again", flush=True)
    except BaseException:
        print(host.run("journalctl", "--no-pager", "-n", "60", check=False).stdout[-8000:], flush=True)
        raise
    finally:
        host.close()
        cluster.stop()


try:
    main()
finally:
    shutil.rmtree(WORK, ignore_errors=True)
