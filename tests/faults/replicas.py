"""Replicas start on an empty database, migrate, synchronise, are killed and stop, all at once."""

import asyncio
import json
import signal

from illness import PROJECTS, Organisation
from world import Api, Client, Cluster

REPLICAS = 4
TOKEN = {"Authorization": "Bearer conhecido-1"}


async def synchronise(api):
    async with Client(api.port) as client:
        answer = await client.ask("POST", "/api/v1/integracao/sincronizar", headers=TOKEN)
    assert answer.status == 200, (answer.status, answer.body)
    return json.loads(answer.body)


async def read(api, path):
    async with Client(api.port) as client:
        answer = await client.ask("GET", path, headers=TOKEN)
    assert answer.status == 200, (answer.status, answer.body)
    return json.loads(answer.body)


async def one_round(binary, base, cluster, organisation, number):
    database = f"round_{number}"
    cluster.sql(f"CREATE DATABASE {database}")
    settings = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": organisation.url, "LOG": "info", "DATABASE_POOL_SIZE": "5"}
    apis = [Api(binary, base, cluster.url(database=database), f"{database}-{n}", **settings) for n in range(REPLICAS)]
    try:
        # Each of them finds an empty database, and one of them migrates it.
        await asyncio.gather(*(api.ready() for api in apis))
        took = sum("schema is up to date applied=[]" not in api.log() for api in apis)
        assert took == 1, f"{took} of {REPLICAS} have migrated"
        summaries = await asyncio.gather(*(synchronise(api) for api in apis))
        assert sum(summary["projects_created"] for summary in summaries) == PROJECTS, summaries
        # One dies in the middle of it, two stop, and the last one notices nothing.
        *leaving, last = apis
        synchronising = [asyncio.create_task(synchronise(api)) for api in apis]
        await asyncio.sleep(0.02)
        leaving[0].kill()
        await asyncio.gather(*(asyncio.to_thread(api.kill, signal.SIGTERM) for api in leaving[1:]))
        ended = await asyncio.gather(*synchronising, return_exceptions=True)
        assert not isinstance(ended[-1], BaseException), ended[-1]
        # Who was asked to stop has finished what it had begun.
        assert not any(isinstance(end, BaseException) for end in ended[1:]), ended
        assert len(await read(last, "/api/v1/projetos")) == PROJECTS
        # They come back all at once, on a schema that is there already.
        for api in leaving:
            api.start()
        await asyncio.gather(*(api.ready() for api in apis))
        assert {len(projetos) for projetos in await asyncio.gather(*(read(api, "/api/v1/projetos") for api in apis))} == {PROJECTS}
        await asyncio.gather(*(asyncio.to_thread(api.kill, signal.SIGTERM) for api in apis))
        assert all(api.process.returncode == 0 for api in apis), [api.process.returncode for api in apis]
    finally:
        for api in apis:
            api.end()
    connections = cluster.sql(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'").strip()
    assert connections == "0", f"{connections} connections are left"


async def run(binary, base, *, rounds):
    cluster, organisation = Cluster(base), Organisation()
    await organisation.open()
    try:
        for number in range(rounds):
            await one_round(binary, base, cluster, organisation, number)
        return {"rounds": rounds, "replicas": REPLICAS, "projects synchronised at once": PROJECTS}
    finally:
        organisation.server.close()
        cluster.end()
