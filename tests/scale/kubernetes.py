"""deploy/kubernetes: built by kustomize, validated against the schemas of Kubernetes, and its pod run by podman from an image with
the last stage of deploy/Dockerfile. There is no cluster: nothing here schedules, scales or filters.

Needs root, and a network namespace whose addresses it may use.
"""

import asyncio
import base64
import contextlib
import errno
import ipaddress
import json
import os
import pathlib
import re
import shutil
import signal
import time

import kubernetes_validate
import yaml
from azure_with_tls import AzureWithTls
from harness.postgres import SCHEMA, Cluster
from harness.process import run as run_command
from harness.wait import wait_until_async, within
from http_client import Client
from podman import Podman

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# The oldest with the action `sleep` of preStop, and the newest whose schemas there are.
VERSIONS = ["1.30", "1.37"]
# Kinds of operators, whose schemas are not among those of Kubernetes.
OPERATORS = {"postgresql.cnpg.io/v1": "Cluster"}
# What podman plays. The others need a cluster.
PLAYED = ("ConfigMap", "Secret", "Deployment")
# In production a role has a password, and Azure DevOps has TLS.
ROLE, PASSWORD, DATABASE = "aponta_api", "s3nha%com\"aspas':/ ção", "aponta"
SECRETS = {"database_password": PASSWORD, "azure_devops_pat": "", "extension_app_keys": "", "sentry_dsn": "",
           "redis_url": "", "shared_key": ""}
NETWORK, GATEWAY = "10.89.77.0/24", "10.89.77.1"
TOKEN = {"Authorization": "Bearer conhecido-1", "Host": "api.example.com"}
PROJETOS, ATIVIDADES = "/api/v1/projetos", "/api/v1/atividades"
CLIENTS = 8

OVERLAY = """
resources: [../example]
images:
  - {{name: registry.example.com/aponta-api, newName: localhost/aponta-api, newTag: tested}}
configMapGenerator:
  - name: aponta-settings
    behavior: merge
    literals:
      - DATABASE_HOST={gateway}
      - DATABASE_PORT={database}
      - AZURE_DEVOPS_ORG_URL={azure}
      - RATE_PER_PERSON=off
"""


class Manifests:
    """A copy of deploy/kubernetes with secrets."""

    def __init__(self, kustomize, base):
        self.kustomize, self.directory = kustomize, base / "kubernetes"
        shutil.copytree(REPOSITORY / "deploy/kubernetes", self.directory)
        secrets = self.directory / "overlays/example/secrets"
        shutil.rmtree(secrets, ignore_errors=True)
        secrets.mkdir()
        for name, text in SECRETS.items():
            (secrets / name).write_text(text)

    def add_overlay(self, name, text):
        directory = self.directory / "overlays" / name
        directory.mkdir()
        (directory / "kustomization.yml").write_text(text)

    def build(self, overlay):
        return list(yaml.safe_load_all(run_command(self.kustomize, "build", self.directory / "overlays" / overlay).stdout))


def validate(documents):
    """Validates each document against each version. Returns the kinds without a schema."""
    without = {}
    for document in documents:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.SchemaNotFoundError:
                without[document["apiVersion"]] = document["kind"]
    return without


def schemas_reject_mistakes(documents):
    """A misspelled field, a wrong type and a missing field are found."""
    def reject(kind, change):
        document = json.loads(json.dumps(next(document for document in documents if document["kind"] == kind)))
        change(document["spec"])
        try:
            validate([document])
        except kubernetes_validate.ValidationError:
            return
        raise AssertionError(f"the schemas accept a wrong {kind}")

    reject("Deployment", lambda spec: spec["strategy"]["rollingUpdate"].update(maxMissing=0))
    reject("HorizontalPodAutoscaler", lambda spec: spec.update(maxReplicas="six"))
    reject("NetworkPolicy", lambda spec: spec["egress"].append("everything"))


def only(documents, kind):
    [found] = [document for document in documents if document["kind"] == kind]
    return found


