"""The inputs of pyrqlite's own tests, through a node: types, declared and in names of columns, times,
counts, and texts of more than a statement.

Arguments: host and port of a node's HTTP API. Prints one line per test, as unittest does.
"""

import datetime
import sys
import unittest

import pyrqlite.dbapi2 as dbapi2

HOST, PORT = sys.argv[1], int(sys.argv[2])


class Case(unittest.TestCase):
    detect = 0
    schema = "create table test(i integer, s varchar, f number, b blob)"

    def setUp(self):
        self.connection = dbapi2.connect(host=HOST, port=PORT, detect_types=self.detect)
        self.cursor = self.connection.cursor()
        # As pyrqlite's tests look whether an earlier run left it.
        if self.cursor.execute("pragma table_info(test)").fetchall():
            self.cursor.execute("drop table test")
        self.cursor.execute(self.schema)

    def tearDown(self):
        self.cursor.execute("drop table test")
        self.cursor.close()
        self.connection.close()

    def back(self, column, value):
        self.cursor.execute("delete from test")
        self.cursor.execute("insert into test(%s) values (?)" % column, (value,))
        self.cursor.execute("select %s from test" % column)
        return self.cursor.fetchone()[0]


class PlainTests(Case):
    def test_the_table_is_described(self):
        self.cursor.execute("pragma table_info('test')")
        self.assertEqual(
            self.cursor.fetchall(),
            [
                (0, "i", "INTEGER", 0, None, 0),
                (1, "s", "varchar", 0, None, 0),
                (2, "f", "number", 0, None, 0),
                (3, "b", "BLOB", 0, None, 0),
            ],
        )

    def test_values_and_null_in_every_column(self):
        for column, value in [("s", "Österreich"), ("i", 42), ("i", 2**40), ("f", 3.14), ("b", b"\x99Guglhupf")]:
            self.assertEqual(self.back(column, value), value)
            self.assertIsNone(self.back(column, None))

    def test_expressions_without_a_table(self):
        for sql, expected in [("select 'Österreich'", "Österreich"), ("select null", None), ("select 5", 5)]:
            self.assertEqual(self.cursor.execute(sql).fetchone()[0], expected)

    def test_comments_after_the_statement(self):
        self.cursor.execute("select 5+4; -- foo bar")
        self.cursor.execute("\n select 5+4;\n\n /*\n foo\n */\n ")

    def test_counts(self):
        for _ in range(2):
            self.cursor.execute("insert into test(s) values ('foo')")
        self.cursor.execute("update test set s='bar'")
        self.assertEqual(self.cursor.rowcount, 2)
        self.cursor.executemany("insert into test(i) values (?)", ((i,) for i in range(5)))
        self.assertEqual(self.cursor.rowcount, 5)

    def test_descriptions(self):
        self.cursor.execute("select * from test where 0 = 1")
        self.assertEqual([column[0] for column in self.cursor.description], ["i", "s", "f", "b"])
        self.cursor.execute("insert into test(i) values (1)")
        self.assertIsNone(self.cursor.description)

    def test_errors_reach_the_program(self):
        for sql in ["select asdf", "asdf", "insert into test(asdf) values (1)", "select * from asdf"]:
            with self.assertRaises(dbapi2.Error):
                self.cursor.execute(sql)
        with self.assertRaises(dbapi2.ProgrammingError):
            self.cursor.execute("insert into test(i) values (?)", (17, "Egon"))

    def test_commit_and_rollback_without_changes(self):
        for _ in range(2):
            self.connection.commit()
            self.connection.rollback()

    def test_common_table_expressions(self):
        # pyrqlite sends what begins so to where writes go, which gives no rows.
        self.cursor.execute("with two(i) as (select 1 union select 2) insert into test(i) select i from two")
        self.cursor.execute("select i from (with bar as (select * from test) select i from bar where i = 1)")
        self.assertEqual(self.cursor.description[0][0], "i")
        self.assertEqual(self.cursor.fetchone()[0], 1)

    def test_zero_bytes_stay(self):
        self.cursor.execute("insert into test(b) values (?)", (b"\x00'\x00",))
        self.cursor.execute("select b, length(b) from test")
        self.assertEqual(tuple(self.cursor.fetchone()), (b"\x00'\x00", 3))


class DeclaredTests(Case):
    detect = dbapi2.PARSE_DECLTYPES
    schema = (
        "create table test(i int, f float, b bool, bin blob, n1 number, n2 number(5), "
        "d date, ts timestamp, dt datetime)"
    )

    def setUp(self):
        super().setUp()
        self.before = dict(dbapi2.converters)
        dbapi2.converters["FLOAT"] = lambda value: 47.2
        dbapi2.converters["BOOL"] = lambda value: bool(int(value))
        dbapi2.converters["NUMBER"] = float

    def tearDown(self):
        dbapi2.converters.clear()
        dbapi2.converters.update(self.before)
        super().tearDown()

    def test_declared_types_choose_converters(self):
        self.assertEqual(self.back("i", 2**40), 2**40)
        self.assertEqual(self.back("f", 3.14), 47.2)
        self.assertIs(self.back("b", False), False)
        self.assertIs(self.back("b", True), True)
        self.assertEqual(self.back("bin", b"Guglhupf"), b"Guglhupf")
        self.assertIsNone(self.back("bin", None))
        for column in ["n1", "n2"]:
            self.assertIs(type(self.back(column, 5)), float)

    def test_dates_and_times(self):
        date = dbapi2.Date(2004, 2, 14)
        self.assertEqual(self.back("d", date), date)
        for more in [(0,), (0, 500000), (0, 510241)]:
            time = dbapi2.Timestamp(2004, 2, 14, 7, 15, *more)
            self.assertEqual(self.back("ts", time), time)
        self.cursor.execute("delete from test")
        self.cursor.execute("insert into test(ts) values (current_timestamp)")
        self.cursor.execute("select ts from test")
        self.assertIs(type(self.cursor.fetchone()[0]), datetime.datetime)


class NamedTests(Case):
    detect = dbapi2.PARSE_COLNAMES

    def test_null_has_no_converter(self):
        self.assertIsNone(self.back("b", None))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
