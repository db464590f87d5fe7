"""The whole stack as an operator runs it: deployed by deploy/scripts, unchanged, on the engine of DOCKER_HOST.

An overlay adds a stand-in for Azure DevOps to the network of the containers. The API reaches it over TLS.

usage: compose.py
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import threading
import time
import uuid

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))

from harness import process  # noqa: E402
from harness.wait import Deadline, StepTimeout, wait_until  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
WORK = pathlib.Path(tempfile.mkdtemp(prefix="aponta-stack-"))
DEPLOY = WORK / "repository/deploy"
HTTP, HTTPS = 18080, 18443
# The names that are served, and how curl on this host reaches the first.
NAME, OTHER = "api.exemplo", "outra.exemplo"
SERVED = ("--resolve", f"{NAME}:{HTTPS}:127.0.0.1", f"https://{NAME}:{HTTPS}/health")
PASSWORD = "s3nha%com:coisas@estranhas"
KEY, AUDIENCE = "uma-chave-de-extensao-que-e-longa-o-bastante", "7b3c2a1d-0000-4000-8000-000000000001"
# The overlay, as seen from compose.yml.
OVERLAY = "../../azure.yml"
IDENTITY = json.loads((REPOSITORY / "crates/adapters-azure/tests/fixtures/connectiondata_200_entra_user.json").read_text())["response"]["body"]
# A deploy builds the image, which compiles every crate.
SCRIPT_TIMEOUT = 1800
TLS = ssl.create_default_context()
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


def run(*command, **options):
    return process.run(*command, **{"seconds": SCRIPT_TIMEOUT, **options})


def script(name, *arguments, check=True, **environment):
    return run(str(DEPLOY / "scripts" / name), *arguments, check=check, env={**os.environ, **environment})


def compose(*arguments, check=True):
    return run("docker", "compose", *arguments, check=check, cwd=DEPLOY).stdout


def containers(service):
    return compose("ps", "--quiet", service).split()


def sql(text):
    """Runs a statement as the superuser, over the socket in the container of the database."""
    return compose("exec", "-T", "postgres", "psql", "-U", "aponta", "-d", "aponta", "-XAtqc", text).strip()


def inspect(container, template):
    return run("docker", "inspect", "--format", template, container).stdout.strip()


def wait_healthy(service):
    wait_until(f"a healthy {service}", lambda: all(inspect(c, "{{.State.Health.Status}}") == "healthy" for c in containers(service)), 120,
               log=lambda: compose("logs", "--tail", "20", service), interval=0.5)


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(algorithm, key, **claims):
    text = ".".join(encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": algorithm}, {"exp": int(time.time()) + 7200, **claims}))
    return f"{text}.{encoded(hmac.digest(key.encode(), text.encode(), hashlib.sha256))}"


def app_token(user):
    """Returns a valid token of the extension for a user."""
    return jwt("HS256", KEY, nameid=user, iss="app.vstoken.visualstudio.com", aud=AUDIENCE)


# The access token of the user, and the personal access token of the service, that Azure DevOps accepts.
ACCESS_TOKEN, PAT = jwt("RS256", str(uuid.uuid4()), sub=str(uuid.uuid4())), "p" * 52
APP_TOKEN = app_token(IDENTITY["authenticatedUser"]["id"])


class Client:
    """A client behind CloudFlare: over TLS, on a persistent connection, with another client address in each request."""

    def __init__(self):
        self.connection = None

    def request(self, method, path, body=None, *, token=ACCESS_TOKEN, access_token=None):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(NAME, HTTPS, timeout=60, context=TLS)
            self.connection._create_connection = lambda _, *rest: socket.create_connection(("127.0.0.1", HTTPS), *rest)
        headers = {"CF-Connecting-IP": f"192.0.2.{random.randrange(256)}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if access_token:
            headers["X-Azure-Access-Token"] = access_token
        if body is not None:
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            text = response.read().decode()
        except BaseException:
            self.connection.close()
            self.connection = None
            raise
        if response.getheader("Connection") == "close":
            self.connection.close()
            self.connection = None
        return response.status, json.loads(text) if text else None

    def request_until_served(self, method, path, body=None):
        """Repeats the request until the status is below 500. Returns status and body."""
        deadline = Deadline(f"{method} {path}", 60, lambda: compose("logs", "--tail", "20", "nginx", "api"))
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, response = self.request(method, path, body)
                if status < 500:
                    return status, response
            deadline.check()
            time.sleep(0.3)


class Load:
    """Clients that create and read atividades without a pause, and record each failure."""

    def __init__(self, projeto):
        self.projeto, self.created, self.failures, self.requests = projeto, [], [], 0
        self.stop, self.lock = threading.Event(), threading.Lock()

    def work(self):
        client = Client()
        while not self.stop.is_set():
            nome = str(uuid.uuid4())
            try:
                status, response = client.request("POST", "/api/v1/atividades", {"nome": nome, "id_projeto": self.projeto})
                ok = status == 201
                if ok:
                    self.created.append(response["id"])
                    status, response = client.request("GET", f"/api/v1/atividades/{response['id']}")
                    ok = status == 200 and response["nome"] == nome
                problem = None if ok else (status, response)
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
            with self.lock:
                self.requests += 2
                if problem:
                    self.failures.append(problem)
            time.sleep(0.01)

    def __enter__(self):
        self.threads = [threading.Thread(target=self.work) for _ in range(8)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            # Two requests of 60 s at most.
            thread.join(timeout=150)
            if thread.is_alive():
                raise StepTimeout("a client of the load", 150)


AZURE = """
events {}
http {
    # $known is 1 for a credential that is accepted.
    map_hash_bucket_size 2048;
    map $http_authorization $known { "Bearer %s" 1; "Basic %s" 1; }
    server {
        listen 443 ssl;
        ssl_certificate /azure/server.pem;
        ssl_certificate_key /azure/server.key;
        location = /exemplo/_apis/connectionData {
            if ($known = "") { return 401; }
            default_type "application/json; charset=utf-8; api-version=7.1-preview.1";
            alias /azure/connectionData.json;
        }
        # doctor lists the projects with the PAT of the service.
        location = /exemplo/_apis/projects {
            if ($known = "") { return 401; }
            default_type "application/json; charset=utf-8; api-version=7.1";
            alias /azure/projects.json;
        }
    }
}
"""
AZURE_OVERLAY = """
services:
  azure:
    image: nginx:alpine
    command: [nginx, -c, /azure/nginx.conf, -g, daemon off;]
    networks: [aponta-network]
    volumes: ["%(folder)s:/azure:ro"]
  api:
    # The network of the containers has no route to the internet, and the build downloads crates.
    build: {network: host}
    environment: {SSL_CERT_FILE: /run/azure-ca.pem}
    volumes: ["%(folder)s/ca.pem:/run/azure-ca.pem:ro"]
