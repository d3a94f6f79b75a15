"""PostgreSQL's own regression database: whatever the server can make is in it.

Its SQL is run by psql in the order of the schedule, from the source package that Debian's mirror has for the root's server. What the
statements print is of no interest here, only the database that they leave.
"""

import re
import subprocess

from mill import NotUsable
from recipe import Recipe

ENVIRONMENT = ["PGTZ=America/Los_Angeles", "PGDATESTYLE=Postgres, MDY", "PGOPTIONS=-c intervalstyle=postgres_verbose",
               "PG_ABS_SRCDIR=/mnt/work/src/src/test/regress", "PG_ABS_BUILDDIR=/mnt/work/src/src/test/regress",
               "PG_LIBDIR=/mnt/work/lib", "PG_DLSUFFIX=.so"]


def schedule(mill):
    """The tests in their order."""
    text = (mill.work / "src/src/test/regress/parallel_schedule").read_text()
    return [name for line in re.findall(r"^test: (.*)$", text, flags=re.M) for name in line.split()]


def databases(mill, major):
    """The one database there is."""
    recipe = Recipe("regression", "-- database: regression\n", major, extension="none")
    yield recipe, fill_by(mill, recipe)


# Of the client alone, and an older client does not come to the end of it.
LEFT_OUT = ("psql_pipeline",)


def fill_by(mill, recipe):
    """Runs every test but those left out."""
    def fill(server):
        shared = ["SET lc_messages TO 'C'", "SET lc_monetary TO 'C'", "SET lc_numeric TO 'C'", "SET lc_time TO 'C'", "SET bytea_output TO 'hex'", "SET timezone_abbreviations TO 'Default'"]
        for setting in shared:
            server.psql("postgres", "-qc", f"ALTER DATABASE {recipe.database} {setting}")
        subprocess.run(["mkdir", "-p", mill.work / "src/src/test/regress/results"], check=True)
        subprocess.run(["chown", "-R", f"{mill.uid}:{mill.gid}", mill.work / "src/src/test/regress"], check=True)
        recipe.errors = 0
        for name in schedule(mill):
            if name in LEFT_OUT:
                continue
            said = mill.run(["env", *ENVIRONMENT, f"PGHOST={server.socket}", "psql", "-X", "-q", "-U", "postgres", "-d", recipe.database,
                             "-f", f"/mnt/work/src/src/test/regress/sql/{name}.sql", "-o", "/dev/null"])
            recipe.errors += said.stderr.count("ERROR:")
            if server.process.poll() is not None:
                raise NotUsable(f"the server ended in {name}: {server.log_end()}")
    return fill
