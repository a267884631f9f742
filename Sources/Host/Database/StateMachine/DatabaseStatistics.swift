internal import SQLite
internal import Wire

/// What `/status` tells of the database.
package struct DatabaseStatistics: Equatable, Sendable {
    /// Of the library that is loaded.
    package var sqliteVersion: String
    /// Names the check-in that the library was built from.
    package var sqliteSourceID: String
    /// Of the library.
    package var compileOptions: [String]
    /// Of the database file.
    package var path: String
    /// Of the main file.
    package var byteCount: Int64
    /// Size of SQLite's log.
    package var walByteCount: Int64
    /// In bytes.
    package var pageSize: Int64
    /// Pages in the database file.
    package var pageCount: Int64
    /// Of these, pages without content.
    package var freePageCount: Int64
    /// Of the connection that writes, as SQLite has it: negative in KiB, else in pages.
    package var cacheSize: Int64
    /// To which the last write could have made the database grow.
    package var maxPageCount: Int64
    /// The cluster enforces them.
    package var foreignKeys: Bool
}

extension Applier {
    package func statistics() throws(ApplyFault) -> DatabaseStatistics {
        do throws(SQLiteError) {
            return DatabaseStatistics(
                sqliteVersion: Engine.version, sqliteSourceID: Engine.sourceID,
                compileOptions: Engine.compileOptions, path: path,
                byteCount: try session.connection.size(of: .main),
                walByteCount: try session.connection.size(of: .writeAheadLog),
                pageSize: try session.connection.integer("PRAGMA page_size") ?? 0,
                pageCount: try session.connection.integer("PRAGMA page_count") ?? 0,
                freePageCount: try session.connection.integer("PRAGMA freelist_count") ?? 0,
                cacheSize: try session.connection.integer("PRAGMA cache_size") ?? 0,
                maxPageCount: try session.connection.integer("PRAGMA max_page_count") ?? 0,
                foreignKeys: applied.settings.foreignKeys)
        } catch {
            throw .storage("reading the statistics of the database \(path)", error)
        }
    }
}