"""


def prepare_azure():
    """A stand-in for Azure DevOps with one user. Only the API trusts the authority of its certificate."""
    folder = WORK / "azure"
    folder.mkdir()
    (WORK / "azure.yml").write_text(AZURE_OVERLAY % {"folder": folder})
    (folder / "nginx.conf").write_text(AZURE % (ACCESS_TOKEN, base64.b64encode(f":{PAT}".encode()).decode()))
    (folder / "connectionData.json").write_text(json.dumps(IDENTITY))
    (folder / "projects.json").write_text(json.dumps({"count": 0, "value": []}))
    (folder / "extensions").write_text("basicConstraints=CA:FALSE\nsubjectAltName=DNS:azure\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout")
    run("openssl", "req", "-x509", *key, "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority", cwd=folder)
    run("openssl", "req", *key, "server.key", "-out", "server.csr", "-subj", "/CN=azure", cwd=folder)
    run("openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
        "-extfile", "extensions", "-out", "server.pem", cwd=folder)
    # The directory above has mode 700, so the files may be readable.
    for file in folder.iterdir():
        file.chmod(0o644)


def certificate_of(*names):
    return "-days", "90", "-subj", "/CN=origin", "-addext", f"subjectAltName={','.join(f'DNS:{name}' for name in names)}"


def remove_leftovers():
    """Removes what an interrupted run left on the engine of this test."""
    containers_left = run("docker", "ps", "--all", "--quiet").stdout.split()
    if containers_left:
        run("docker", "rm", "--force", "--volumes", *containers_left)
    run("docker", "volume", "prune", "--all", "--force")
    run("docker", "network", "prune", "--force")


def prepare():
    """Copies the work tree and adds the settings, secrets and certificates of an operator."""
    remove_leftovers()
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=REPOSITORY).stdout.split("\n")
    for file in filter(None, files):
        if (REPOSITORY / file).is_file():
            (WORK / "repository" / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / file, WORK / "repository" / file)
    prepare_azure()
    for directory in ("certs", "secrets"):
        (DEPLOY / directory).mkdir(exist_ok=True)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
        str(DEPLOY / "certs/origin.key"), "-out", str(DEPLOY / "certs/origin.pem"), *certificate_of(NAME, OTHER))
    # Line feeds at the end are no part of a secret.
    (DEPLOY / "secrets/database_password").write_text(f"{PASSWORD}\n\n")
    (DEPLOY / "secrets/extension_app_keys").write_text(f"{KEY}:{AUDIENCE}\n")
    example = (DEPLOY / ".env.example").read_text()
    # With quotes and comments, which compose accepts.
    for before, after in (("API_REPLICAS=2", 'API_REPLICAS="2" # how many'), ("SERVER_NAME=\n", f"SERVER_NAME={NAME} {OTHER}\n"),
                          ("AZURE_DEVOPS_ORG_URL=\n", "AZURE_DEVOPS_ORG_URL=https://azure/exemplo\n")):
        assert before in example, before
        example = example.replace(before, after)
    # One person sends all requests.
    (DEPLOY / ".env").write_text(f"{example}\nRATE_PER_PERSON=off\nHTTP_PORT={HTTP}\nHTTPS_PORT='{HTTPS}'\nCOMPOSE_FILE=compose.yml:{OVERLAY}\n")
    for file in (".env", "secrets/database_password", "secrets/extension_app_keys", "certs/origin.key"):
        (DEPLOY / file).chmod(0o600)
    git("init", "--quiet")
    git("add", "--all")
    git("-c", "user.name=a", "-c", "user.email=a@exemplo", "commit", "--quiet", "--message", "as it is")


def git(*arguments):
    return run("git", "-C", str(WORK / "repository"), *arguments).stdout.strip()


def replace(path, before, after):
    """Replaces the file, as git does, so that it has another inode."""
    text = path.read_text()
    assert before in text, (path, before)
    path.with_name("written").write_text(text.replace(before, after, 1))
    path.with_name("written").chmod(path.stat().st_mode)
    path.with_name("written").rename(path)


def deploy_refuses_invalid_settings():
    (DEPLOY / ".env").chmod(0o644)
    (DEPLOY / "secrets/database_password").rename(DEPLOY / "secrets/away")
    done = script("deploy.sh", "v1", check=False)
    assert done.returncode == 1 and "nothing was changed" in done.stderr, done
    assert "may be read by others" in done.stderr and "database_password is missing" in done.stderr, done.stderr
    for name in ("status.sh", "rollback.sh", "doctor.sh", "backup.sh"):
        done = script(name, check=False)
        assert done.returncode == 1 and "may be read by others" in done.stderr, done
    (DEPLOY / ".env").chmod(0o600)
    (DEPLOY / "secrets/away").rename(DEPLOY / "secrets/database_password")
    for required in ("SERVER_NAME", "AZURE_DEVOPS_ORG_URL"):
        for name in ("deploy.sh", "status.sh", "rollback.sh", "doctor.sh", "backup.sh"):
            done = script(name, check=False, MIN_FREE_MB="100", **{required: ""})
            assert done.returncode == 1 and f"{required} is not set in" in done.stderr, (name, done)
        done = run("docker", "compose", "config", "--quiet", check=False, cwd=DEPLOY, env={**os.environ, required: ""})
        assert done.returncode != 0 and f"required variable {required} is missing" in done.stderr, done
    for setting, value in (("SERVER_NAME", "https://api.exemplo"), ("ORIGIN_GUARD", "Off"), ("ORIGIN_PULLS", "../guard/off"), ("API_REPLICAS", "0"), ("BACKUP_TIME", "3"),
                           ("APP_TOKEN_ALONE", "true")):
        done = script("deploy.sh", "v1", check=False, MIN_FREE_MB="100", **{setting: value})
        assert done.returncode == 1 and f"{setting} is " in done.stderr and "nothing was changed" in done.stderr, done
    for line, message in (("ORIGIN_GAURD=off", "ORIGIN_GAURD in "), ("  export LOGS = debug", "LOGS in ")):
        before = (DEPLOY / ".env").read_text()
        (DEPLOY / ".env").write_text(f"{before}\n{line}\n")
        done = script("deploy.sh", "v1", check=False, MIN_FREE_MB="100")
        assert done.returncode == 1 and f"{message}{DEPLOY}/.env is not a setting of this stack" in done.stderr, done
        (DEPLOY / ".env").write_text(before)
    # A personal access token in .env has no effect, and APP_TOKEN_ALONE requires one in its file.
    for setting, value, message in (("AZURE_DEVOPS_PAT", PAT, "AZURE_DEVOPS_PAT in .env is not read"),
                                 ("APP_TOKEN_ALONE", "members", "azure_devops_pat, which is missing or empty")):
        done = script("deploy.sh", "v1", check=False, MIN_FREE_MB="100", **{setting: value})
        assert done.returncode == 1 and message in done.stderr and PAT not in done.stdout + done.stderr, done
    done = script("deploy.sh", "--dry-run", MIN_FREE_MB="100")
    assert "would run: " in done.stdout and "compose build api" in done.stdout, done.stdout
    assert f"building aponta-api:{git('rev-parse', '--short=12', 'HEAD')}\n" in done.stdout, done.stdout
    extra = WORK / "repository/crates/domain/src/extra.rs"
    extra.touch()
    assert f"building aponta-api:{git('rev-parse', '--short=12', 'HEAD')}-dirty\n" in script(
        "deploy.sh", "--dry-run", MIN_FREE_MB="100").stdout
    extra.unlink()
    (WORK / "repository/.git").rename(WORK / "git")
    done = script("deploy.sh", "--dry-run", check=False, MIN_FREE_MB="100")
    assert done.returncode == 1 and "name one" in done.stderr, done
    (WORK / "git").rename(WORK / "repository/.git")
    assert containers("api") == [] and not (DEPLOY / "state").exists() and not (DEPLOY / "secrets/azure_devops_pat").exists()


def deploy_creates_the_stack():
    done = script("deploy.sh", "v1", check=False, MIN_FREE_MB="100", CORS_ORIGINS="*", LOG="verbose", DATABASE_POOL_SIZE="0")
    assert done.returncode == 1 and "the image refuses the settings" in done.stderr and containers("api") == [], done
    assert all(name in done.stderr for name in ("CORS_ORIGINS", "LOG", "DATABASE_POOL_SIZE")), done
    script("deploy.sh", "v1", MIN_FREE_MB="100")
    assert (DEPLOY / "state/current").read_text() == "v1\n"
    assert [len(containers(s)) for s in ("nginx", "api", "postgres")] == [1, 2, 1]
    assert git("status", "--porcelain") == "", "a deploy changes no file of the repository"
    created = (DEPLOY / "secrets/azure_devops_pat").stat()
    assert (created.st_size, created.st_mode & 0o777, created.st_uid) == (0, 0o600, 10001), created
    assert "AZURE_DEVOPS_PAT=  # default\n" in compose("exec", "-T", "api", "aponta", "config"), "an empty secret is unset"


def status_from_this_host():
    """Returns the status that curl on this host gets; 000 without a response."""
    command = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", *SERVED]
    return run(*command, check=False).stdout


def allow_this_host():
    """Adds this host to the networks of CloudFlare."""
    gateway = inspect(containers("nginx")[0], "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}")
    replace(DEPLOY / "nginx/cloudflare.conf", "default 0;\n", f"default 0;\n    {gateway}/32 1;\n")
    replace(DEPLOY / "nginx/cloudflare.conf", "}\n", f"}}\nset_real_ip_from {gateway}/32;\n")
    compose("exec", "-T", "nginx", "nginx", "-s", "reload")
    wait_until("a response to this host", lambda: status_from_this_host() == "200", 10, log=lambda: compose("logs", "--tail", "20", "nginx"))


def users_of_the_organisation_are_authenticated(client):
    # Without the authority of the stand-in the API sends it no token.
    output = compose("run", "--rm", "--no-deps", "-T", "--env", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt", "api", "doctor", check=False)
    assert "https://azure/exemplo: unknown issuer of the certificate: CN=authority" in output, output
    path = "/api/v1/atividades?limit=1"
    assert client.request_until_served("GET", path)[0] == 200
    stranger, unknown = app_token(str(uuid.uuid4())), jwt("RS256", "x")
    for token, access_token, expected in (
        (None, None, 401), (unknown, None, 401), (PAT, None, 200), (APP_TOKEN, None, 401), (APP_TOKEN, unknown, 401),
        (stranger, ACCESS_TOKEN, 401), (APP_TOKEN, ACCESS_TOKEN, 200), (ACCESS_TOKEN, None, 200),
    ):
        status, response = client.request("GET", path, token=token, access_token=access_token)
        assert status == expected, (token, access_token, status, response)


def other_networks_get_no_response():
    assert status_from_this_host() == "000", "this host is not in a network of CloudFlare"
    allow_this_host()


def containers_are_confined():
    published = run("docker", "ps", "--format", "{{.Names}} {{.Ports}}").stdout
    open_ports = [line for line in published.splitlines() if "->" in line]
    assert len(open_ports) == 1 and "nginx" in open_ports[0], published
    mib, second = 1024 * 1024, 10**9
    for service, user, read_only, capabilities, memory, cpus, interval in (
        ("nginx", "", True, ["CHOWN", "NET_BIND_SERVICE", "SETGID", "SETUID"], 256, 1, 30),
        ("api", "10001:10001", True, None, 256, 2, 30),
        ("postgres", "", False, ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"], 1024, 2, 10),
    ):
        for container in containers(service):
            inspected = json.loads(run("docker", "inspect", container).stdout)[0]
            config, host = inspected["Config"], inspected["HostConfig"]
            found = (config["User"], host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"], host["RestartPolicy"]["Name"],
                     host["Memory"], host["NanoCpus"], host["LogConfig"], config["Healthcheck"]["Interval"],
                     config["Healthcheck"]["StartInterval"], list(inspected["NetworkSettings"]["Networks"]))
            assert found == (user, read_only, ["ALL"], ["no-new-privileges:true"], "unless-stopped", memory * mib, cpus * second,
                             {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}, interval * second, second,
                             ["aponta-network"]), (service, found)
            assert sorted(c.removeprefix("CAP_") for c in host["CapAdd"] or []) == (capabilities or []), host["CapAdd"]
            assert host["Privileged"] is False and not host["PidMode"] and host["NetworkMode"] != "host"
    host = json.loads(run("docker", "inspect", *containers("nginx")).stdout)[0]["HostConfig"]
    assert {port["HostIp"] for ports in host["PortBindings"].values() for port in ports} == {"0.0.0.0"}
    sizes = [int(options.split("size=")[1].split("m")[0]) for options in host["Tmpfs"].values()]
    assert len(sizes) == 2 and 2 * sum(sizes) <= host["Memory"] // mib, "the tmpfs counts as memory of the container"
    for container in containers("api"):
        labels = json.loads(inspect(container, "{{json .Config.Labels}}"))
        for name, expected in (("version", "v1"), ("revision", git("rev-parse", "HEAD")), ("licenses", "MIT"),
                               ("created", git("show", "--no-patch", "--format=%cI"))):
            assert labels[f"org.opencontainers.image.{name}"] == expected, (name, labels)
        environment = inspect(container, "{{.Config.Env}}")
        assert not any(secret in environment for secret in ("s3nha", KEY, PAT)), environment
        log = run("docker", "logs", container)
        assert all(json.loads(line) for line in log.stderr.splitlines()), "logs are JSON"
    for role in ("aponta", "aponta_api"):
        assert "password authentication failed" in over_the_network(role, "errada", "SELECT 1").stderr, role


def over_the_network(role, password, text):
    """Runs psql as a role over the network of the containers."""
    return run("docker", "run", "--rm", "--network", "aponta-network", "-e", f"PGPASSWORD={password}", "postgres:15-alpine",
               "psql", "-h", "postgres", "-U", role, "-d", "aponta", "-XAtqc", text, check=False)


def roles_are_separate():
    assert sql("SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolpassword IS NULL FROM pg_authid "
               "WHERE rolname LIKE 'aponta%' AND rolname <> 'aponta_exporter' ORDER BY 1").split() == [
        "aponta|t|t|t|t|t|t", "aponta_api|f|f|f|f|f|f"], "the superuser has no password, the service no rights beyond its schema"
    assert sql("SELECT DISTINCT usename FROM pg_stat_activity WHERE client_addr IS NOT NULL") == "aponta_api"
    others = sql("SELECT nspname FROM pg_namespace WHERE nspname = 'api_aponta' AND nspowner <> 'aponta_api'::regrole UNION ALL "
                 "SELECT relname FROM pg_class WHERE relnamespace = 'api_aponta'::regnamespace AND relowner <> 'aponta_api'::regrole "
                 "UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'api_aponta'::regnamespace "
                 "AND proowner <> 'aponta_api'::regrole")
    assert others == "", f"not owned by the service: {others}"
    secrets = {name: (DEPLOY / "secrets" / name).read_text().strip() for name in ("postgres_password", "database_password")}
    assert len(set(secrets.values())) == 2 and (DEPLOY / "secrets/postgres_password").stat().st_mode & 0o77 == 0
    for password in secrets.values():
        refused = over_the_network("aponta", password, "SELECT 1")
        assert refused.returncode != 0 and "password authentication failed" in refused.stderr, refused
    assert over_the_network("aponta_api", PASSWORD, "SELECT 1").stdout == "1\n"


def role_cannot_read_files(role, password):
    """Not even the keys of the backups, which the server process reads for archiving."""
    for text in ("SELECT pg_read_file('/etc/pgbackrest/conf.d/backup.conf')", "COPY (SELECT 1) TO PROGRAM 'cat /run/secrets/backup'",
                 "CREATE TEMP TABLE t (t text); COPY t FROM '/etc/pgbackrest/conf.d/backup.conf'", "SELECT lo_import('/etc/passwd')",
                 "SELECT rolpassword FROM pg_authid", "ALTER ROLE aponta PASSWORD 'x'", "CREATE ROLE x", "ALTER SYSTEM SET work_mem = '1MB'",
                 "SET ROLE aponta"):
        refused = over_the_network(role, password, text)
        assert refused.returncode != 0, (role, text)
        assert "permission denied" in refused.stderr or "must be" in refused.stderr, (role, text, refused.stderr)


def remove_the_roles():
    """Restores the state of a database whose service is the superuser."""
    for text in (f"ALTER ROLE aponta PASSWORD '{PASSWORD}'", "REASSIGN OWNED BY aponta_api TO aponta", "DROP OWNED BY aponta_api",
                 "DROP ROLE aponta_api"):
        sql(text)


def deploy_adopts_a_superuser_stack(projeto):
    """Replicas that connect as the superuser serve until the new ones do, which have a role of their own."""
    (WORK / "superuser.yml").write_text("services: {api: {environment: {DATABASE_USER: aponta}}}\n")
    sql(f"ALTER ROLE aponta PASSWORD '{PASSWORD}'")
    compose("-f", "compose.yml", "-f", OVERLAY, "-f", str(WORK / "superuser.yml"), "up", "--detach", "--no-deps", "api")
    wait_healthy("api")
    remove_the_roles()
    with Load(projeto) as load:
        script("deploy.sh", "v2", SKIP_BUILD="1", MIN_FREE_MB="100")
    assert not load.failures and load.requests > 100, (load.requests, load.failures[:3])
    roles_are_separate()
    return load.created


def postgresql_is_published_by_the_override_only():
    files = ("-f", "compose.yml", "-f", "compose.postgres-loopback.yml")
    config = json.loads(compose(*files, "config", "--format", "json"))
    assert [port["host_ip"] for port in config["services"]["postgres"]["ports"]] == ["127.0.0.1"]


def stack_survives_restarts(client, path):
    expected = client.request("GET", path)[1]
    for service in ("nginx", "api", "postgres"):
        compose("restart", service)
        wait_healthy(service)
        assert client.request_until_served("GET", path) == (200, expected), service
    for service in ("api", "postgres"):
        # Not docker kill: after that the restart policy does not apply.
        container = containers(service)[0]
        os.kill(int(inspect(container, "{{.State.Pid}}")), signal.SIGKILL)
        assert client.request_until_served("GET", path) == (200, expected), service
        wait_healthy(service)
    assert all(len(containers(service)) == n for service, n in (("nginx", 1), ("api", 2), ("postgres", 1)))


def api_returns_503_while_the_database_is_stopped(client, path):
    compose("stop", "postgres")
    status, response = client.request("GET", path)
    assert status == 503 and response["detail"].startswith("Banco de dados indisponível"), (status, response)
    assert client.request("GET", "/healthz")[0] == 200
    compose("start", "postgres")
    assert client.request_until_served("GET", path)[0] == 200
    wait_healthy("postgres")


def nginx_finds_new_replicas(client, load):
    # By hand, as in the runbook.
    compose("up", "--detach", "--no-deps", "--no-recreate", "--scale", "api=3", "api")
    wait_healthy("api")
    served = set()
    deadline = Deadline("requests to three replicas", 30, lambda: str(served))
    while len(served) < 3:
        deadline.check()
        client.request("GET", "/healthz")
        log = run("docker", "logs", "--since", "5s", containers("nginx")[0]).stdout
        served = {json.loads(line)["upstream"].split(",")[-1].strip() for line in log.splitlines() if '"upstream":"1' in line}
    compose("up", "--detach", "--no-deps", "--no-recreate", "--scale", "api=2", "api")
    assert len(containers("api")) == 2
    assert load.requests > 0


def running_versions():
    """Returns the tag of each replica by its image, because a tag can move to another image."""
    tags = [json.loads(run("docker", "image", "inspect", inspect(c, "{{.Image}}")).stdout)[0]["RepoTags"] for c in containers("api")]
    return [next((tag for tag in sorted(names) if not tag.endswith(":latest")), None) for names in tags]


def upgrade_and_rollback_fail_no_request(projeto):
    created = []
    for name, arguments, expected in (
        ("deploy.sh", ("v2",), "v2"),
        ("deploy.sh", ("v2",), "v2"),
        ("rollback.sh", (), "v1"),
        ("rollback.sh", ("v2",), "v2"),
    ):
        with Load(projeto) as load:
            script(name, *arguments, MIN_FREE_MB="100")
        assert running_versions() == [f"aponta-api:{expected}"] * 2, running_versions()
        assert not load.failures, (name, len(load.failures), load.requests, load.failures[:3])
        assert load.requests > 100, load.requests
        print(f"ok {name} {' '.join(arguments)}: {load.requests} requests, 0 failed", flush=True)
        created += load.created
    return created


def deploy_rolls_back_a_bad_version(projeto):
    # Passes its own health check, but is unreachable from outside its container.
    run("docker", "build", "--quiet", "--tag", "aponta-api:v3", "-", input="FROM aponta-api:v1\nENV API_HOST=127.0.0.1\n")
    with Load(projeto) as load:
        done = script("deploy.sh", "v3", check=False, SKIP_BUILD="1", MIN_FREE_MB="100")
    assert done.returncode == 1 and "v2 serves as before" in done.stdout, done
    assert running_versions() == ["aponta-api:v2"] * 2 and not load.failures, load.failures[:3]
    assert (DEPLOY / "state/current").read_text() == "v2\n"
    done = script("deploy.sh", "v4", check=False, SKIP_BUILD="1", MIN_FREE_MB="100")
    assert done.returncode == 1 and "there is no image aponta-api:v4" in done.stderr, done
    return load.created


# A version with one more migration, which does not start: its schema is newer than the program in it knows.
NEWER = r"""
FROM postgres:15-alpine
COPY --from=aponta-api:v1 /usr/local/bin/aponta /usr/local/bin/aponta
RUN printf '%s\n' '#!/bin/bash' 'set -eu' \
    'export PGPASSWORD=$(cat "$DATABASE_PASSWORD_FILE")' \
    'sql() { psql -qAt -h "$DATABASE_HOST" -U "$DATABASE_USER" -d "$DATABASE_NAME" -c "$1"; }' \
    'step=m99991231_000001_do_futuro table=api_aponta.seaql_migrations' \
    'case $*:$(sql "SELECT count(*) FROM $table WHERE version = '"'"'$step'"'"'") in' \
    '"migrate status:0") aponta migrate status && echo "$step  pending" ;;' \
    '"migrate status:1") aponta migrate status | sed "s/unknown to this version/applied/" ;;' \
    '"migrate up:0") sql "INSERT INTO $table VALUES ('"'"'$step'"'"', 1)" ;;' \
    '"migrate down --steps 1:1") sql "DELETE FROM $table WHERE version = '"'"'$step'"'"'" ;;' \
    '*) exec aponta "$@" ;;' 'esac' > /usr/local/bin/newer && chmod 755 /usr/local/bin/newer
