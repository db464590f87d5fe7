"""The proxies of the matrix, each with a short configuration that passes everything on to the service."""

import contextlib
import os
import shutil
import socket
import subprocess

from harness.process import Process, free_port
from harness.wait import wait_until

USER = "nobody" if os.geteuid() == 0 else None

NGINX = """
daemon off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
    uwsgi_temp_path {directory}; scgi_temp_path {directory};
    upstream api {{ server 127.0.0.1:{api}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        location / {{ proxy_pass http://api; }}
        # The last slash removes the prefix.
        location /aponta/ {{ proxy_pass http://api/; }}
        location /inteiro/ {{ proxy_pass http://api; }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend matrix
    bind 127.0.0.1:{port}
    default_backend api
backend api
    server api 127.0.0.1:{api}
"""

VARNISH = """
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{api}"; }}
"""

APACHE = """
ServerRoot {directory}
ServerName localhost
PidFile {directory}/pid
ErrorLog {directory}/error.log
Listen 127.0.0.1:{port}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
User nobody
Group nogroup
ProxyPreserveHost On
ProxyPass / http://127.0.0.1:{api}/
"""


def version(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return (done.stdout + done.stderr).strip().splitlines()[0]


class Proxy:
    """A proxy on a free port. `command` gets the file of its configuration and its directory."""

    def __init__(self, name, base, api, configuration, command):
        self.name, self.port = name, free_port()
        directory = base / name
        directory.mkdir()
        os.chmod(directory, 0o777)
        file = directory / "configuration"
        file.write_text(configuration.format(directory=directory, port=self.port, api=api))
        command = [word.format(directory=directory, port=self.port, file=file) for word in command]
        self.process = Process(name, command, directory / "log")

    def is_listening(self):
        self.process.check_running()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def wait_ready(self):
        wait_until(f"the start of {self.name}", self.is_listening, 60, log=self.process.log)


def start_nginx(base, api):
    """Starts nginx in front of the port `api`."""
    proxy = Proxy("nginx", base, api, NGINX, [shutil.which("nginx") or "/usr/sbin/nginx", "-c", "{file}"])
    proxy.wait_ready()
    return proxy


def varnish(name, base, api, configuration):
    """Starts Varnish in front of the port `api`. It compiles its configuration, which takes some seconds."""
    command = ["varnishd", "-F", "-f", "{file}", "-a", "127.0.0.1:{port}", "-n", "{directory}/work", "-s", "malloc,32m"]
    return Proxy(name, base, api, configuration, command + (["-j", "none"] if USER else []))


def start_all(base, api):
    """Starts every proxy in front of the port `api`."""
    os.chmod(base, 0o755)
    proxies = [
        start_nginx(base, api),
        Proxy("HAProxy", base, api, HAPROXY, ["haproxy", "-f", "{file}"]),
        varnish("Varnish", base, api, VARNISH),
        Proxy("Apache", base, api, APACHE, ["apache2", "-X", "-f", "{file}"]),
    ]
    for proxy in proxies:
        proxy.wait_ready()
    return proxies


def versions():
    return {
        "nginx": version("nginx", "-v").removeprefix("nginx version: nginx/"),
        "HAProxy": version("haproxy", "-v").split()[2],
        "Varnish": version("varnishd", "-V").split("varnish-")[1].split()[0],
        "Apache": version("apache2", "-v").split("Apache/")[1].split()[0],
    }


