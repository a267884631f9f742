internal import CSQLite
internal import SQLite

/// How every connection to a database is set up: the one that writes, those that read, and those
/// that prepare or check a file before it becomes the database. All of it stands before the first
/// look at the schema, so that a schema which one of them accepts all accept.
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
        // What LIKE and GLOB take for each character of a text grows with the pattern, a 64th of it.
        (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 512),
        // Named ones take time that grows with the square of their number.
        (SQLITE_LIMIT_VARIABLE_NUMBER, 32_766),
        (SQLITE_LIMIT_TRIGGER_DEPTH, 1000),
        (SQLITE_LIMIT_WORKER_THREADS, 0),
    ]

    /// What builds of SQLite have different defaults for.
    private static let options: [(Int32, Bool)] = [
        (SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
        (SQLITE_DBCONFIG_DEFENSIVE, true),
        (SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, false),
        (SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
        (SQLITE_DBCONFIG_ENABLE_FKEY, false),
        (SQLITE_DBCONFIG_ENABLE_TRIGGER, true),
        (SQLITE_DBCONFIG_ENABLE_VIEW, true),
        (SQLITE_DBCONFIG_TRUSTED_SCHEMA, true),
        (SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, false),
        (SQLITE_DBCONFIG_DQS_DML, true),
        (SQLITE_DBCONFIG_DQS_DDL, true),
    ]

    /// Waiting for locks has no place here: other processes are shut out, and one connection alone
    /// writes. ANALYZE of a large table must not stop the cluster.
    private static let pragmas = """
        PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=OFF;
        PRAGMA analysis_limit=1000; PRAGMA recursive_triggers=OFF;
        """

    /// Any connection to a database.
    /// - Parameters:
    ///   - functions: what the SQL functions of the connection know of their caller; the connection
    ///     keeps it alive.
    ///   - flag: ends what runs there from the first look at the schema on; it must be there as long as
    ///     the connection is used.
    static func connect(
        _ path: String, access: Connection.Access, functions: FunctionContext,
        unless flag: LoadFlag? = nil
    ) throws(SQLiteError) -> Connection {
        let connection = try Connection(path: path, access: access)
        flag?.watch(connection)
        for (limit, value) in limits { _ = sqlite3_limit(connection.pointer, limit, value) }
        for (option, isOn) in options { try connection.configure(option, isOn) }
        // Before ours: what is bounded, or the same on all nodes, stays so.
        try SQLExtensions.current.load(on: connection, writes: access != .readOnly)
        try SQLFunctions.register(on: connection, context: functions)
        for register in [
            csqlite_register_counter, csqlite_register_lists, csqlite_register_tokenizers,
        ] {
            let rc = register(connection.pointer)
            guard rc == SQLITE_OK else { throw connection.lastError }
        }
        try connection.execute(pragmas)
        return connection
    }

    /// For VACUUM of a file that is dropped where it fails, and that nobody else has open: it would put all pages
    /// into a rollback journal before it overwrites them, as much room again as for the copy that it makes. While
    /// SQLite defends itself against clients it goes on with a journal whatever is asked.
    static func leaveJournal(of connection: borrowing Connection) throws(SQLiteError) {
        try connection.configure(SQLITE_DBCONFIG_DEFENSIVE, false)
        let mode = try connection.text("PRAGMA main.journal_mode=OFF")
        try connection.configure(SQLITE_DBCONFIG_DEFENSIVE, true)
        guard mode == "off" else {
            throw SQLiteError(
                extendedCode: SQLITE_ERROR, message: "it can't do without a journal")
        }
    }

    static func openWriter(_ path: String, functions: FunctionContext) throws(SQLiteError)
        -> Connection
    {
        let connection = try connect(path, access: .readWrite, functions: functions)
        guard try connection.text("PRAGMA journal_mode") == "wal" else {
            throw SQLiteError(
                extendedCode: SQLITE_NOTADB, message: "the database \(path) is not in WAL mode")
        }
        try MetadataTable.adopt(on: connection)
        return connection
    }

    /// It can't write, for its file is opened for reading only.
    static func openReader(_ path: String) throws(SQLiteError) -> Connection {
        try connect(path, access: .readOnly, functions: FunctionContext(chance: .engine))
    }
}