USER 10001:10001
ENTRYPOINT ["newer"]
CMD ["serve"]
"""


def deploy_undoes_the_migration_of_a_bad_version(projeto):
    run("docker", "build", "--quiet", "--tag", "aponta-api:v5", "-", input=NEWER)
    before = sorted(containers("api"))
    with Load(projeto) as load:
        done = script("deploy.sh", "v5", check=False, SKIP_BUILD="1", MIN_FREE_MB="100")
    assert done.returncode == 1 and "migrating: 1 step(s)" in done.stdout and "undoing 1 migration(s)" in done.stdout, done
    assert "v2 serves as before" in done.stdout and not load.failures, (done, load.failures[:3])
    assert sorted(containers("api")) == before, "healthy replicas were replaced"
    assert "do_futuro" not in compose("exec", "-T", "postgres", "psql", "-U", "aponta", "-c", "TABLE api_aponta.seaql_migrations")
    compose("restart", "api")
    wait_healthy("api")
    return load.created


def interrupted_deploy_rolls_back(projeto):
    slow = 'FROM postgres:15-alpine\nCOPY --from=aponta-api:v1 /usr/local/bin/aponta /usr/local/bin/aponta\nUSER 10001:10001\n' \
        'ENTRYPOINT ["bash", "-c", "[[ $0 != serve ]] || sleep 60; exec aponta \\"$0\\" \\"$@\\""]\nCMD ["serve"]\n'
    run("docker", "build", "--quiet", "--tag", "aponta-api:v6", "-", input=slow)
    before = sorted(containers("api"))
    with Load(projeto) as load:
        environment = {**os.environ, "SKIP_BUILD": "1", "MIN_FREE_MB": "100"}
        deploy = process.Process("deploy.sh", [str(DEPLOY / "scripts/deploy.sh"), "v6"], WORK / "deploy.log", env=environment)
        wait_until("the new replicas", lambda: deploy.check_running() or len(containers("api")) == 4, 60, log=deploy.log, interval=0.5)
        again = script("rollback.sh", check=False)
        assert again.returncode == 1 and "another script is at work" in again.stderr, again
        deploy.stop()
    assert deploy.returncode == 143 and "v2 serves as before" in deploy.log(), (deploy.returncode, deploy.log())
    assert sorted(compose("ps", "--all", "--quiet", "api").split()) == before and not load.failures, load.failures[:3]
    assert not list((DEPLOY / "nginx").glob("rollout/*.conf")) and (DEPLOY / "state/current").read_text() == "v2\n"
    return load.created


def replaced_image_is_kept_under_another_tag():
    """Stopped replicas do not count as running."""
    before = inspect("aponta-api:v2", "{{.Id}}")
    run("docker", "stop", containers("api")[0])
    with open(DEPLOY / "Dockerfile", "a", encoding="utf-8") as file:
        file.write("LABEL another=one\n")
    script("deploy.sh", "v2", MIN_FREE_MB="100")
    kept = (DEPLOY / "state/previous").read_text().strip()
    assert kept.startswith("v2-") and inspect(f"aponta-api:{kept}", "{{.Id}}") == before, kept
    assert inspect("aponta-api:v2", "{{.Id}}") == inspect("aponta-api:latest", "{{.Id}}") != before
    assert running_versions() == ["aponta-api:v2"] * 2 and len(compose("ps", "--all", "--quiet", "api").split()) == 2
    script("rollback.sh")
    assert running_versions() == [f"aponta-api:{kept}"] * 2
    script("rollback.sh", "v2")
    assert running_versions() == ["aponta-api:v2"] * 2


def image_built_elsewhere_is_deployed_with_rotated_secrets():
    """As in the runbook: saved by another engine, loaded, and deployed without a build. The deploy applies new secrets as well."""
    archive, previous = str(WORK / "image.tar"), (DEPLOY / "state/previous").read_text()
    run("docker", "tag", "aponta-api:v2", "aponta-api:elsewhere")
    run("docker", "save", "--output", archive, "aponta-api:elsewhere")
    run("docker", "rmi", "aponta-api:elsewhere")
    images = {"SKIP_BUILD": "1", "MIN_FREE_MB": "100"}
    done = script("deploy.sh", "elsewhere", check=False, **images)
    assert done.returncode == 1 and "there is no image aponta-api:elsewhere" in done.stderr, done
    run("docker", "load", "--input", archive)
    secrets = {"database_password": "outra s3nha\n", "extension_app_keys": f"{KEY}-nova:{AUDIENCE}\n"}
    former = {name: (DEPLOY / "secrets" / name).read_text() for name in secrets}
    for name, text in secrets.items():
        (DEPLOY / "secrets" / name).write_text(text)
    script("deploy.sh", "elsewhere", **images)
    user = IDENTITY["authenticatedUser"]["id"]
    rotated = jwt("HS256", f"{KEY}-nova", nameid=user, iss="app.vstoken.visualstudio.com", aud=AUDIENCE)
    for password, token, accepted in ((PASSWORD, APP_TOKEN, False), ("outra s3nha", rotated, True)):
        assert (over_the_network("aponta_api", password, "SELECT 1").stdout == "1\n") == accepted, password
        status, response = Client().request("GET", "/api/v1/atividades?limit=1", token=token, access_token=ACCESS_TOKEN)
        assert status == (200 if accepted else 401), (status, response)
    for name, text in former.items():
        (DEPLOY / "secrets" / name).write_text(text)
    assert (DEPLOY / "state/current").read_text() == "elsewhere\n" and status_from_this_host() == "200"
    script("deploy.sh", "v2", **images)
    # The next steps count on these tags.
    run("docker", "rmi", "aponta-api:elsewhere")
    (DEPLOY / "state/previous").write_text(previous)


def update_replaces_containers_with_newer_images():
    postgres = containers("postgres")
    former = inspect("postgres:15-alpine", "{{.Id}}")
    run("docker", "build", "--quiet", "--tag", "postgres:15-alpine", "-", input="FROM postgres:15-alpine\nLABEL newer=yes\n")
    images = {"SKIP_BUILD": "1", "MIN_FREE_MB": "100"}
    script("deploy.sh", "v2", **images)
    assert containers("postgres") == postgres, "a deploy recreated the database"
    done = script("deploy.sh", "v2", check=False, POSTGRES_VERSION="17", **images)
    assert done.returncode == 1 and "upgrade-postgres.sh moves it to 17" in done.stderr and containers("postgres") == postgres, done
    done = script("update.sh", "--dry-run", MIN_FREE_MB="100")
    assert "pull --ignore-buildable" in done.stdout and "build --pull api" in done.stdout, done
    done = script("update.sh", **images)
    assert "recreating the database" in done.stdout and inspect(containers("postgres")[0], "{{.Image}}") != former, done
    updated = containers("postgres")
    done = script("update.sh", **images)
    assert "recreating the database" not in done.stdout and containers("postgres") == updated, done
    replace(DEPLOY / "compose.yml", "limits: {cpus: \"2\", memory: 1G}", "limits: {cpus: \"2\", memory: 900M}")
    script("update.sh", **images)
    assert inspect(containers("postgres")[0], "{{.HostConfig.Memory}}") == str(900 * 1024 * 1024)


def deploy_reloads_the_files_of_nginx():
    """Also files with another inode, after nginx has validated them."""
    headers = DEPLOY / "nginx/snippets/headers.conf"
    replace(headers, "add_header Referrer-Policy", "add_headers Referrer-Policy")
    done = script("deploy.sh", "v2", check=False, SKIP_BUILD="1", MIN_FREE_MB="100")
    assert done.returncode == 1 and "unknown directive" in done.stdout + done.stderr and "nothing was changed" in done.stderr, done
    # A list of addresses that nginx refuses is replaced by the former one.
    lists = DEPLOY / "nginx/cloudflare.conf"
    before = lists.read_text()
    networks = [line.split()[1].rstrip(";") for line in before.splitlines() if line.startswith("set_real_ip_from")]
    for name, part in (("v4", [n for n in networks if "." in n and not n.endswith("/32")]), ("v6", [n for n in networks if ":" in n])):
        (WORK / name).write_text("\n".join(part))
    done = script("renew-cloudflare-ips.sh", str(WORK / "v4"), str(WORK / "v6"), check=False)
    assert done.returncode == 1 and "the former addresses are restored" in done.stderr and lists.read_text() == before, done
    replace(headers, "add_headers Referrer-Policy", "add_header X-Novo sim always;\nadd_header Referrer-Policy")
    replace(DEPLOY / "nginx/nginx.conf", "worker_connections 4096", "worker_connections 2048")
    for names in ((NAME,), (NAME, OTHER)):
        run("openssl", "req", "-x509", "-key", str(DEPLOY / "certs/origin.key"), "-out", str(DEPLOY / "certs/origin.pem"),
            *certificate_of(*names))
        if OTHER not in names:
            done = script("deploy.sh", "v2", check=False, SKIP_BUILD="1", MIN_FREE_MB="100")
            assert done.returncode == 1 and f"is not for {OTHER}," in done.stderr and "nothing was changed" in done.stderr, done
    done = script("status.sh", check=False)
    assert done.returncode == 1 and "does not present the certificate" in done.stdout, done
    nginx = containers("nginx")
    script("deploy.sh", "v2", SKIP_BUILD="1", MIN_FREE_MB="100")
    assert containers("nginx") == nginx, "a reload is enough"
    response = run("curl", "-ski", *SERVED).stdout
    assert "x-novo: sim" in response.lower(), response
    assert "worker_connections 2048" in compose("exec", "-T", "nginx", "nginx", "-T")
    assert script("status.sh").returncode == 0


def rollback_over_a_migration_requires_a_flag():
    sql = "INSERT INTO api_aponta.seaql_migrations VALUES ('m99991231_000001_do_futuro', 1)"
    psql = ("exec", "-T", "postgres", "psql", "-q", "-U", "aponta", "-c")
    compose(*psql, sql)
    done = script("rollback.sh", check=False)
    assert done.returncode == 1 and "--undo-migrations" in done.stderr, done
    compose(*psql, sql.replace("INSERT INTO", "DELETE FROM").split(" VALUES")[0] + " WHERE version LIKE 'm9999%'")


# A version of release 1.0.0, which ends with the migration count_one_quickly.
OLDER = r"""
FROM aponta-api:v1
USER 0
RUN printf '%s\n' '#!/bin/sh' '[ "$*" = "migrate status" ] || exec aponta "$@"' \
    'aponta migrate status | sed "/_000006_/,\$ s/  applied/  unknown to this version/"' > /usr/local/bin/older && \
    chmod 755 /usr/local/bin/older
