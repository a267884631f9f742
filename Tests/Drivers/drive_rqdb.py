"""Drives a node through rqdb, as its users do.

Arguments: host and port of a node's HTTP API. rqdb takes no user and no password; `requests`, by which it speaks, takes
them of the file that NETRC names. Prints one line per test, as unittest does.
"""

import os
import sys
import unittest

import rqdb

HOST, PORT = sys.argv[1], int(sys.argv[2])


class DriverTests(unittest.TestCase):
    def setUp(self):
        self.connection = rqdb.connect(["%s:%d" % (HOST, PORT)], log=False)
        self.cursor = self.connection.cursor("strong")
        self.cursor.execute("DROP TABLE IF EXISTS persons")
        self.cursor.execute("CREATE TABLE persons (id INTEGER PRIMARY KEY, uid TEXT UNIQUE NOT NULL, name TEXT)")

    def test_rows_come_back(self):
        inserted = self.cursor.execute("INSERT INTO persons (uid, name) VALUES (?, ?)", ("u1", "Jane"))
        self.assertEqual(inserted.rows_affected, 1)
        self.assertEqual(inserted.last_insert_id, 1)
        self.cursor.execute("SELECT uid, name FROM persons WHERE uid=?", ("u1",))
        self.assertEqual(self.cursor.fetchone(), ["u1", "Jane"])
        self.assertIsNone(self.cursor.fetchone())

    def test_transactions_are_whole(self):
        self.cursor.executemany3([
            ("INSERT INTO persons (uid, name) VALUES (?, ?)", ("u2", "Jim")),
            ("INSERT INTO persons (uid, name) VALUES (?, ?)", ("u3", "Jo")),
        ])
        with self.assertRaises(rqdb.errors.DBError):
            self.cursor.executemany3([
                ("INSERT INTO persons (uid, name) VALUES (?, ?)", ("u4", "Joe")),
                ("INSERT INTO persons (uid, name) VALUES (?, ?)", ("u2", "twice")),
            ])
        self.cursor.execute("SELECT count(*) FROM persons")
        self.assertEqual(self.cursor.fetchone()[0], 2)

    def test_every_level_reads(self):
        for level in ["none", "weak", "strong"]:
            cursor = self.connection.cursor(level)
            cursor.execute("SELECT 5")
            self.assertEqual(cursor.fetchone()[0], 5)


class RefusedTests(unittest.TestCase):
    @unittest.skipUnless("NETRC" in os.environ, "nobody is asked who he is")
    def test_without_a_password_nothing_is_done(self):
        netrc = os.environ.pop("NETRC")
        try:
            with self.assertRaises(Exception):
                rqdb.connect(["%s:%d" % (HOST, PORT)], log=False).cursor().execute("SELECT 1")
        finally:
            os.environ["NETRC"] = netrc


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
