"""Statements that the database executes, counted by PostgreSQL, and round trips to it, counted by a proxy."""

import socket
import threading
from contextlib import closing

QUERIES = r"""
SELECT calls, regexp_replace(query, '\s+', ' ', 'g') FROM public.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
WHERE datname = current_database() AND query !~ 'pg_stat_statements' ORDER BY query
"""
TRANSACTION_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK")


class RoundTripCounter:
    """A proxy in front of a port. A round trip begins when the direction changes to the server."""

    def __init__(self, port):
        self.target = port
        self.round_trips = 0
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
            state = {"is_request": False}
            threading.Thread(target=self._forward, args=(client, server, state, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, state, False), daemon=True).start()

    def _forward(self, source, target, state, is_request):
        try:
            while data := source.recv(65536):
                if is_request and not state["is_request"]:
                    self.round_trips += 1
                state["is_request"] = is_request
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            # The other side has closed the connection.
            pass


def count_statements(cluster, database):
    """Makes PostgreSQL count the statements of new connections to the database."""
    cluster.sql(
        f"CREATE EXTENSION pg_stat_statements SCHEMA public;"
        f"ALTER DATABASE {database} SET pg_stat_statements.track = 'top'",
        database,
    )


def count_traffic(cluster, proxy, database, work):
    """Returns the statements of `work` without transaction control, its round trips and the texts of the statements."""
    cluster.sql("SELECT public.pg_stat_statements_reset()", database)
    before = proxy.round_trips
    work()
    trips = proxy.round_trips - before
    rows = cluster.rows(QUERIES, database)
    statements = [(int(calls), query) for calls, query in rows if query.split()[0].upper() not in TRANSACTION_CONTROL]
    return sum(calls for calls, _ in statements), trips, [query for _, query in statements]


def round_trip_counter(cluster):
    return closing(RoundTripCounter(cluster.port))