def check_pod(binary, pod):
    """What a pod must not do, and that its probes ask for routes that there are."""
    [container] = pod["containers"]
    own = container["securityContext"]
    assert own == {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}, own
    user = re.search(r"^USER (\d+):(\d+)$", (REPOSITORY / "deploy/Dockerfile").read_text(), re.MULTILINE)
    shared = pod["securityContext"]
    assert shared["runAsNonRoot"] and [str(shared["runAsUser"]), str(shared["runAsGroup"])] == list(user.groups()), shared
    assert shared["seccompProfile"] == {"type": "RuntimeDefault"} and pod["automountServiceAccountToken"] is False
    assert not pod.get("hostNetwork") and not [volume for volume in pod["volumes"] if "hostPath" in volume]
    paths = json.loads(run_command(binary, "openapi").stdout)["paths"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container[name]["httpGet"]
        assert "get" in paths[probe["path"]] and ports[probe["port"]] == 8000, probe
    # The API finishes requests for 25 s after SIGTERM, which comes after preStop.
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > pause + 25, pause


def check_settings(documents):
    """Every variable is a setting that the README lists, and every secret that a variable names is mounted."""
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", (REPOSITORY / "README.md").read_text(), re.MULTILINE))
    settings = only(documents, "ConfigMap")["data"]
    pod = only(documents, "Deployment")["spec"]["template"]["spec"]
    [container], [volume] = pod["containers"], pod["volumes"]
    assert container["envFrom"] == [{"configMapRef": {"name": only(documents, "ConfigMap")["metadata"]["name"]}}] and "env" not in container
    [secret] = [document for document in documents if document["metadata"]["name"] == volume["secret"]["secretName"]]
    for name, value in settings.items():
        assert name in listed or name.removesuffix("_FILE") in listed, f"{name} is not a setting"
        if name.endswith("_FILE"):
            directory, _, file = value.rpartition("/")
            assert directory == container["volumeMounts"][0]["mountPath"] and file in secret["data"], (name, value)
    assert int(settings["METRICS_PORT"]) in [port["containerPort"] for port in container["ports"]]
    networks = (REPOSITORY / "deploy/nginx/cloudflare.conf").read_text()
    cloudflare = {network for network in re.findall(r"set_real_ip_from (\S+);", networks) if ipaddress.ip_network(network).version == 4}
    assert cloudflare < set(settings["TRUSTED_PROXIES"].split(",")), cloudflare - set(settings["TRUSTED_PROXIES"].split(","))
    return settings


def check_selection(documents):
    """The objects name each other, and a rollout at the autoscaler's limit stays within the connections of the database."""
    deployment = only(documents, "Deployment")
    labels, name = deployment["spec"]["template"]["metadata"]["labels"], deployment["metadata"]["name"]
    autoscaler, database = only(documents, "HorizontalPodAutoscaler")["spec"], only(documents, "Cluster")
    selectors = [deployment["spec"]["selector"]["matchLabels"], only(documents, "Service")["spec"]["selector"],
                 only(documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                 only(documents, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]]
    assert all(selector == labels for selector in selectors), selectors
    assert autoscaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name} and "replicas" not in deployment["spec"]
    surge = deployment["spec"]["strategy"]["rollingUpdate"]
    assert surge["maxUnavailable"] == 0 and autoscaler["minReplicas"] > 1
    needed = (autoscaler["maxReplicas"] + surge["maxSurge"]) * (10 + 1) + 10
    assert needed <= int(database["spec"]["postgresql"]["parameters"]["max_connections"]), needed
    [backend] = [path["backend"]["service"] for rule in only(documents, "Ingress")["spec"]["rules"] for path in rule["http"]["paths"]]
    assert backend["name"] == only(documents, "Service")["metadata"]["name"]
    owner = database["spec"]["bootstrap"]["initdb"]
    assert owner["secret"]["name"] in [document["metadata"]["name"] for document in documents if document["kind"] == "Secret"], owner
    assert f"{database['metadata']['name']}-rw" == only(documents, "ConfigMap")["data"]["DATABASE_HOST"] and owner["owner"] == ROLE


def build_image(podman, programs, base, authority):
    """The last stage of deploy/Dockerfile. Its files come from here, because there is no compiler in the image's build."""
    context = base / "context"
    (context / "etc/ssl/certs").mkdir(parents=True)
    shutil.copy(authority, context / "etc/ssl/certs/ca-certificates.crt")
    shutil.copy(programs["binary"], context / "aponta")
    dockerfile = (REPOSITORY / "deploy/Dockerfile").read_text()
    start = dockerfile.rindex("\nFROM ${RUNTIME_IMAGE}\n")
    stage, count = re.subn(r"^COPY --from=build ", "COPY ", dockerfile[start:], flags=re.MULTILINE)
    assert count == 2, stage
    # Kubernetes ignores it, and this podman does not know --start-interval.
    stage, count = re.subn(r"^HEALTHCHECK .*\n", "", stage, flags=re.MULTILINE)
    assert count == 1, stage
    (context / "Dockerfile").write_text(f"ARG RUNTIME_IMAGE\n{stage}")
    podman.build("localhost/aponta-api:tested", programs["runtime"], context / "Dockerfile", context)


class Pod:
    """The pod of the Deployment, played by podman."""

    def __init__(self, podman, file):
        self.podman, self.file = podman, file
        podman("kube", "play", "--network", "aponta", "--start=false", file)
        [container] = [container for container in json.loads(podman("ps", "--all", "--format", "json")) if not container["IsInfra"]]
        self.name, self.pod = container["Names"][0], container["Pod"]
        [volume] = podman("volume", "ls", "--quiet").split()
        # A volume has the files of a Secret. podman 4.3 does not decode their values.
        self.password = pathlib.Path(podman.inspect("volume", volume)[0]["Mountpoint"], "database_password").read_text()
        assert self.password in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()), self.password

    def start(self):
        self.podman("pod", "start", self.pod)
        infra = self.podman.inspect("container", self.podman.inspect("pod", self.pod)["InfraContainerID"])[0]
        self.address = infra["NetworkSettings"]["Networks"]["aponta"]["IPAddress"]
        inspected = self.podman.inspect("container", self.name)[0]
        self.pid, self.log_file = inspected["State"]["Pid"], pathlib.Path(inspected["HostConfig"]["LogConfig"]["Path"])

    def client(self):
        return Client(8000, self.address)

    def log(self):
        return self.log_file.read_text() if self.log_file.exists() else ""

    async def is_ready(self):
        with contextlib.suppress(OSError, EOFError, ValueError):
            async with self.client() as client:
                return (await client.request("GET", "/health", timeout=5)).status == 200
        return False

    def check_confinement(self):
        """What the kernel says about the process, and what podman says about its container."""
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines() if ":\t" in line)
        assert status["Uid"].split() == ["10001"] * 4 and status["Gid"].split() == ["10001"] * 4, status["Uid"]
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0 and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", status
        try:
            os.close(os.open(f"/proc/{self.pid}/root/x", os.O_CREAT | os.O_WRONLY))
        except OSError as error:
            assert error.errno == errno.EROFS, error
        else:
            raise AssertionError("the root of the container can be written")
        inspected = self.podman.inspect("container", self.name)[0]
        assert inspected["HostConfig"]["ReadonlyRootfs"] and inspected["HostConfig"]["Memory"] == 256 << 20, inspected["HostConfig"]

    def stop(self, seconds):
        """Ends the pod as a cluster does: SIGTERM, and SIGKILL after the grace period. podman does not run preStop."""
        # As a kubelet, the container before the network of the pod: podman 4.3 stops both together, and its `kube down` kills at once.
        self.podman("stop", "--time", str(seconds), self.name)
        exit_code = self.podman.inspect("container", self.name)[0]["State"]["ExitCode"]
        assert exit_code == 0, exit_code
        self.podman("kube", "down", self.file)
        assert not json.loads(self.podman("ps", "--all", "--format", "json")), "a container is left"


