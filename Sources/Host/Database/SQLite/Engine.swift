internal import CSQLite

/// The SQLite library this process runs: what it is, and whether it is fit for use.
package enum Engine {
    /// Of the library that is loaded, such as 3.40.1.
    package static var version: String { String(cString: sqlite3_libversion()) }
    /// Names the check-in that the library was built from.
    package static var sourceID: String { String(cString: sqlite3_sourceid()) }

    /// The options the library was built with, in its own order.
    package static var compileOptions: [String] {
        var options: [String] = []
        while let option = sqlite3_compileoption_get(Int32(options.count)) {
            options.append(String(cString: option))
        }
        return options
    }

    /// The oldest version whose behaviour the state machine relies on (it needs RETURNING,
    /// `pragma_table_list` and `sqlite3_total_changes64`).
    package static let oldestVersion: Int32 = 3_040_000

    /// Why this library can't be used, or nil when it can. Asked once at start.
    package static func unfitness() -> String? {
        if sqlite3_threadsafe() == 0 {
            return "SQLite \(version) was built without thread safety: install a build with "
                + "SQLITE_THREADSAFE=1"
        }
        if sqlite3_libversion_number() < oldestVersion {
            return "SQLite \(version) is too old: 3.40.0 or newer is needed"
        }
        if sqlite3_compileoption_used("UNTESTABLE") != 0 {
            return "SQLite \(version) was built without test controls, which keep the daemon's own "
                + "table out of sight: install a build without SQLITE_UNTESTABLE"
        }
        let rc = csqlite_register_vfs()
        if rc == SQLITE_MISUSE {
            return "SQLite \(version) was in use before the daemon could bound its memory: load no "
                + "library into the daemon that uses SQLite by itself"
        }
        if rc != SQLITE_OK {
            return "SQLite \(version) offers no file access of the kind \"unix-excl\" (code \(rc))"
        }
        return nil
    }
}
