"""Hours in Azure DevOps are those by hand plus the sum of the time entries, whatever fails while they are written."""

import asyncio
import json
import random
import signal
import time

from azure_work_items import COMPLETED_WORK, WorkItemsStub
from environment import LimitedCluster, Replica, logs
from harness.wait import Deadline, wait_until_async, within
from http_client import Client

REPLICAS, PERSONS = 3, 40
PATH = "/api/v1/apontamentos"
# Seconds until every work item has its hours after the last fault: a run that was killed holds its lease for 45 s, and a
# work item that failed several times waits for up to a minute.
RECOVERY_TIMEOUT = 240
PENDING = "SELECT count(*) FROM escritas WHERE proxima_em IS NOT NULL"


class Person:
    """Books, changes and deletes entries of their own. The database knows which of them took effect."""

    def __init__(self, number, replicas, azure, atividade, projeto):
        self.random, self.token, self.day = random.Random(number), f"conhecido-{number}", 0
        self.replicas, self.azure, self.atividade, self.projeto, self.own = replicas, azure, atividade, projeto, []

    async def send(self, method, path, body=None):
        """Returns the response, or None where the outcome is unknown."""
        try:
            async with Client(self.random.choice(self.replicas).port) as client:
                headers = {"Authorization": f"Bearer {self.token}"}
                response = await client.request(method, path, body and json.dumps(body).encode(), headers, timeout=40)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError):
            await asyncio.sleep(0.05)
            return None
        if response.status in (502, 503, 504):
            await asyncio.sleep(0.05)
            return None
        # Deleted and closed work items take no hours.
        assert response.status in (200, 201, 204, 404, 422), (response.status, response.body)
        return response

    async def change(self):
        kind = self.random.choice(["book", "book", "book", "change", "delete"])
        duracao = f"00:{self.random.randint(1, 20):02}"
        if kind == "book" or not self.own:
            self.day += 1
            data = time.strftime("%Y-%m-%d", time.gmtime(1_700_000_000 + 86_400 * (self.day % 300)))
            entry = {"work_item_id": self.random.choice(list(self.azure.items)), "duracao": duracao, "data_apontamento": data,
                     "id_atividade": self.atividade, "organization_name": "exemplo", "project_id": self.projeto}
            response = await self.send("POST", PATH, entry)
            if response and response.status == 201:
                self.own.append(json.loads(response.body)["id"])
            return response
        identifier = self.random.choice(self.own)
        if kind == "change":
            return await self.send("PUT", f"{PATH}/{identifier}", {"duracao": duracao})
        response = await self.send("DELETE", f"{PATH}/{identifier}")
        if response and response.status in (204, 404):
            self.own.remove(identifier)
        return response


async def work(person, left):
    while left:
        left.pop()
        await person.change()


