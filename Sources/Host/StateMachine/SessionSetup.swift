internal import CSQLite
internal import SQLite

/// How the connections to a live database are set up.
enum SessionSetup {
    /// Equal on every node, and so fixed here: a statement that one node refuses for its size all
    /// nodes must refuse.
    private static let limits: [(Int32, Int32)] = [
        (SQLITE_LIMIT_LENGTH, 256 << 20),
        (SQLITE_LIMIT_SQL_LENGTH, 256 << 20),
        (SQLITE_LIMIT_COLUMN, 2000),
        (SQLITE_LIMIT_EXPR_DEPTH, 1000),
        (SQLITE_LIMIT_COMPOUND_SELECT, 500),
        (SQLITE_LIMIT_VDBE_OP, 25_000_000),
        (SQLITE_LIMIT_FUNCTION_ARG, 127),
        // VACUUM attaches one.
        (SQLITE_LIMIT_ATTACHED, 1),
        (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50_000),
        (SQLITE_LIMIT_VARIABLE_NUMBER, 250_000),
        (SQLITE_LIMIT_TRIGGER_DEPTH, 1000),
        (SQLITE_LIMIT_WORKER_THREADS, 0),
    ]

    private static func configure(_ connection: borrowing Connection) throws(SQLiteError) {
        for (limit, value) in limits { _ = sqlite3_limit(connection.pointer, limit, value) }
        try connection.configure(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        try connection.configure(SQLITE_DBCONFIG_DEFENSIVE, true)
        try connection.configure(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, false)
        try connection.configure(SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false)
        try SQLFunctions.registerAdditions(on: connection)
    }

    /// Waiting for locks has no place here: other processes are shut out, and this connection is
    /// the only one that writes.
    static func openWriter(_ path: String) throws(SQLiteError) -> Connection {
        let connection = try Connection(path: path, access: .readWrite)
        try configure(connection)
        // ANALYZE of a large table must not stop the cluster; equal on every node.
        try connection.execute(
            """
            PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=OFF;
            PRAGMA analysis_limit=1000;
            """)
        guard try connection.text("PRAGMA journal_mode") == "wal" else {
            throw SQLiteError(
                extendedCode: SQLITE_ERROR, message: "the database \(path) is not in WAL mode")
        }
        return connection
    }

    static func openReader(_ path: String) throws(SQLiteError) -> Connection {
        let connection = try Connection(path: path, access: .readOnly)
        try configure(connection)
        try connection.execute("PRAGMA query_only=ON; PRAGMA wal_autocheckpoint=0")
        return connection
    }
}
