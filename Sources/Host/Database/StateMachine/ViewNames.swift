internal import CSQLite
internal import SQLite

/// Makes SQLite forget what it worked out of views.
///
/// The first statement that names a view makes SQLite work out the view's columns, and keep them in
/// memory: for a chain of views that is work by the square of its length, and nothing for the next
/// statement. So whether a statement is too much to be compiled would depend on what the connection
/// compiled before. Before each one these columns are dropped.
struct ViewNames {
    /// Whether there are views is known.
    private var isKnown = false
    /// The name of one of them.
    private var name: String?

    /// To drop a view SQLite makes code for each of its triggers.
    private static let mostTriggers = 64

    /// The schema was read.
    mutating func schemaWasRead() { isKnown = false }

    /// The schema got a view: one is as good as another.
    mutating func mayHaveCome() {
        if name == nil { isKnown = false }
    }

    /// For as long as nothing else is compiled no view has columns in memory.
    mutating func forget(on connection: borrowing Connection) throws(SQLiteError) {
        if !isKnown {
            name = try Self.plainest(on: connection)
            isKnown = true
        }
        guard let name else { return }
        // SQLite drops them when it compiles a statement that drops a view; it need not run.
        do throws(SQLiteError) {
            _ = try connection.prepare("DROP VIEW main.\(name.quotedName)")
        } catch {
            // It went with a rollback, and its columns with it.
            guard error.code == SQLITE_ERROR else { throw error }
            isKnown = false
        }
    }

    /// The view with the fewest triggers.
    private static func plainest(on connection: borrowing Connection) throws(SQLiteError)
        -> String?
    {
        try connection.text(
            """
            SELECT v.name FROM main.sqlite_schema AS v LEFT JOIN (
                SELECT lower(tbl_name) AS owner, count(*) AS triggers FROM main.sqlite_schema
                WHERE type = 'trigger' GROUP BY 1
            ) ON owner = lower(v.name)
            WHERE v.type = 'view' ORDER BY coalesce(triggers, 0), v.rowid LIMIT 1
            """)
    }

    /// Why a trigger is refused that is to be made on this table or view; nil when it isn't.
    static func refusal(ofTriggerOn owner: String, in names: SchemaNames) -> SQLiteError? {
        guard names.triggerCount(ofView: owner) >= mostTriggers else { return nil }
        return SQLiteError(
            extendedCode: SQLITE_ERROR,
            message: "too many triggers: at most \(mostTriggers) on a view")
    }
}
