"""How often the service speaks to its database: statements by PostgreSQL's own count, round trips by one in between."""

import socket
import threading
from contextlib import closing

QUERIES = r"""
SELECT calls, regexp_replace(query, '\s+', ' ', 'g') FROM public.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
WHERE datname = current_database() AND query !~ 'pg_stat_statements' ORDER BY query
"""
BOUNDS = ("BEGIN", "COMMIT", "ROLLBACK")


class Wire:
    """Passes bytes on to a port and counts how often the direction turns towards it."""

    def __init__(self, port):
        self.target = port
        self.trips = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            state = {"asks": False}
            threading.Thread(target=self._pass, args=(client, server, state, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, state, False), daemon=True).start()

    def _pass(self, source, target, state, asks):
        try:
            while data := source.recv(65536):
                if asks and not state["asks"]:
                    self.trips += 1
                state["asks"] = asks
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            # The other end was faster to hang up.
            pass


def count_statements(cluster, database):
    """From here on PostgreSQL counts the statements of connections that are new to the database."""
    cluster.sql(
        database,
        f"CREATE EXTENSION pg_stat_statements SCHEMA public;"
        f"ALTER DATABASE {database} SET pg_stat_statements.track = 'top'",
    )


def counted(cluster, wire, database, work):
    """What `work` took of the database: statements without those that bound a transaction, and round trips."""
    cluster.sql(database, "SELECT public.pg_stat_statements_reset()")
    before = wire.trips
    work()
    trips = wire.trips - before
    rows = cluster.sql(database, QUERIES)
    statements = [(int(calls), query) for calls, query in rows if query.split()[0].upper() not in BOUNDS]
    return sum(calls for calls, _ in statements), trips, [query for _, query in statements]


def wire_to(cluster):
    return closing(Wire(cluster.port))
