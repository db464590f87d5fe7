"""A standby of a cluster, made as deploy/README.md says."""

import signal
import time

from harness.postgres import Cluster

REPLICATION_ROLE, PASSWORD = "aponta_replication", "senha-da-replica"
# Statements that only lists and reports send: those that read entries without locking them, and not one of them by id.
LISTS = """
    SELECT COALESCE(sum(calls), 0) FROM pg_stat_statements
    WHERE query ~ '^SELECT' AND query ~ 'FROM apontamentos WHERE .?.?true|FROM apontamentos WHERE \\$'"""


class Standby(Cluster):
    """A server that follows `primary`, with a replication slot of its own."""

    def __init__(self, primary, base, name):
        base.mkdir()
        super().__init__(base, settings=primary.settings | {"hot_standby_feedback": "on"}, superuser=primary.superuser, password=primary.password)
        self.name, self.lists, self.kills, self.pauses = name, 0, 0, 0
        self.give_to_server(base)
        source = f"host=127.0.0.1 port={primary.port} user={REPLICATION_ROLE} password={PASSWORD} application_name={name}"
        self.run("pg_basebackup", "-D", self.data, "-d", source, "-R", "-X", "stream", "-C", "-S", name, "-c", "fast")
        self.start()

    def pause(self):
        """Pauses replay, and waits until it is paused."""
        self.pauses += 1
        self.sql("SELECT pg_wal_replay_pause()")
        while self.sql("SELECT pg_get_wal_replay_pause_state()").strip() != "paused":
            time.sleep(0.01)

    def resume(self):
        self.sql("SELECT pg_wal_replay_resume()")

    def count_lists(self):
        """How many lists and reports this server has run since its first start."""
        return self.lists + int(self.sql(LISTS, "aponta"))

    def crash(self):
        """Kills the server, which loses its statistics since the last count."""
        self.kills += 1
        self.lists = self.count_lists()
        self.kill()

    def disturb(self, chance, seconds):
        """Pauses, stops or kills the server for some time."""
        match chance.choice(["pause", "pause", "pause", "kill", "stop"]):
            case "pause":
                self.pause()
                time.sleep(seconds)
                self.resume()
            case "kill":
                self.crash()
                time.sleep(seconds)
                self.start()
            case _:
                self.stop(signal.SIGINT)
                time.sleep(seconds)
                self.start()