async def request(client, status, method, path, body=None, **headers):
    response = await client.request(method, path, body and json.dumps(body).encode(), TOKEN | headers)
    assert response.status == status, (method, path, response.status, response.body)
    return response.body and json.loads(response.body)


async def finish_requests(pod, seconds, cluster, projeto):
    """Stops the pod while requests wait for a lock. Returns how many of them it finished, and how long that took."""
    async def create(client, number):
        async with client:
            await request(client, 201, "POST", ATIVIDADES, {"nome": f"em voo {number}", "id_projeto": projeto})

    async def count(condition):
        return int(await asyncio.to_thread(cluster.sql, f"SELECT count(*) FROM pg_locks WHERE relation = 'atividades'::regclass AND {condition}", DATABASE))

    clients = [pod.client() for _ in range(CLIENTS)]
    async with within("the stop of the pod", 60, pod.log):
        # After SIGTERM there are no new connections.
        await asyncio.gather(*(client.connect() for client in clients))
        lock = await asyncio.create_subprocess_exec(cluster.programs / "psql", "-XAtq", cluster.url(DATABASE), stdin=asyncio.subprocess.PIPE)
        lock.stdin.write(f"BEGIN; LOCK TABLE {SCHEMA}.atividades IN SHARE MODE;\n".encode())
        await wait_until_async("the lock", lambda: count("mode = 'ShareLock' AND granted"), 10)
        creates = [asyncio.create_task(create(client, number)) for number, client in enumerate(clients)]
        await wait_until_async("requests that wait for it", lambda: count("NOT granted"), 10)
        started = time.monotonic()
        stopped = asyncio.create_task(asyncio.to_thread(pod.stop, seconds))
        await asyncio.sleep(1)
        assert not any(create.done() for create in creates), "they did not wait"
        await lock.communicate(b"COMMIT;\n")
        await asyncio.gather(*creates, stopped)
    stored = int(cluster.sql("SELECT count(*) FROM atividades WHERE nome LIKE 'em voo %'", DATABASE))
    assert stored == CLIENTS, f"{stored} of {CLIENTS} are stored"
    return stored, time.monotonic() - started