async def disturb(replicas, azure, kills, until):
    """Kills and stops replicas, and edits, closes and deletes work items, one after the other."""
    chance, numbers = random.Random(3), list(azure.items)
    for kill in range(kills):
        await asyncio.sleep(2)
        for number in chance.sample(numbers, len(numbers) // 10):
            azure.items[number].edit_by_hand(chance.choice([0.5, 1.0, 1.75]))
        azure.items[chance.choice(numbers)].state = "Closed"
        azure.items[chance.choice(numbers)].is_deleted = True
        replica = chance.choice(replicas)
        await asyncio.to_thread(replica.stop, signal.SIGKILL if kill % 2 == 0 else signal.SIGTERM)
        replica.start()
        await replica.wait_ready()
    await until.wait()


def check_hours(cluster, azure):
    sums = {int(number): int(minutes) for number, minutes in
            cluster.rows("SELECT work_item_id, sum(minutos) FROM apontamentos GROUP BY work_item_id")}
    wrong = []
    for number, item in azure.items.items():
        expected = item.manual + round(sums.get(number, 0) / 60, 2)
        found = item.fields.get(COMPLETED_WORK, 0.0)
        if abs(found - expected) > 0.006:
            wrong.append((number, found, expected, item.manual, item.updates[-6:]))
    assert not wrong, f"{len(wrong)} of {len(azure.items)} work items have other hours: {wrong[:3]}"


async def setup(replica):
    async with Client(replica.port) as client:
        headers = {"Authorization": "Bearer conhecido-0"}
        response = await client.request("POST", "/api/v1/projetos", b'{"nome": "Portal"}', headers)
        projeto = json.loads(response.body)["id"]
        body = json.dumps({"nome": "Desenvolver", "id_projeto": projeto}).encode()
        response = await client.request("POST", "/api/v1/atividades", body, headers)
        return projeto, json.loads(response.body)["id"]


async def wait_written(cluster, replicas, what):
    async def is_written():
        return (await asyncio.to_thread(cluster.sql, PENDING)).strip() == "0"
    await wait_until_async(what, is_written, RECOVERY_TIMEOUT, log=logs(*replicas), interval=0.5)


async def run(binary, base, *, changes, items, kills):
    cluster, azure = LimitedCluster(base), WorkItemsStub(items)
    await azure.open()
    # Hours that people wrote before the service knew the work items.
    for item in list(azure.items.values())[::3]:
        item.edit_by_hand(2.5)
    settings = {"AUTH_ENABLED": "true", "AZURE_DEVOPS_ORG_URL": azure.url, "AZURE_DEVOPS_PAT": "conhecido-999999", "DATABASE_POOL_SIZE": "8"}
    replicas = [Replica(binary, base, cluster.url(), f"writeback-{number}", **settings) for number in range(REPLICAS)]
    try:
        for replica in replicas:
            await replica.wait_ready()
        projeto, atividade = await setup(replicas[0])
        azure.failing, azure.hangs = 0.2, 1 + kills // 2
        until, left = asyncio.Event(), [None] * changes
        disturbance = asyncio.create_task(disturb(replicas, azure, kills, until))
        persons = [Person(number, replicas, azure, atividade, projeto) for number in range(1, PERSONS + 1)]
        deadline = Deadline("the changes", 600, logs(cluster, *replicas))
        pace = max(1, changes // max(1, kills * 3))
        while left:
            deadline.check()
            # At the pace of the disturbances.
            part = [left.pop() for _ in range(min(pace, len(left)))]
            await asyncio.gather(*(work(person, part) for person in persons))
            await asyncio.sleep(0.7)
        until.set()
        async with within("the last disturbance", 200, logs(cluster, *replicas)):
            await disturbance
        azure.failing = 0.0
        started = time.monotonic()
        await wait_written(cluster, replicas, "the end of the pending writes")
        failed = int(cluster.sql("SELECT count(*) FROM escritas WHERE motivo IS NOT NULL"))
        for item in azure.items.values():
            item.state, item.is_deleted = "Active", False
        # Only what failed more than a minute ago is tried again.
        cluster.sql("UPDATE escritas SET falhou_em = falhou_em - interval '1 minute' WHERE motivo IS NOT NULL")
        # The states of work items are remembered for some seconds.
        async with Client(replicas[0].port) as client:
            response = await client.request("POST", "/api/v1/integracao/reenviar", b"{}", {"Authorization": "Bearer conhecido-0"})
        assert (response.status, json.loads(response.body)) == (200, {"work_items": failed}), (response.status, response.body)
        await wait_written(cluster, replicas, "the writes of work items that are open again")
        check_hours(cluster, azure)
        left_over = cluster.sql("SELECT count(*) FROM escritas WHERE motivo IS NOT NULL").strip()
        assert left_over == "0", f"{left_over} work items failed for good"
        applied = int(cluster.sql("SELECT sum(versao) FROM escritas"))
        untried = [fault for fault, times in azure.faults.items() if not times]
        assert not untried or kills < 4, f"these faults were never met: {untried}"
        return {"changes": applied, "work items": items, "writes": azure.writes, "writes per change": round(azure.writes / applied, 2),
                "attempts": azure.attempts, "faults": sum(azure.faults.values()), "kills": kills, "failed and tried again": failed,
                "wrong": 0, "s to recover": round(time.monotonic() - started)}
    finally:
        for replica in replicas:
            replica.stop(signal.SIGKILL)
        azure.close()
        cluster.close()
