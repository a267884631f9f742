import Threads
import Time

internal import CSQLite
internal import SQLite

/// What SQLite calls damage, and SQL can bring about.
extension WriteSession {
    /// A look goes through the whole file while nothing is applied, on all nodes at once, for they meet the statement at the same
    /// entry. So none is made for so many times as long as the last took. In a file that is whole nothing depends on it.
    private static let restsPerLook = 20

    /// Whether the file is whole but for what indexes say of their tables. To be asked outside of a transaction, after a
    /// client's statement met what SQLite calls damage.
    ///
    /// SQLite computes some values otherwise when a row is written than when it is read: a whole number from a generated column
    /// of type REAL is 5.0 to an index over `typeof(n)`, and 5 in the row (seen in 3.40.1). Such an index disagrees with its
    /// table on every node, and whoever meets that is told what is told of a damaged file. An index that rots on one node so
    /// that its tree stays whole is found by the checksums.
    func hasWholeTrees() throws(SQLiteError) -> Bool {
        let start = MonotonicTime.now
        if let lookAgainAt, start < lookAgainAt { return true }
        // What columns that are computed go through is nobody's work.
        functions.budget = nil
        defer { functions.budget = budget }
        guard csqlite_reveal(connection.pointer) == SQLITE_OK else { throw connection.lastError }
        // It doesn't compare indexes with tables.
        guard
            try DatabaseDirectory.damage(of: connection, by: "main.quick_check").text == nil
        else { return false }
        let end = MonotonicTime.now
        lookAgainAt = end + (end - start) * Self.restsPerLook
        return true
    }
}
