"""Programs that use clients of rqlite's API which nobody here wrote: tangled-pyrqlite (DB-API, asyncio and
SQLAlchemy), aiorqlite and pydal-rqlite. The node runs with -fk, for pydal-rqlite turns foreign keys on by a
request of its own, which changes nothing then.

    drive_other_clients.py HOST PORT
"""

import asyncio
import sys
import unittest
import warnings

HOST, PORT = sys.argv[1], int(sys.argv[2])


class TangledTests(unittest.TestCase):
    """tangled-pyrqlite; its module is called rqlite."""

    def setUp(self):
        import rqlite

        warnings.simplefilter("ignore")
        self.rqlite = rqlite
        self.connection = rqlite.connect(host=HOST, port=PORT, lock=rqlite.ThreadLock())

    def tearDown(self):
        self.connection.close()

    def test_rows_and_blobs_come_back(self):
        cursor = self.connection.cursor()
        cursor.execute("DROP TABLE IF EXISTS tangled")
        cursor.execute("CREATE TABLE tangled(id INTEGER PRIMARY KEY, name TEXT, data BLOB)")
        cursor.execute("INSERT INTO tangled(name, data) VALUES(?, ?)", ("fiona", b"\x00\xff"))
        self.assertEqual(cursor.lastrowid, 1)
        self.assertEqual(cursor.rowcount, 1)
        cursor.executemany(
            "INSERT INTO tangled(name, data) VALUES(?, ?)", [("a", b""), ("b", None)])
        self.connection.commit()
        cursor.execute("SELECT id, name, data FROM tangled ORDER BY id")
        self.assertEqual(
            [tuple(row) for row in cursor.fetchall()],
            [(1, "fiona", b"\x00\xff"), (2, "a", b""), (3, "b", None)])
        self.assertEqual([column[0] for column in cursor.description], ["id", "name", "data"])
        cursor.execute("UPDATE tangled SET name = 'c' WHERE id > 1")
        self.assertEqual(cursor.rowcount, 2)

    def test_faults_are_errors(self):
        cursor = self.connection.cursor()
        with self.assertRaises(self.rqlite.Error):
            cursor.execute("SELECT * FROM nowhere")

    def test_asyncio(self):
        async def work():
            connection = self.rqlite.async_connect(
                host=HOST, port=PORT, lock=self.rqlite.AioLock())
            async with connection:
                cursor = await connection.cursor()
                await cursor.execute("DROP TABLE IF EXISTS waited")
                await cursor.execute("CREATE TABLE waited(v)")
                await cursor.execute("INSERT INTO waited VALUES(?)", (7,))
                await connection.commit()
                await cursor.execute("SELECT v FROM waited")
                return [tuple(row) for row in cursor.fetchall()]

        self.assertEqual(asyncio.run(work()), [(7,)])

    def test_sqlalchemy(self):
        from sqlalchemy import Column, Integer, String, create_engine, select
        from sqlalchemy.orm import DeclarativeBase, Session

        class Base(DeclarativeBase):
            pass

        class Person(Base):
            __tablename__ = "tangled_people"
            id = Column(Integer, primary_key=True)
            name = Column(String(50))

        engine = create_engine(f"rqlite://{HOST}:{PORT}")
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            session.add_all([Person(name="fiona"), Person(name="declan")])
            session.commit()
            names = session.scalars(select(Person.name).order_by(Person.name)).all()
        self.assertEqual(names, ["declan", "fiona"])


class AiorqliteTests(unittest.TestCase):
    def test_rows_come_back(self):
        import aiorqlite

        async def work():
            async with aiorqlite.connect(host=HOST, port=PORT) as connection:
                async with connection.cursor() as cursor:
                    await cursor.execute("DROP TABLE IF EXISTS aio")
                    await cursor.execute("CREATE TABLE aio(id INTEGER PRIMARY KEY, name TEXT)")
                    await cursor.executemany(
                        "INSERT INTO aio(name) VALUES(?)", seq_of_parameters=(("a",), ("b",)))
                    await cursor.execute("SELECT id, name FROM aio WHERE name = :n", {"n": "b"})
                    return await cursor.fetchone()

        row = asyncio.run(work())
        self.assertEqual((row["id"], row["name"]), (2, "b"))


class PydalTests(unittest.TestCase):
    def test_rows_come_back(self):
        import pydal_rqlite  # noqa: F401 Registers the adapter.
        from pydal import DAL, Field

        database = DAL(f"rqlite://{HOST}:{PORT}", migrate=False)
        database.executesql("DROP TABLE IF EXISTS person")
        database.executesql("CREATE TABLE person(id INTEGER PRIMARY KEY, name CHAR(512))")
        database.define_table("person", Field("name"))
        self.assertEqual(database.person.insert(name="fiona"), 1)
        database.person.insert(name="o'neill")
        database.commit()
        rows = database(database.person.id > 0).select(orderby=database.person.name)
        self.assertEqual([row.name for row in rows], ["fiona", "o'neill"])
        self.assertEqual(database(database.person.name == "fiona").update(name="aoife"), 1)
        self.assertEqual(database(database.person.id > 0).count(), 2)
        self.assertEqual(database(database.person.id == 2).delete(), 1)
        database.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
