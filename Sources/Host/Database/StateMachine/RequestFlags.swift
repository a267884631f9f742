internal import SQLite

/// The PRAGMAs besides `foreign_keys` that a request can switch for itself: each changes what its
/// following statements mean, on every node alike, and is off again when the request ends.
struct RequestFlags: OptionSet, Hashable, Sendable {
    /// Stored in the progress of a partly applied entry: values are never used anew.
    let rawValue: UInt8

    // 1 was another form of `case_sensitive_like`.
    static let fullColumnNames = RequestFlags(rawValue: 2)
    static let recursiveTriggers = RequestFlags(rawValue: 4)
    static let ignoreCheckConstraints = RequestFlags(rawValue: 8)
    static let legacyAlterTable = RequestFlags(rawValue: 16)
    /// Lets the request load virtual tables as SQLite's shell dumps them; see `CatalogueRow`.
    static let writableSchema = RequestFlags(rawValue: 32)
    /// LIKE in the request's own statements tells upper from lower case; see `SensitiveLike`.
    static let caseSensitiveLike = RequestFlags(rawValue: 64)

    /// In the order in which they are switched.
    private static let pragmas: [(flag: RequestFlags, name: String)] = [
        (.fullColumnNames, "full_column_names"),
        (.recursiveTriggers, "recursive_triggers"),
        (.ignoreCheckConstraints, "ignore_check_constraints"),
        (.legacyAlterTable, "legacy_alter_table"),
    ]

    /// What the daemon heeds in SQLite's place.
    private static let own: [(flag: RequestFlags, name: String)] = [
        (.writableSchema, "writable_schema"), (.caseSensitiveLike, "case_sensitive_like"),
    ]

    /// Of the PRAGMA that switches this one flag.
    var name: String {
        (Self.pragmas + Self.own).first { $0.flag == self }?.name ?? ""
    }

    /// The flag that a PRAGMA of this name, in lower case, switches.
    static func named(_ name: String) -> RequestFlags? {
        (pragmas + own).first { $0.name == name }?.flag
    }

    /// Brings a connection from one set of flags to another.
    static func change(
        from old: RequestFlags, to new: RequestFlags, on connection: borrowing Connection
    ) throws(SQLiteError) {
        guard old != new else { return }
        for (flag, name) in pragmas where old.contains(flag) != new.contains(flag) {
            try connection.execute("PRAGMA \(name)=\(new.contains(flag) ? "ON" : "OFF")")
        }
    }
}
