"""What a database is made by."""

import hashlib
import re
from pathlib import Path

CENSUS = (Path(__file__).resolve().parent / "census.sql").read_text()

class Recipe:
    """A file of SQL that makes a database, with a head of `-- key: value` lines:

    -- preload: NAMES           shared_preload_libraries
    -- set: NAME = VALUE        a line of postgresql.conf; repeat for several
    -- set 18: NAME = VALUE     the same on one major only
    -- database: NAME           the database to use; default `shop`
    -- majors: 17 18            where it is meant to run; default everywhere
    -- says: SENTENCE           for the table
    """

    def __init__(self, name, text, major, extension=None):
        self.name, self.text, self.extension = name, text, extension or name.split("@")[0]
        self.settings, self.database, self.says, self.majors = [], "shop", "", []
        for key, only, value in re.findall(r"^-- (preload|set|database|majors|says)(?: (\d+))?: (.*)$", text, flags=re.M):
            if only and only != str(major):
                continue
            if key == "preload":
                self.settings.append(f"shared_preload_libraries = '{value}'")
            elif key == "set":
                self.settings.append(value)
            elif key == "majors":
                self.majors = value.split()
            else:
                setattr(self, key, value)

    def digest(self):
        """So that a changed recipe is run again, and everything when the way to compare changed."""
        return hashlib.sha256((self.text + CENSUS).encode()).hexdigest()[:12]
