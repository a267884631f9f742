internal import CSQLite
internal import SQLite

/// Sees every row that a statement writes, through SQLite's update hook.
///
/// It serves two ends: to tell whether an INSERT set the last insert rowid, and to refuse rowids
/// that SQLite draws from its own random numbers. It draws them for a table whose largest possible
/// rowid is taken (https://sqlite.org/autoinc.html), and nodes would draw different ones.
final class ChangeWatch {
    private static let largest = Int64.max

    /// Tables that may hold the largest rowid; those that do are always among them.
    private(set) var exhausted: Set<String> = []
    private var suspects: Set<String> = []
    private var deletedLargest: Set<String> = []
    private var previousRowid: Int64 = 0
    /// A row was inserted under the rowid that was the last one before the statement.
    private(set) var insertedPrevious = false

    /// The watch must live as long as the connection.
    func install(on connection: borrowing Connection) throws(SQLiteError) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        _ = sqlite3_update_hook(
            connection.pointer,
            { context, operation, _, table, rowid in
                guard let context, let table else { return }
                Unmanaged<ChangeWatch>.fromOpaque(context).takeUnretainedValue()
                    .saw(operation, table, rowid)
            }, context)
        try findExhausted(on: connection)
    }

    func begin(previousRowid: Int64) {
        self.previousRowid = previousRowid
        insertedPrevious = false
        if !exhausted.isEmpty {
            suspects.removeAll()
            deletedLargest.removeAll()
        }
    }

    private func saw(_ operation: Int32, _ table: UnsafePointer<CChar>, _ rowid: Int64) {
        if operation == SQLITE_INSERT, rowid == previousRowid { insertedPrevious = true }
        if rowid == Self.largest {
            let name = String(cString: table)
            if operation == SQLITE_DELETE {
                deletedLargest.insert(name)
            } else {
                exhausted.insert(name)
            }
        } else if operation == SQLITE_INSERT, !exhausted.isEmpty {
            let name = String(cString: table)
            if exhausted.contains(name) { suspects.insert(name) }
        }
    }

    /// The table for which the last statement may have drawn a random rowid. The answer depends on
    /// the rows alone, not on what this connection saw before.
    func tableWithRandomRowid(on connection: borrowing Connection) throws(SQLiteError) -> String? {
        for table in suspects.sorted() {
            if deletedLargest.contains(table) { return table }
            if try holdsLargest(table, on: connection) { return table }
        }
        return nil
    }

    /// After a change of the schema tables may have other names.
    func schemaChanged(on connection: borrowing Connection) throws(SQLiteError) {
        if !exhausted.isEmpty { try findExhausted(on: connection) }
    }

    private func findExhausted(on connection: borrowing Connection) throws(SQLiteError) {
        exhausted.removeAll()
        // PRAGMA statements, for a client's table may have the name of a table-valued function.
        let tables = try connection.prepare("PRAGMA main.table_list")
        while try tables.step() {
            guard let name = tables.text(at: 1), tables.text(at: 0) == "main",
                !name.lowercased().hasPrefix("sqlite_"), tables.integer(at: 4) == 0,
                let type = tables.text(at: 2), type == "table" || type == "shadow"
            else { continue }
            if try holdsLargest(name, on: connection) { exhausted.insert(name) }
        }
    }

    private func holdsLargest(_ table: String, on connection: borrowing Connection)
        throws(SQLiteError) -> Bool
    {
        guard let rowid = try rowidName(of: table, on: connection) else { return false }
        return try connection.integer(
            "SELECT 1 FROM main.\(Self.quoted(table)) WHERE \(rowid) = \(Self.largest)") != nil
    }

    private static func quoted(_ name: String) -> String {
        let parts = name.split(separator: "\"", omittingEmptySubsequences: false)
        return "\"" + parts.joined(separator: "\"\"") + "\""
    }

    /// A name of the rowid that no column has taken; without one no statement can reach the largest
    /// rowid.
    private func rowidName(of table: String, on connection: borrowing Connection)
        throws(SQLiteError) -> String?
    {
        let columns = try connection.prepare("PRAGMA main.table_xinfo(\(Self.quoted(table)))")
        var names: Set<String> = []
        while try columns.step() {
            if let name = columns.text(at: 1) { names.insert(name.lowercased()) }
        }
        return ["rowid", "_rowid_", "oid"].first { !names.contains($0) }
    }
}
