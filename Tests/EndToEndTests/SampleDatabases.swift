/// Databases of the shape that three well-known samples have, made anew: the kinds of their tables,
/// types, constraints, names and views are theirs, the rows are made up by SQL.
enum SampleDatabase: String, CaseIterable, Sendable {
    case chinook, northwind, sakila

    /// For SQLite's shell.
    var script: String {
        switch self {
        case .chinook: Self.chinookScript
        case .northwind: Self.northwindScript
        case .sakila: Self.sakilaScript
        }
    }

    /// Rows `1…count` of a table.
    private static func fill(_ table: String, _ count: Int, _ columns: String) -> String {
        """
        WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
        INSERT INTO \(table) SELECT \(columns) FROM n;

        """
    }

    // MARK: A music shop

    /// Names in brackets, types with lengths that SQLite only remembers, foreign keys by rule, an index for
    /// each of them, a table whose key is two columns.
    private static let chinookScript =
        """
        CREATE TABLE [Artist] ([ArtistId] INTEGER NOT NULL, [Name] NVARCHAR(120),
            CONSTRAINT [PK_Artist] PRIMARY KEY ([ArtistId]));
        CREATE TABLE [Album] ([AlbumId] INTEGER NOT NULL, [Title] NVARCHAR(160) NOT NULL,
            [ArtistId] INTEGER NOT NULL, CONSTRAINT [PK_Album] PRIMARY KEY ([AlbumId]),
            FOREIGN KEY ([ArtistId]) REFERENCES [Artist] ([ArtistId])
                ON DELETE NO ACTION ON UPDATE NO ACTION);
        CREATE TABLE [Genre] ([GenreId] INTEGER PRIMARY KEY NOT NULL, [Name] NVARCHAR(120));
        CREATE TABLE [MediaType] ([MediaTypeId] INTEGER PRIMARY KEY NOT NULL, [Name] NVARCHAR(120));
        CREATE TABLE [Track] ([TrackId] INTEGER NOT NULL, [Name] NVARCHAR(200) NOT NULL,
            [AlbumId] INTEGER, [MediaTypeId] INTEGER NOT NULL, [GenreId] INTEGER,
            [Composer] NVARCHAR(220), [Milliseconds] INTEGER NOT NULL, [Bytes] INTEGER,
            [UnitPrice] NUMERIC(10,2) NOT NULL, CONSTRAINT [PK_Track] PRIMARY KEY ([TrackId]),
            FOREIGN KEY ([AlbumId]) REFERENCES [Album] ([AlbumId]),
            FOREIGN KEY ([GenreId]) REFERENCES [Genre] ([GenreId]),
            FOREIGN KEY ([MediaTypeId]) REFERENCES [MediaType] ([MediaTypeId]));
        CREATE TABLE [Employee] ([EmployeeId] INTEGER PRIMARY KEY NOT NULL, [LastName] NVARCHAR(20),
            [ReportsTo] INTEGER REFERENCES [Employee] ([EmployeeId]), [HireDate] DATETIME);
        CREATE TABLE [Customer] ([CustomerId] INTEGER PRIMARY KEY NOT NULL,
            [FirstName] NVARCHAR(40) NOT NULL, [Address] NVARCHAR(70), [Email] NVARCHAR(60) NOT NULL,
            [SupportRepId] INTEGER REFERENCES [Employee] ([EmployeeId]));
        CREATE TABLE [Invoice] ([InvoiceId] INTEGER PRIMARY KEY NOT NULL, [CustomerId] INTEGER NOT NULL
            REFERENCES [Customer] ([CustomerId]), [InvoiceDate] DATETIME NOT NULL,
            [Total] NUMERIC(10,2) NOT NULL);
        CREATE TABLE [InvoiceLine] ([InvoiceLineId] INTEGER PRIMARY KEY NOT NULL,
            [InvoiceId] INTEGER NOT NULL REFERENCES [Invoice] ([InvoiceId]),
            [TrackId] INTEGER NOT NULL REFERENCES [Track] ([TrackId]),
            [UnitPrice] NUMERIC(10,2) NOT NULL, [Quantity] INTEGER NOT NULL);
        CREATE TABLE [Playlist] ([PlaylistId] INTEGER PRIMARY KEY NOT NULL, [Name] NVARCHAR(120));
        CREATE TABLE [PlaylistTrack] ([PlaylistId] INTEGER NOT NULL, [TrackId] INTEGER NOT NULL,
            CONSTRAINT [PK_PlaylistTrack] PRIMARY KEY ([PlaylistId], [TrackId]),
            FOREIGN KEY ([PlaylistId]) REFERENCES [Playlist] ([PlaylistId]),
            FOREIGN KEY ([TrackId]) REFERENCES [Track] ([TrackId]));
        CREATE INDEX [IFK_AlbumArtistId] ON [Album] ([ArtistId]);
        CREATE INDEX [IFK_CustomerSupportRepId] ON [Customer] ([SupportRepId]);
        CREATE INDEX [IFK_InvoiceLineTrackId] ON [InvoiceLine] ([TrackId]);
        CREATE INDEX [IFK_TrackAlbumId] ON [Track] ([AlbumId]);
        CREATE UNIQUE INDEX [IPK_PlaylistTrack] ON [PlaylistTrack] ([PlaylistId], [TrackId]);

        """
        + fill("Artist", 275, "i, CASE i % 9 WHEN 0 THEN NULL ELSE 'Björk & Søn ' || i END")
        + fill("Album", 347, "i, 'It''s \"album\" ' || i, i % 275 + 1")
        + fill("Genre", 25, "i, 'Genre ' || i") + fill("MediaType", 5, "i, 'AAC; file ' || i")
        + fill(
            "Track", 3503,
            "i, 'Canção ' || i, i % 347 + 1, i % 5 + 1, i % 25 + 1, "
                + "CASE WHEN i % 3 THEN 'A. Young' || char(10) || 'B. Old' END, "
                + "i * 337, i * 12345, 0.99 + i % 2")
        + fill("Employee", 8, "i, 'Name ' || i, NULLIF(i - 1, 0), '2002-08-14 00:00:00'")
        + fill(
            "Customer", 59,
            "i, 'Luís ' || i, 'Av. ' || i || ', 2º andar', i || '@example.com', i % 8 + 1")
        + fill(
            "Invoice", 412,
            "i, i % 59 + 1, datetime(1230768000 + i * 86400, 'unixepoch'), i / 100.0")
        + fill("InvoiceLine", 2240, "i, i % 412 + 1, i % 3503 + 1, 0.99, 1")
        + fill("Playlist", 18, "i, 'Música ' || i")
        + fill("PlaylistTrack", 8715, "i % 18 + 1, i / 18 + 1")

