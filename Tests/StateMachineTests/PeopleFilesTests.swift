import Raft
import Scratch
import Testing
import Wire

@testable import StateMachine

/// Databases in the shapes of those that people try first, made anew here.
@Suite struct PeopleFilesTests {
    /// A shop of music: keys, indexes and text in several scripts.
    private static let music = """
        CREATE TABLE [Artist]([ArtistId] INTEGER PRIMARY KEY NOT NULL, [Name] NVARCHAR(120));
        CREATE TABLE [Album]([AlbumId] INTEGER PRIMARY KEY NOT NULL, [Title] NVARCHAR(160) NOT NULL,
          [ArtistId] INTEGER NOT NULL, FOREIGN KEY([ArtistId]) REFERENCES [Artist]([ArtistId])
          ON DELETE NO ACTION ON UPDATE NO ACTION);
        CREATE TABLE [Track]([TrackId] INTEGER PRIMARY KEY NOT NULL, [Name] NVARCHAR(200) NOT NULL,
          [AlbumId] INTEGER REFERENCES [Album]([AlbumId]), [Milliseconds] INTEGER NOT NULL,
          [UnitPrice] NUMERIC(10,2) NOT NULL);
        CREATE TABLE [PlaylistTrack]([PlaylistId] INTEGER NOT NULL, [TrackId] INTEGER NOT NULL,
          CONSTRAINT [PK_PlaylistTrack] PRIMARY KEY ([PlaylistId], [TrackId]));
        CREATE UNIQUE INDEX [IPK_Album] ON [Album]([AlbumId]);
        CREATE INDEX [IFK_AlbumArtistId] ON [Album]([ArtistId]);
        CREATE INDEX [IFK_TrackAlbumId] ON [Track]([AlbumId]);
        INSERT INTO Artist SELECT value, 'Künstler ' || value || ' '' "x" 音楽'
          FROM json_each('[1,2,3,4,5]');
        INSERT INTO Album SELECT a.ArtistId * 10 + n.value, 'Album ' || n.value, a.ArtistId
          FROM Artist a, json_each('[1,2,3]') n;
        INSERT INTO Track SELECT AlbumId * 10 + n.value, 'Stück; ' || n.value, AlbumId,
          200000 + n.value, 0.99 FROM Album, json_each('[0,1,2,3,4,5,6,7]') n;
        INSERT INTO PlaylistTrack SELECT 1 + TrackId % 3, TrackId FROM Track;
        """

    /// A trader: names with blanks, pictures, dates, views over views.
    private static let trade = """
        CREATE TABLE "Categories"("CategoryID" INTEGER PRIMARY KEY AUTOINCREMENT,
          "CategoryName" TEXT, "Picture" BLOB);
        CREATE TABLE "Order Details"("OrderID" INTEGER NOT NULL, "ProductID" INTEGER NOT NULL,
          "UnitPrice" NUMERIC NOT NULL DEFAULT 0, "Quantity" INTEGER NOT NULL DEFAULT 1,
          "Discount" REAL NOT NULL DEFAULT 0, PRIMARY KEY("OrderID","ProductID"),
          CHECK ("Discount">=(0) and "Discount"<=(1)), CHECK ("Quantity">(0)));
        CREATE TABLE "Orders"("OrderID" INTEGER PRIMARY KEY AUTOINCREMENT, "OrderDate" DATETIME,
          "Freight" NUMERIC DEFAULT 0, "ShipName" TEXT COLLATE NOCASE);
        CREATE VIEW [Order Subtotals] AS SELECT "Order Details".OrderID,
          Sum(("Order Details".UnitPrice*Quantity*(1-Discount)/100)*100) AS Subtotal
          FROM "Order Details" GROUP BY "Order Details".OrderID;
        CREATE VIEW [Summary of Sales] AS SELECT Orders.OrderID, Subtotal FROM Orders
          INNER JOIN "Order Subtotals" ON Orders.OrderID = "Order Subtotals".OrderID;
        INSERT INTO Categories(CategoryName, Picture) VALUES('Beverages', x'151C2F00020000'),
          ('Condiments', zeroblob(3000)), ('Confections', NULL);
        INSERT INTO Orders(OrderDate, Freight, ShipName) SELECT '2016-07-0' || value, value * 1.5,
          'Alfred''s ' || char(10) || value FROM json_each('[1,2,3,4,5,6,7,8,9]');
        INSERT INTO "Order Details" SELECT OrderID, n.value, 14, n.value + 1, 0.05
          FROM Orders, json_each('[1,2,3]') n;
        DELETE FROM Categories WHERE CategoryName = 'Confections';
        """

