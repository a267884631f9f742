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

    /// The schema was read, or got more objects.
    mutating func mayHaveCome() {
        isKnown = false
    }

    /// For as long as nothing else is compiled no view has columns in memory.
    mutating func forget(on connection: borrowing Connection) throws(SQLiteError) {
        if !isKnown {
            name = try connection.text(
                "SELECT name FROM main.sqlite_schema WHERE type = 'view' LIMIT 1")
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
}