    // MARK: A trading house

    /// Names with blanks, pictures, checks, defaults that are expressions, views over views.
    private static let northwindScript =
        """
        CREATE TABLE [Categories] ([CategoryID] INTEGER PRIMARY KEY AUTOINCREMENT, [CategoryName] TEXT,
            [Description] TEXT, [Picture] BLOB);
        CREATE TABLE [Customers] ([CustomerID] TEXT, [CompanyName] TEXT COLLATE NOCASE, [Fax] TEXT,
            PRIMARY KEY ([CustomerID])) WITHOUT ROWID;
        CREATE TABLE [Employees] ([EmployeeID] INTEGER PRIMARY KEY AUTOINCREMENT, [LastName] TEXT,
            [BirthDate] DATE, [Photo] BLOB, [ReportsTo] INTEGER,
            FOREIGN KEY ([ReportsTo]) REFERENCES [Employees] ([EmployeeID]));
        CREATE TABLE [Products] ([ProductID] INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            [ProductName] TEXT NOT NULL, [CategoryID] INTEGER, [UnitPrice] NUMERIC DEFAULT 0,
            [UnitsInStock] INTEGER DEFAULT (0), [Discontinued] TEXT NOT NULL DEFAULT '0',
            CHECK ([UnitPrice] >= 0), CHECK ([UnitsInStock] >= 0),
            FOREIGN KEY ([CategoryID]) REFERENCES [Categories] ([CategoryID]));
        CREATE TABLE [Orders] ([OrderID] INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, [CustomerID] TEXT,
            [EmployeeID] INTEGER, [OrderDate] DATETIME DEFAULT (datetime('now')), [Freight] NUMERIC DEFAULT 0,
            FOREIGN KEY ([CustomerID]) REFERENCES [Customers] ([CustomerID]),
            FOREIGN KEY ([EmployeeID]) REFERENCES [Employees] ([EmployeeID]));
        CREATE TABLE [Order Details] ([OrderID] INTEGER NOT NULL, [ProductID] INTEGER NOT NULL,
            [UnitPrice] NUMERIC NOT NULL DEFAULT 0, [Quantity] INTEGER NOT NULL DEFAULT 1,
            [Discount] REAL NOT NULL DEFAULT 0,
            [Total] AS (UnitPrice * Quantity * (1 - Discount)) STORED,
            PRIMARY KEY ("OrderID", "ProductID"), CHECK ([Discount] >= (0) AND [Discount] <= (1)),
            FOREIGN KEY ([OrderID]) REFERENCES [Orders] ([OrderID]) ON DELETE CASCADE);
        CREATE INDEX [By date, newest first] ON [Orders] ([OrderDate] DESC);
        CREATE INDEX [Dear] ON [Products] ([UnitPrice]) WHERE [UnitPrice] > 20;
        CREATE VIEW [Order Details Extended] AS SELECT d.*, p.ProductName,
            round(d.UnitPrice * d.Quantity * (1 - d.Discount), 2) AS ExtendedPrice
            FROM [Order Details] d JOIN Products p USING (ProductID);
        CREATE VIEW [Order Subtotals] AS SELECT OrderID, sum(ExtendedPrice) AS Subtotal
            FROM [Order Details Extended] GROUP BY OrderID;
        CREATE VIEW [Products Above Average Price] AS SELECT ProductName, UnitPrice FROM Products
            WHERE UnitPrice > (SELECT avg(UnitPrice) FROM Products) ORDER BY UnitPrice DESC;

        """
        + fill(
            "Categories", 8,
            "i, 'Category ' || i, 'Sweet; \"savory\" -- and more', "
                + "CAST(replace(hex(zeroblob(400)), '00', char(i, 0, 255)) AS BLOB)")
        + fill("Customers", 91, "printf('CU%03d', i), 'Société ' || i, NULLIF(i % 4, 0)")
        + fill(
            "Employees", 9,
            "i, 'O''Neil ' || i, date(-400000000 + i * 8640000, 'unixepoch'), zeroblob(i * 100), "
                + "NULLIF(i / 2, 0)")
        + fill(
            "Products", 77, "i, 'Chef Anton''s ' || i, i % 8 + 1, i * 1.25, i % 40, i % 10 = 0")
        + fill(
            "Orders", 830,
            "10247 + i, printf('CU%03d', i % 91 + 1), i % 9 + 1, "
                + "datetime(836438400 + i * 43210, 'unixepoch'), i * 0.37")
        + fill(
            "\"Order Details\"(OrderID, ProductID, UnitPrice, Quantity, Discount)", 2155,
            "10248 + i % 830, i / 830 * 11 + i % 7 + 1, i % 50 * 1.1, i % 30 + 1, "
                + "CASE WHEN i % 4 THEN 0 ELSE 0.05 END")
        + "DELETE FROM [Order Details] WHERE OrderID = 11077; DELETE FROM Orders WHERE OrderID = 11077;\n"

