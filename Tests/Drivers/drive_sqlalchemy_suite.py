"""Runs SQLAlchemy's compliance suite for dialects against a node, through sqlalchemy-rqlite.

Arguments: host and port of a node's HTTP API, and maybe which tests (as `pytest -k` has it). Prints OK if nothing
fails but what is listed here, with the reason, and in docs/compatibility.md.
"""

import os
import sys
import tempfile

import pytest

HOST, PORT = sys.argv[1], int(sys.argv[2])
CHOICE = sys.argv[3:4]

# Classes, or tests of them.
KNOWN = {
    # SQLite itself fails alike with the suite's own requirements: no parentheses around parts of a compound SELECT,
    # and its reflection names no constraints' places and options.
    "ComponentReflectionTest::test_get_foreign_keys",
    "ComponentReflectionTest::test_get_multi_foreign_keys",
    "ComponentReflectionTest::test_get_multi_unique_constraints",
    "ComponentReflectionTest::test_get_pk_constraint",
    "ComponentReflectionTest::test_get_table_options",
    "ComponentReflectionTest::test_get_view_names",
    "ComponentReflectionTest::test_metadata",
    "ComponentReflectionTest::test_multi_get_table_options",
    "CompoundSelectTest",
    "DeprecatedCompoundSelectTest",
    "QuotedNameArgumentTest::test_get_table_options",
    # pyrqlite makes dates and times of columns so declared, and the dialect takes them for texts.
    "DateTest",
    "DateTimeCoercedToDateTimeTest",
    "TimeMicrosecondsTest",
    "TimeTest",
    # pyrqlite looks for names of parameters within quoted names.
    "DifficultParametersTest::test_round_trip_same_named_column",
    # pyrqlite has one class for all errors of a server.
    "ExceptionTest::test_integrity_error",
    # RETURNING works, and the dialect says that it doesn't.
    "ReturningGuardsTest",
}

SUITE = "from sqlalchemy.testing.suite import *\n"

SETTINGS = """
[tool:pytest]
python_files = test_*.py
[sqla_testing]
requirement_cls = rqlite_requirements:Requirements
profile_file = profiles.txt
"""

# There is one database, and nothing that lasts as long as a connection.
REQUIREMENTS = """
from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

ABSENT = (
    "schemas schema_reflection cross_schema_fk_reflection temp_table_reflection temporary_tables temporary_views "
    "temp_table_names"
)
Requirements = type(
    "Requirements", (SuiteRequirements,), {name: property(lambda self: exclusions.closed()) for name in ABSENT.split()}
)
"""

# The dialect does not tell the server's version, without which nothing is reflected.
START = """
import pytest
from sqlalchemy.dialects import registry
from sqlalchemy_rqlite.pyrqlite import SQLiteDialect_rqlite

registry.register("rqlite", "sqlalchemy_rqlite.pyrqlite", "dialect")
registry.register("rqlite.pyrqlite", "sqlalchemy_rqlite.pyrqlite", "dialect")
pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.testing.plugin.pytestplugin import *
from sqlalchemy.testing.provision import temp_table_keyword_args


@temp_table_keyword_args.for_db("rqlite")
def temporary(config, engine):
    return {"prefixes": ["TEMPORARY"]}


def version(self, connection):
    text = connection.exec_driver_sql("SELECT sqlite_version()").scalar()
    return tuple(int(part) for part in text.split("."))


SQLiteDialect_rqlite._get_server_version_info = version
"""


class Tally:
    """What became of the tests, by class and function."""

    def __init__(self):
        self.passed = 0
        self.failed = []

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.passed and report.when == "call":
            self.passed += 1


def name(nodeid):
    """`suite.py::DateTest_sqlite+pyrqlite_3_40_1::test_x[1]` is `DateTest::test_x`."""
    _, group, function = nodeid.split("::", 2)
    return group.split("_sqlite")[0], function.split("[")[0]


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path.insert(0, folder)
        for file, content in [
            ("conftest.py", START), ("test_suite.py", SUITE), ("setup.cfg", SETTINGS),
            ("rqlite_requirements.py", REQUIREMENTS),
        ]:
            with open(file, "w") as handle:
                handle.write(content)
        tally = Tally()
        arguments = ["-q", "--tb=short", "-p", "no:cacheprovider", "-W", "ignore", "--rootdir", folder, "test_suite.py"]
        arguments += ["--dburi", "rqlite+pyrqlite://%s:%d/" % (HOST, PORT)]
        for choice in CHOICE:
            arguments += ["-k", choice]
        pytest.main(arguments, plugins=[tally])
    unknown = []
    for nodeid in tally.failed:
        group, function = name(nodeid)
        if group not in KNOWN and "%s::%s" % (group, function) not in KNOWN:
            unknown.append(nodeid)
    print("\n%d passed, %d failed as is known" % (tally.passed, len(tally.failed) - len(unknown)))
    if unknown or tally.passed < (1 if CHOICE else 500):
        print("FAILED\n" + "\n".join(unknown))
        sys.exit(1)
    print("OK")


main()
