"""Drives a node through pyrqlite and SQLAlchemy, as their users do.

Arguments: host and port of a node's HTTP API, and maybe user, password, and the file of the authority of its HTTPS.
Prints one line per test, as unittest does.
"""

import datetime
import ssl
import sys
import unittest
import warnings
from urllib.parse import quote

import pyrqlite.dbapi2 as dbapi2
from sqlalchemy import ForeignKey, String, create_engine, inspect, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

HOST, PORT = sys.argv[1], int(sys.argv[2])
USER, PASSWORD, AUTHORITY = (sys.argv[3:] + [None, None, None])[:3]
SECURITY = {}
if AUTHORITY:
    SECURITY = {"scheme": "https", "ssl_context": ssl.create_default_context(cafile=AUTHORITY)}


class DriverTests(unittest.TestCase):
    def setUp(self):
        self.connection = dbapi2.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, **SECURITY)
        self.cursor = self.connection.cursor()
        self.drop_everything()
        self.cursor.execute("create table test(id integer primary key, name text, income number, b blob)")

    def tearDown(self):
        self.drop_everything()
        self.connection.close()

    def drop_everything(self):
        """The idiom of many test suites: whatever the catalogue lists is dropped."""
        for kind in ["view", "table"]:
            self.cursor.execute("select name from sqlite_master where type = ?", (kind,))
            for row in self.cursor.fetchall():
                self.cursor.execute('drop %s if exists "%s"' % (kind, row[0]))
        self.cursor.execute("select count(*) from sqlite_master")
        self.assertEqual(self.cursor.fetchone()[0], 0)

    def test_every_table_listed_can_be_read(self):
        self.cursor.execute("select name from main.sqlite_schema")
        names = [row[0] for row in self.cursor.fetchall()]
        self.assertEqual(names, ["test"])
        for name in names:
            self.cursor.execute('select * from "%s"' % name)
            self.assertEqual(self.cursor.fetchall(), [])

    def test_values_come_back_as_they_went(self):
        for value in ["Österreich", "", "it's", None, 42, 2**40, -(2**63), 3.14, 1e300, b"\x99Guglhupf", b""]:
            self.cursor.execute("delete from test")
            column = "b" if isinstance(value, bytes) else "income" if isinstance(value, float) else "name"
            if isinstance(value, int):
                column = "id"
            self.cursor.execute("insert into test(%s) values (?)" % column, (value,))
            self.cursor.execute("select %s from test" % column)
            self.assertEqual(self.cursor.fetchone()[0], value)

    def test_counts_and_rowids(self):
        self.cursor.execute("insert into test(name) values (?)", ("foo",))
        self.assertEqual(self.cursor.lastrowid, 1)
        self.cursor.executemany("insert into test(name) values (?)", [(str(i),) for i in range(10)])
        self.assertEqual(self.cursor.rowcount, 10)
        self.cursor.execute("update test set name = 'bar' where id > 1")
        self.assertEqual(self.cursor.rowcount, 10)
        self.cursor.execute("select 5 union select 6")
        self.assertEqual([row[0] for row in self.cursor.fetchall()], [5, 6])

    def test_errors(self):
        with self.assertRaises(dbapi2.Error):
            self.cursor.execute("select asdf")
        with self.assertRaises(dbapi2.Error):
            self.cursor.execute("insert into test(id) values (?)", (17, "Egon"))
        self.cursor.execute("insert into test(id) values (1)")
        with self.assertRaises(dbapi2.Error):
            self.cursor.execute("insert into test(id) values (1)")
        with self.assertRaises(ValueError):
            self.cursor.execute(42)

    def test_descriptions_and_pragmas(self):
        self.cursor.execute("select id, name as n from test where 0")
        self.assertEqual([column[0] for column in self.cursor.description], ["id", "n"])
        self.cursor.execute("pragma table_info('test')")
        rows = self.cursor.fetchall()
        self.assertEqual([(row[1], row[2]) for row in rows][:2], [("id", "INTEGER"), ("name", "TEXT")])
        for name, value in [("read_uncommitted", 0), ("journal_mode", "wal"), ("foreign_keys", 0)]:
            self.cursor.execute("PRAGMA " + name)
            self.assertEqual(self.cursor.fetchone()[0], value)


class Base(DeclarativeBase):
    pass


class Artist(Base):
    __tablename__ = "artist"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(30), unique=True)
    born: Mapped[datetime.date]
    albums: Mapped[list["Album"]] = relationship(back_populates="artist", cascade="all, delete-orphan")


class Album(Base):
    __tablename__ = "album"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(index=True)
    artist_id: Mapped[int] = mapped_column(ForeignKey("artist.id"))
    artist: Mapped[Artist] = relationship(back_populates="albums")


class ObjectTests(unittest.TestCase):
    def setUp(self):
        who = "" if USER is None else "%s:%s@" % (quote(USER, safe=""), quote(PASSWORD, safe=""))
        url = "rqlite+pyrqlite://%s%s:%d/" % (who, HOST, PORT)
        self.engine = create_engine(url, native_datetime=True, connect_args=SECURITY)
        Base.metadata.drop_all(self.engine)
        Base.metadata.create_all(self.engine)

    def tearDown(self):
        Base.metadata.drop_all(self.engine)
        self.engine.dispose()

    def test_objects_are_stored_and_found(self):
        with Session(self.engine) as session:
            artist = Artist(name="Nina", born=datetime.date(1933, 2, 21))
            artist.albums = [Album(title="Pastel Blues"), Album(title="Wild Is the Wind")]
            session.add(artist)
            session.commit()
        with Session(self.engine) as session:
            found = session.scalars(select(Album).join(Artist).where(Artist.name == "Nina")).all()
            self.assertEqual(sorted(album.title for album in found), ["Pastel Blues", "Wild Is the Wind"])
            self.assertEqual(found[0].artist.born, datetime.date(1933, 2, 21))
            session.delete(found[0].artist)
            session.commit()
            self.assertEqual(session.scalars(select(Album)).all(), [])

    def test_the_schema_is_reflected(self):
        with self.engine.begin() as connection:
            connection.execute(text("create view titles as select title from album"))
        inspector = inspect(self.engine)
        self.assertEqual(sorted(inspector.get_table_names()), ["album", "artist"])
        self.assertEqual(inspector.get_view_names(), ["titles"])
        self.assertEqual(inspector.get_foreign_keys("album")[0]["referred_table"], "artist")
        self.assertEqual(inspector.get_indexes("album")[0]["column_names"], ["title"])
        self.assertEqual(inspector.get_unique_constraints("artist")[0]["column_names"], ["name"])
        with self.engine.begin() as connection:
            connection.execute(text("drop view titles"))

    def test_isolation_levels_are_accepted(self):
        for level in ["SERIALIZABLE", "READ UNCOMMITTED"]:
            with self.engine.connect().execution_options(isolation_level=level) as connection:
                self.assertEqual(connection.execute(text("select 1")).scalar(), 1)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    unittest.main(argv=[sys.argv[0], "-v"])