async def play(programs, base, manifests, cleanup):
    """Runs the pod. Returns figures."""
    (base / "postgres").mkdir()
    cluster = Cluster(base / "postgres", settings={"listen_addresses": "*"}, password="outra-senha")
    cluster.give_to_server(base / "postgres")
    cluster.initialize()
    with open(cluster.data / "pg_hba.conf", "a", encoding="utf-8") as rules:
        rules.write(f"host all all {NETWORK} scram-sha-256\n")
    cluster.start()
    cleanup.callback(cluster.stop, signal.SIGQUIT)
    azure = AzureWithTls(base, GATEWAY)
    await azure.open()
    cleanup.callback(azure.close)
    podman = Podman(base / "podman")
    cleanup.callback(podman.close)
    await asyncio.to_thread(build_image, podman, programs, base, azure.authority)
    podman("network", "create", "--subnet", NETWORK, "--gateway", GATEWAY, "aponta")
    manifests.add_overlay("test", OVERLAY.format(gateway=GATEWAY, database=cluster.port, azure=azure.url))
    file = base / "played.yml"
    file.write_text(yaml.safe_dump_all(document for document in manifests.build("test") if document["kind"] in PLAYED))
    pod = Pod(podman, file)
    quoted = pod.password.replace("'", "''")
    cluster.sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{quoted}'")
    cluster.sql(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
    started = time.monotonic()
    pod.start()
    await wait_until_async("the start of the pod", pod.is_ready, 20, log=pod.log)
    ready = time.monotonic() - started
    pod.check_confinement()
    effective = podman("exec", pod.name, "aponta", "config")
    assert "DATABASE_PASSWORD=***" in effective and PASSWORD not in effective, effective
    async with pod.client() as client:
        for path in ("/health", "/healthz"):
            await request(client, 200, "GET", path)
        projeto = (await request(client, 201, "POST", PROJETOS, {"nome": "Pod"}))["id"]
        atividade = await request(client, 201, "POST", ATIVIDADES, {"nome": "Escrita", "id_projeto": projeto})
        assert (await request(client, 200, "GET", f"{ATIVIDADES}/{atividade['id']}"))["nome"] == "Escrita"
        await request(client, 401, "GET", PROJETOS, Authorization="Bearer desconhecido")
    grace = only(manifests.build("test"), "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    finished, stop = await finish_requests(pod, grace, cluster, projeto)
    return {"s from the start of the pod to /health 200": f"{ready:.1f}", "requests in flight that the pod finished after SIGTERM": finished,
            "s for it, of which a lock held them for one": f"{stop:.1f}"}


async def run(programs, base):
    manifests = Manifests(programs["kustomize"], base)
    documents = manifests.build("example")
    without = validate(documents)
    assert without == OPERATORS, without
    schemas_reject_mistakes(documents)
    check_pod(programs["binary"], only(documents, "Deployment")["spec"]["template"]["spec"])
    settings = check_settings(documents)
    check_selection(documents)
    with contextlib.ExitStack() as cleanup:
        figures = await play(programs, base, manifests, cleanup)
    return {"documents": len(documents), "of them valid for Kubernetes " + " and ".join(VERSIONS): len(documents) - len(without),
            "settings": len(settings), **figures}
