"""The harness of the Python suites (faults, stack, backup, monitoring) and of the benchmarks.

`process` starts programs and bounds every wait for them, `postgres` runs a private cluster, `wait` polls with a deadline.
"""
