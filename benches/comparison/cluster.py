"""A private PostgreSQL with the settings of a production server: durable, with memory for all the data."""

import os
import secrets
import tempfile
from contextlib import contextmanager

from harness.postgres import Cluster

SETTINGS = {
    "max_connections": 150,
    "shared_buffers": "512MB",
    # Counts statements only in the databases that enable it, because counting costs time.
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "none",
}


@contextmanager
def running_cluster():
    with tempfile.TemporaryDirectory(prefix="aponta-bench.") as directory:
        # The user of the server enters it.
        os.chmod(directory, 0o755)
        cluster = Cluster(directory, settings=SETTINGS, password=secrets.token_hex(12))
        cluster.initialize()
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def create_database(cluster, name, template="template0"):
    cluster.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