    /// A rental: triggers that write dates, partial and expression indexes, tables without rowid.
    private static let rental = """
        CREATE TABLE actor(actor_id INTEGER NOT NULL, first_name VARCHAR(45) NOT NULL,
          last_update TIMESTAMP, PRIMARY KEY(actor_id));
        CREATE TABLE film(film_id INTEGER PRIMARY KEY, title VARCHAR(255) NOT NULL,
          rental_rate DECIMAL(4,2) DEFAULT 4.99 NOT NULL, rating VARCHAR(10) DEFAULT 'G',
          special_features VARCHAR(100) DEFAULT NULL,
          CONSTRAINT CHECK_rating CHECK (rating in ('G','PG','PG-13','R','NC-17')));
        CREATE TABLE film_actor(actor_id INT NOT NULL REFERENCES actor(actor_id) ON UPDATE CASCADE,
          film_id INT NOT NULL, last_update TIMESTAMP, PRIMARY KEY(actor_id, film_id)) WITHOUT ROWID;
        CREATE TABLE log(what TEXT, n INTEGER AS (length(what)) STORED);
        CREATE INDEX idx_title ON film(title) WHERE rating <> 'G';
        CREATE INDEX idx_name ON actor(lower(first_name));
        CREATE TRIGGER actor_trigger_ai AFTER INSERT ON actor BEGIN
          INSERT INTO log(what) VALUES('actor; ' || new.first_name);
          UPDATE log SET what = what || '.' WHERE rowid = last_insert_rowid();
        END;
        CREATE VIEW film_list AS SELECT film.film_id AS FID, film.title AS title,
          group_concat(actor.first_name, ', ') AS actors FROM film
          LEFT JOIN film_actor USING(film_id) LEFT JOIN actor USING(actor_id) GROUP BY film.film_id;
        INSERT INTO actor SELECT value, 'PENELOPE ' || value, '2020-12-23 07:12:29'
          FROM json_each('[1,2,3,4]');
        INSERT INTO film(film_id, title, rating) VALUES(1, 'ACADEMY DINOSAUR', 'PG'),
          (2, 'ACE GOLDFINGER', 'G'), (3, 'END;', 'R');
        INSERT INTO film_actor SELECT actor_id, film_id, '2020-12-23' FROM actor, film;
        """

    static let scripts = [music, trade, rental]

    private let shell: ShellDumpTests.Shell
    init() throws { shell = try ShellDumpTests.Shell() }

    private func lines(_ text: String) -> [Substring] { text.split(separator: "\n").sorted() }

    private func dump(_ database: Database) throws -> [Substring] {
        try database.bytes().bytes.write(to: shell.path("dumped"))
        return lines(try shell.run(".dump\n", on: "dumped"))
    }

    private func load(_ bytes: [UInt8], into database: Database, packedBytes: Int) throws {
        let reader = LoadReader(
            directory: database.directory.path, packedBytes: packedBytes, partBytes: 700,
            newID: { LoadID(high: 1, low: 2) })
        let upload = reader.begin()
        #expect(upload.add(bytes) == nil)
        var commands: [LogCommand] = []
        switch upload.finish() {
        case .image(let image): commands = [.load(image)]
        case .sql(let text, let isTransaction):
            let command = Command(
                kind: .execute, statements: [Statement(text)], transaction: isTransaction)
            commands = [.command(command)]
        case .parcel(let parcel):
            for number in 0..<parcel.parts {
                commands.append(
                    .loadPart(
                        LoadPart(
                            id: parcel.id, number: number, byteCount: parcel.byteCount,
                            bytes: try #require(parcel.part(number)))))
            }
            commands.append(
                .loadEnd(
                    LoadEnd(
                        id: parcel.id, action: .replace, onlyEmpty: parcel.onlyEmpty,
                        parts: parcel.parts, byteCount: parcel.byteCount)))
        case let content: Issue.record("\(content)")
        }
        var index = database.applier.applied.position.index
        for command in commands {
            index = index.next
            var results: [AppliedEntry] = []
            let entry = Entry(index: index, term: Term(1), payload: .command(command.encoded()))
            try database.applier.apply([entry], reporting: { _ in true }, into: &results)
            #expect(results.first?.result?.error == nil)
        }
    }

    @Test(arguments: scripts.indices)
    func `Databases of people load by file, by dump and by statements, and dump as they were`(
        script: Int
    ) throws {
        let script = Self.scripts[script]
        _ = try shell.run(script, on: "source")
        let text = try shell.run(".dump\n", on: "source")
        let right = lines(text)
        var file: [UInt8] = []
        try LoadFile.read(shell.path("source")) {
            file += $0
            return true
        }
        for bytes in [file, Array(text.utf8), Array(script.utf8)] {
            // In one entry, and in parts.
            for packedBytes in [60 << 20, 500] {
                let database = try Database()
                try load(bytes, into: database, packedBytes: packedBytes)
                #expect(try dump(database) == right)
            }
        }
        // As a client sends them, one request after the other.
        let database = try Database()
        let statements = script.split(separator: ";\n", omittingEmptySubsequences: true)
        var pending = ""
        for statement in statements {
            pending += statement + ";\n"
            guard !pending.contains("CREATE TRIGGER") || pending.hasSuffix("END;\n") else {
                continue
            }
            try database.execute(pending)
            pending = ""
        }
        #expect(try dump(database) == right)
    }
}