USER 10001:10001
ENTRYPOINT ["older"]
CMD ["serve"]
"""


def rollback_undoes_migrations(client, projeto):
    psql = ("exec", "-T", "postgres", "psql", "-U", "aponta", "-At", "-c")
    compose(*psql, "UPDATE api_aponta.seaql_migrations SET applied_at = 0")
    run("docker", "build", "--quiet", "--tag", "aponta-api:v0", "-", input=OLDER)
    newer = compose(*psql, "SELECT count(*) FROM api_aponta.seaql_migrations WHERE 'm20261126' < version").strip()
    done = script("rollback.sh", "v0", check=False)
    assert done.returncode == 1 and f"the newest {newer} migration(s)" in done.stderr, done
    assert f"undoing {newer} migration(s)" in script("rollback.sh", "--undo-migrations", "--dry-run", "v0").stdout
    # A view with a name that the undo needs: no migration is undone, and the service keeps running.
    compose(*psql, "CREATE VIEW api_aponta.atividades_contagem AS SELECT 1 AS um")
    failed = script("rollback.sh", "--undo-migrations", "v0", check=False)
    assert failed.returncode == 1 and "nothing was changed" in failed.stderr, failed
    assert running_versions() == ["aponta-api:v2"] * 2 and client.request_until_served("GET", "/api/v1/atividades?limit=1")[0] == 200
    compose(*psql, "DROP VIEW api_aponta.atividades_contagem")
    script("rollback.sh", "--undo-migrations", "v0")
    assert running_versions() == ["aponta-api:v0"] * 2
    # The older version is the same program, which applies all of them again.
    applied = "SELECT count(*) FROM api_aponta.seaql_migrations WHERE 0 < applied_at"
    assert compose(*psql, applied).strip() == newer, "the migrations were not undone"
    status, _ = client.request_until_served("POST", "/api/v1/atividades", {"nome": "Depois", "id_projeto": projeto})
    assert status == 201, status
    script("deploy.sh", "v2", SKIP_BUILD="1", MIN_FREE_MB="100")


def runbook_restores_a_dump(projeto):
    """Runs the commands of the chapter in the runbook."""
    chapter = (DEPLOY / "README.md").read_text().split("## Dump by hand")[1].split("\n## ")[0]
    dump, restore = (block.split("```")[0] for block in chapter.split("```sh\n")[1:])
    run("bash", "-euc", dump, cwd=DEPLOY)
    client = Client()
    before = client.request("GET", "/api/v1/atividades?limit=1")[1]
    status, _ = client.request("POST", "/api/v1/atividades", {"nome": "Depois da cópia", "id_projeto": projeto})
    assert status == 201, status
    run("bash", "-euc", restore, cwd=DEPLOY)
    wait_healthy("api")
    assert client.request_until_served("GET", "/api/v1/atividades?limit=1") == (200, before)


def backup_overlay_restores_to_a_moment(projeto):
    secret = DEPLOY / "secrets/backup.conf"
    secret.write_text((DEPLOY / "backup/backup.conf.example").read_text())
    with open(DEPLOY / ".env", "a", encoding="utf-8") as settings:
        settings.write(f"COMPOSE_FILE=compose.yml:backup/compose.yml:{OVERLAY}\n")
    (DEPLOY / "secrets/azure_devops_pat").write_text(f"{PAT}\n")
    refused = script("deploy.sh", "v2", check=False, MIN_FREE_MB="100")
    assert refused.returncode == 1 and "backup.conf may be read by others" in refused.stderr, refused
    secret.chmod(0o600)
    refused = script("deploy.sh", "v2", check=False, MIN_FREE_MB="100")
    assert refused.returncode == 1 and "repo1-cipher-pass has fewer than 32 characters" in refused.stderr, refused
    replace(secret, "repo1-cipher-pass=", "repo1-cipher-pass=uma-frase-que-tem-ao-menos-32-letras")
    script("deploy.sh", "v2", SKIP_BUILD="", MIN_FREE_MB="100")
    wait_until("the first backup", lambda: "the last good one ended 0 h ago" in script("status.sh", check=False).stdout, 120,
               log=lambda: compose("logs", "backup"), interval=1)
    script("backup.sh", "incr")
    output = script("doctor.sh", check=False).stdout
    for line in ("ok     database ", "ok     schema ", "ok     certificate ", "ok     backups       the last success was 0 h ago",
                 "ok     archive ", "ok     Azure DevOps  https://azure/exemplo responds in ",
                 f"ok     token         AZURE_DEVOPS_PAT is that of {IDENTITY['authenticatedUser']['providerDisplayName']}",
                 "ok     app tokens    accepted with an access token of their user"):
        assert line in output, output
    client = Client()
    path = "/api/v1/atividades?limit=1"
    before = client.request_until_served("GET", path)
    moment = sql("SELECT clock_timestamp()")
    time.sleep(1)
    status, _ = client.request("POST", "/api/v1/atividades", {"nome": "Depois do momento", "id_projeto": projeto})
    assert status == 201 and client.request("GET", path) != before, status
    running = containers("api") + containers("postgres")
    for wrong, message in (("ontem", "is a moment as"), ("2026-11-23 14:02:30", "is a moment as"), ("2026-13-23 14:02:30+00", "is a moment as"),
                        ("2999-01-01 00:00:00+00", "has not come yet"), ("2020-01-01 00:00:00+00", "the oldest backup is of")):
        refused = script("restore.sh", "--yes", "--to", wrong, check=False)
        assert refused.returncode == 1 and message in refused.stderr, (wrong, refused)
    assert "is a number" in script("restore.sh", "--yes", "--timeline", "um", check=False).stderr
    assert script("restore.sh", "--yes", "--repository", "2", check=False).returncode == 1
    assert containers("api") + containers("postgres") == running, "a refused restore stopped a container"
    assert "say --yes" in script("restore.sh", "--to", moment, check=False).stderr
    assert "would run: compose run" in script("restore.sh", "--dry-run", "--to", moment).stdout
    failed = script("restore.sh", "--yes", "--to", moment, "--timeline", "99", check=False, RECOVERY_TIMEOUT="15")
    assert failed.returncode == 1 and "starting what was stopped" in failed.stdout, failed
    stopped = compose("ps", "--all", "--quiet", "--status", "exited", "--status", "created").split()
    assert [len(containers(name)) for name in ("api", "backup")] == [2, 1] and not stopped, (stopped, failed)
    script("restore.sh", "--yes", "--to", moment)
    wait_healthy("api")
    assert client.request_until_served("GET", path) == before, "not the state of that moment"
    # A change of the secret recreates the containers that read it.
    with open(secret, "a", encoding="utf-8") as file:
        file.write("# repo2 follows\n")
    postgres = containers("postgres")
    script("deploy.sh", "v2", SKIP_BUILD="1", MIN_FREE_MB="100")
    assert containers("postgres") != postgres
    assert "repo2 follows" in compose("exec", "-T", "postgres", "cat", "/etc/pgbackrest/conf.d/backup.conf")
    postgres = containers("postgres")
    script("deploy.sh", "v2", SKIP_BUILD="1", MIN_FREE_MB="100")
    assert containers("postgres") == postgres, "the container was recreated without a change"
    # A backup without the roles: restore.sh creates them.
    role_cannot_read_files("aponta_api", PASSWORD)
    remove_the_roles()
    sql("SELECT pg_switch_wal()")
    script("restore.sh", "--yes")
    wait_healthy("api")
    roles_are_separate()
    assert client.request_until_served("GET", path) == before, "not the latest state"


# A stand-in for the images of the monitoring, which logs each SIGHUP.
MONITOR = "FROM debian:bookworm-slim\nENTRYPOINT [\"bash\", \"-c\", \"trap 'echo reloaded' HUP; while :; do sleep 0.2; done\"]\n"


def deploy_reloads_the_monitoring():
    files = f"compose.yml:backup/compose.yml:monitoring/compose.yml:{OVERLAY}"
    override = WORK / "monitoring.yml"
    # Without the mounts of the host, which it may not have.
    override.write_text("services:\n  alloy: {volumes: !override []}\n  node-exporter: {volumes: !override [], pid: !reset null}\n")
    for name in ("grafana_password", "smtp_password", "slack_webhook"):
        (DEPLOY / "secrets" / name).write_text("segredo\n")
        (DEPLOY / "secrets" / name).chmod(0o600)
    environment = {"COMPOSE_FILE": files, "COMPOSE_OVERRIDE": str(override), "SKIP_BUILD": "1", "MIN_FREE_MB": "100"}
    config = json.loads(run("docker", "compose", "config", "--format", "json", cwd=DEPLOY, env={**os.environ, "COMPOSE_FILE": files}).stdout)
    names = [name for name, service in config["services"].items() if name not in ("nginx", "api", "postgres", "backup", "azure")]
    for name in names:
        run("docker", "build", "--quiet", "--tag", config["services"][name]["image"], "-", input=MONITOR)
        files_mounted = [volume["source"] for volume in config["services"][name].get("volumes", []) if pathlib.Path(volume["source"]).is_file()]
        assert not files_mounted, f"{files_mounted} would keep the content from the start of {name}"
    done = script("deploy.sh", "v2", check=False, **environment)
    assert done.returncode == 1 and "local/alertmanager/alertmanager.yml is missing" in done.stderr, done
    routes = DEPLOY / "local/alertmanager/alertmanager.yml"
    routes.parent.mkdir(parents=True)
    routes.write_text((DEPLOY / "monitoring/alertmanager/alertmanager.yml").read_text().replace("example.org", "exemplo.br"))
    script("deploy.sh", "v2", **environment)
    assert sql("SELECT rolsuper, pg_has_role('aponta_exporter', 'pg_monitor', 'MEMBER') FROM pg_roles WHERE rolname = 'aponta_exporter'") == "f|t"
    exporter = (DEPLOY / "secrets/exporter_password").read_text().strip()
    assert int(over_the_network("aponta_exporter", exporter, "SELECT count(*) FROM pg_ls_waldir()").stdout) > 0
    statements = "SELECT count(*) FROM pg_stat_statements WHERE query ~ 'atividades'"
    assert int(over_the_network("aponta_exporter", exporter, statements).stdout) > 0, "the statements of the service are not counted"
    assert "permission denied" in over_the_network("aponta_exporter", exporter, "SELECT FROM api_aponta.atividades").stderr
    role_cannot_read_files("aponta_exporter", exporter)
    project = "label=com.docker.compose.project=aponta"

    def state(name):
        container = run("docker", "ps", "--quiet", "--filter", project, "--filter", f"label=com.docker.compose.service={name}").stdout.strip()
        return container, inspect(container, "{{.State.StartedAt}}"), run("docker", "logs", container).stdout.count("reloaded")

    before = {name: state(name) for name in names}
    replace(DEPLOY / "monitoring/prometheus/rules/alerts.yml", "> 0.8", "> 0.85")
    replace(DEPLOY / "monitoring/loki/loki.yml", "\n", "\n# another\n")
    (DEPLOY / "secrets/exporter_password").write_text("outra senha\n\n")
    # As an editor does it, which replaces the file: the container has the former one until it starts again.
    webhook = DEPLOY / "secrets/slack_webhook"
    webhook.unlink()
    webhook.write_text("https://example.org/novo\n")
    webhook.chmod(0o600)
    script("deploy.sh", "v2", **environment)
    alertmanager = state("alertmanager")[0]
    assert run("docker", "exec", "--user", "65534", alertmanager, "cat", "/run/secrets/slack_webhook").stdout == "https://example.org/novo\n"
    assert over_the_network("aponta_exporter", "outra senha", "SELECT 1").stdout == "1\n"
    time.sleep(1)
    after = {name: state(name) for name in names}
    container, since, reloads = before["prometheus"]
    assert after["prometheus"] == (container, since, reloads + 1), (before["prometheus"], after["prometheus"])
    restarted = ("alertmanager", "loki", "postgres-exporter")
    for name in restarted:
        assert after[name][0] == before[name][0] and after[name][1] != before[name][1], f"{name} reads its files only when it starts"
    others = [name for name in names if name not in ("prometheus", *restarted)]
    assert [after[name] for name in others] == [before[name] for name in others], "a container without a change was reloaded or restarted"
    run("docker", "rm", "--force", *(after[name][0] for name in names))


def main():
    prepare()
    deploy_refuses_invalid_settings()
    started = time.monotonic()
    deploy_creates_the_stack()
    print(f"ok deployed an empty host in {time.monotonic() - started:.0f} s", flush=True)
    other_networks_get_no_response()
    containers_are_confined()
    roles_are_separate()
    postgresql_is_published_by_the_override_only()

    client = Client()
    users_of_the_organisation_are_authenticated(client)
    print("ok users of the organisation are authenticated", flush=True)
    status, projeto = client.request("POST", "/api/v1/projetos", {"nome": "Portal"})
    assert status == 201, (status, projeto)
    status, atividade = client.request("POST", "/api/v1/atividades", {"nome": "A primeira", "id_projeto": projeto["id"]})
    assert status == 201, (status, atividade)
    path = f"/api/v1/atividades/{atividade['id']}"
    stack_survives_restarts(client, path)
    print("ok restarts and kills", flush=True)
    api_returns_503_while_the_database_is_stopped(client, path)
    with Load(projeto["id"]) as load:
        nginx_finds_new_replicas(client, load)
    print(f"ok scaled to three and back: {load.requests} requests, {len(load.failures)} failed", flush=True)
    created = [atividade["id"], *load.created]
    created += upgrade_and_rollback_fail_no_request(projeto["id"])
    created += deploy_adopts_a_superuser_stack(projeto["id"])
    print("ok a stack whose service was the superuser is adopted", flush=True)
    created += deploy_rolls_back_a_bad_version(projeto["id"])
    created += deploy_undoes_the_migration_of_a_bad_version(projeto["id"])
    created += interrupted_deploy_rolls_back(projeto["id"])
    print("ok a bad version leaves no trace", flush=True)
    replaced_image_is_kept_under_another_tag()
    image_built_elsewhere_is_deployed_with_rotated_secrets()
    update_replaces_containers_with_newer_images()
    deploy_reloads_the_files_of_nginx()
    print("ok images are kept, nginx reloads its files", flush=True)
    rollback_over_a_migration_requires_a_flag()
    rollback_undoes_migrations(client, projeto["id"])
    print("ok rolled back over a migration", flush=True)
    runbook_restores_a_dump(projeto["id"])
    print("ok restored from a dump", flush=True)
    backup_overlay_restores_to_a_moment(projeto["id"])
    print("ok restored to a moment", flush=True)
    deploy_reloads_the_monitoring()
    print("ok the monitoring reloads its files", flush=True)

    assert script("status.sh").returncode == 0
    compose("down")
    script("deploy.sh", "v2", MIN_FREE_MB="100")
    allow_this_host()
    found = compose("exec", "-T", "postgres", "psql", "-U", "aponta", "-At", "-c", "SELECT id FROM api_aponta.atividades").split()
    assert set(created) <= set(found), f"{len(set(created) - set(found))} of {len(created)} are lost"
    assert client.request_until_served("GET", path)[0] == 200
    print(f"stack: all checks passed, {len(created)} atividades found")


try:
    main()
finally:
    if DEPLOY.exists():
        compose("down", "--volumes", "--timeout", "1", check=False)
    shutil.rmtree(WORK, ignore_errors=True)