    // MARK: A shop that lends films

    /// Triggers on most tables, checks in place of enumerations, views that join and aggregate, keys
    /// of two columns, an index over an expression.
    private static let sakilaScript =
        [
            "actor(actor_id numeric NOT NULL, first_name VARCHAR(45) NOT NULL, last_name VARCHAR(45) NOT NULL",
            "category(category_id SMALLINT NOT NULL, name VARCHAR(25) NOT NULL",
            "language(language_id SMALLINT NOT NULL, name CHAR(20) NOT NULL",
        ]
        .map { text in
            let table = text.prefix { $0 != "(" }
            return
                "CREATE TABLE \(text), last_update TIMESTAMP NOT NULL, PRIMARY KEY (\(table)_id));\n"
        }.joined()
            + """
            CREATE TABLE film(film_id int NOT NULL, title VARCHAR(255) NOT NULL,
                description BLOB SUB_TYPE TEXT DEFAULT NULL, release_year VARCHAR(4) DEFAULT NULL,
                language_id SMALLINT NOT NULL, rental_rate DECIMAL(4,2) DEFAULT 4.99 NOT NULL,
                rating VARCHAR(10) DEFAULT 'G', special_features VARCHAR(100) DEFAULT NULL,
                last_update TIMESTAMP NOT NULL, PRIMARY KEY (film_id),
                CONSTRAINT CHECK_special_features CHECK (special_features IS NULL
                    OR special_features LIKE '%Trailers%' OR special_features LIKE '%Deleted Scenes%'),
                CONSTRAINT CHECK_special_rating CHECK (rating IN ('G', 'PG', 'PG-13', 'R', 'NC-17')),
                CONSTRAINT fk_film_language FOREIGN KEY (language_id) REFERENCES language (language_id)
                    ON DELETE NO ACTION ON UPDATE CASCADE);
            CREATE TABLE film_actor(actor_id INT NOT NULL, film_id INT NOT NULL,
                last_update TIMESTAMP NOT NULL, PRIMARY KEY (actor_id, film_id),
                CONSTRAINT fk_film_actor_actor FOREIGN KEY (actor_id) REFERENCES actor (actor_id),
                CONSTRAINT fk_film_actor_film FOREIGN KEY (film_id) REFERENCES film (film_id));
            CREATE TABLE payment(payment_id int NOT NULL, customer_id INT NOT NULL, amount DECIMAL(5,2),
                payment_date TIMESTAMP NOT NULL, picture BLOB DEFAULT NULL, PRIMARY KEY (payment_id));
            CREATE TABLE film_text(film_id SMALLINT NOT NULL, title VARCHAR(255) NOT NULL,
                description BLOB SUB_TYPE TEXT, PRIMARY KEY (film_id));
            CREATE INDEX idx_actor_last_name ON actor(last_name);
            CREATE INDEX idx_fk_language_id ON film(language_id);
            CREATE INDEX idx_title ON film(lower(title));

            """
        + fill("actor", 200, "i, 'PENÉLOPE', 'GUINESS ' || i, '2006-02-15 04:34:33'")
        + fill("category", 16, "i, 'Sci-Fi ' || i, '2006-02-15 04:46:27'")
        + fill("language", 6, "i, printf('%-20s', 'Language ' || i), '2006-02-15 05:02:19'")
        + fill(
            "film", 1000,
            "i, 'ACADEMY ' || i, 'An epic ' || char(9) || 'drama', 2006, i % 6 + 1, i % 5 + 0.99, "
                + "CASE i % 3 WHEN 0 THEN 'G' WHEN 1 THEN 'PG-13' ELSE 'R' END, "
                + "CASE WHEN i % 2 THEN 'Trailers' END, '2006-02-15 05:03:42'")
        + fill("film_actor", 5462, "i % 200 + 1, i / 200 * 7 + i % 13 + 1, '2006-02-15 05:05:03'")
        + fill(
            "payment", 4000,
            "i, i % 599 + 1, i % 12 - 0.01, datetime(1116892800 + i * 997, 'unixepoch'), "
                + "CASE WHEN i % 100 = 0 THEN zeroblob(50) END")
        + "INSERT INTO film_text SELECT film_id, title, description FROM film;\n"
        + ["actor", "category", "language", "film"].flatMap { table in
            ["ai AFTER INSERT", "au AFTER UPDATE"].map { kind in
                """
                CREATE TRIGGER \(table)_trigger_\(kind) ON \(table) BEGIN
                    UPDATE \(table) SET last_update = DATETIME('NOW') WHERE rowid = new.rowid;
                END;

                """
            }
        }.joined()
            + """
            CREATE VIEW film_list AS SELECT film.film_id AS FID, film.title AS title,
                group_concat(actor.first_name || ' ' || actor.last_name, ', ') AS actors
                FROM film LEFT JOIN film_actor ON film_actor.film_id = film.film_id
                LEFT JOIN actor ON actor.actor_id = film_actor.actor_id GROUP BY film.film_id;
            CREATE VIEW sales_by_day AS SELECT date(payment_date) AS day, sum(amount) AS total_sales
                FROM payment GROUP BY 1 ORDER BY total_sales DESC;

            """
}
