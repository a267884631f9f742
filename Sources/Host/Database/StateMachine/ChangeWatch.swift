internal import CSQLite
internal import SQLite

/// Sees every row that a statement writes, through SQLite's update hook.
///
/// It serves two ends: to tell whether an INSERT set the last insert rowid, and to count the rows,
/// so that each rowid that SQLite draws is another one (see `csqlite_begin_chance`).
final class ChangeWatch {
    private var previousRowid: Int64 = 0
    /// A row was inserted under the rowid that was the last one before the statement.
    private(set) var insertedPrevious = false

    /// The watch must live as long as the connection.
    func install(on connection: borrowing Connection) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        _ = sqlite3_update_hook(
            connection.pointer,
            { context, operation, _, _, rowid in
                csqlite_count_changed_row()
                guard operation == SQLITE_INSERT, let context else { return }
                let watch = Unmanaged<ChangeWatch>.fromOpaque(context).takeUnretainedValue()
                if rowid == watch.previousRowid { watch.insertedPrevious = true }
            }, context)
    }

    func begin(previousRowid: Int64) {
        self.previousRowid = previousRowid
        insertedPrevious = false
    }
}
