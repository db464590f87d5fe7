"""Replicas start on an empty database, migrate, synchronise, are killed and stop at the same time."""

import asyncio
import json
import signal

from azure_stub import PROJECTS, AzureStub
from environment import LimitedCluster, Replica, logs
from harness.wait import within
from http_client import Client

REPLICAS = 4
TOKEN = {"Authorization": "Bearer conhecido-1"}


async def synchronise(replica):
    async with Client(replica.port) as client:
        response = await client.request("POST", "/api/v1/integracao/sincronizar", headers=TOKEN)
    assert response.status == 200, (response.status, response.body)
    return json.loads(response.body)


async def read(replica, path):
    async with Client(replica.port) as client:
        response = await client.request("GET", path, headers=TOKEN)
    assert response.status == 200, (response.status, response.body)
    return json.loads(response.body)


async def one_round(binary, base, cluster, azure, number):
    database = f"round_{number}"
    cluster.sql(f"CREATE DATABASE {database}")
    settings = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": azure.url, "LOG": "info", "DATABASE_POOL_SIZE": "5"}
    replicas = [Replica(binary, base, cluster.url(database=database), f"{database}-{n}", **settings) for n in range(REPLICAS)]
    try:
        # All find an empty database, and exactly one migrates it.
        await asyncio.gather(*(replica.wait_ready() for replica in replicas))
        migrated = sum("schema is up to date applied=[]" not in replica.log() for replica in replicas)
        assert migrated == 1, f"{migrated} of {REPLICAS} have migrated"
        summaries = await asyncio.gather(*(synchronise(replica) for replica in replicas))
        assert sum(summary["projects_created"] for summary in summaries) == PROJECTS, summaries
        # During a synchronisation one is killed, two stop, and the last one goes on.
        *leaving, last = replicas
        synchronisations = [asyncio.create_task(synchronise(replica)) for replica in replicas]
        await asyncio.sleep(0.02)
        leaving[0].stop(signal.SIGKILL)
        await asyncio.gather(*(asyncio.to_thread(replica.stop) for replica in leaving[1:]))
        async with within("the synchronisations of replicas that stop", 90, logs(cluster, *replicas)):
            ended = await asyncio.gather(*synchronisations, return_exceptions=True)
        assert not isinstance(ended[-1], BaseException), ended[-1]
        # A graceful stop completes the requests in progress.
        assert not any(isinstance(end, BaseException) for end in ended[1:]), ended
        assert len(await read(last, "/api/v1/projetos")) == PROJECTS
        # They start again at the same time, on a migrated schema.
        for replica in leaving:
            replica.start()
        await asyncio.gather(*(replica.wait_ready() for replica in replicas))
        assert {len(projetos) for projetos in await asyncio.gather(*(read(replica, "/api/v1/projetos") for replica in replicas))} == {PROJECTS}
        exit_codes = await asyncio.gather(*(asyncio.to_thread(replica.stop) for replica in replicas))
        assert set(exit_codes) == {0}, exit_codes
    finally:
        for replica in replicas:
            replica.stop(signal.SIGKILL)
    connections = cluster.sql(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'").strip()
    assert connections == "0", f"{connections} connections are left"


async def run(binary, base, *, rounds):
    cluster, azure = LimitedCluster(base), AzureStub()
    await azure.open()
    try:
        for number in range(rounds):
            await one_round(binary, base, cluster, azure, number)
        return {"rounds": rounds, "replicas": REPLICAS, "projects synchronised at once": PROJECTS}
    finally:
        azure.close()
        cluster.close()
