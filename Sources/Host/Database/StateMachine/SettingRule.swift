internal import CSQLite
internal import SQLite
internal import Wire

/// Settings end with their request. One that nothing follows in it would do nothing, where its
/// sender expects it to hold for the next request: that is an error, not an empty success.
enum SettingRule {
    /// Why a setting is refused, or nil.
    /// - Parameter isLast: nothing follows it in its request.
    static func refusal(
        of toggle: StatementFacts.Switch, clusterHasForeignKeys: Bool, isLast: Bool
    ) -> String? {
        guard isLast, let setting = departure(toggle, clusterHasForeignKeys) else { return nil }
        return "\(setting) ends with its request, and nothing follows it there: send it in one "
            + "request with the statements it is meant for"
    }

    /// What is set to something else than what holds for every request anyway.
    private static func departure(
        _ toggle: StatementFacts.Switch, _ clusterHasForeignKeys: Bool
    ) -> String? {
        switch toggle {
        case .foreignKeys(let isOn):
            isOn == clusterHasForeignKeys ? nil : "PRAGMA foreign_keys=\(isOn ? "ON" : "OFF")"
        case .deferForeignKeys(let isOn): isOn ? "PRAGMA defer_foreign_keys=ON" : nil
        case .flag(let flag, let isOn): isOn ? "PRAGMA \(flag.name)=ON" : nil
        }
    }

    /// Whether nothing but blanks and comments follows a statement in its request.
    static func isLast(_ statement: ScriptStatement, in texts: [Statement], at ordinal: Int) -> Bool
    {
        statement.isLast
            && texts[(ordinal + 1)...].allSatisfy { text in
                var sql = text.sql
                return sql.withUTF8 { SQLTokenizer.isBlank(UnsafeRawBufferPointer($0)) }
            }
    }
}

/// What a reader's connection was told for the request it serves.
final class ReaderSettings {
    private(set) var flags: RequestFlags = []
    /// What the cluster says in the snapshot that is read; nil before anybody asked.
    private var clusterForeignKeys: Bool?

    /// Makes PRAGMA foreign_keys say what the connection that writes would. Within the
    /// transaction of a request, which fixes the answer.
    func learnForeignKeys(on connection: borrowing Connection) throws(SQLiteError) {
        guard clusterForeignKeys == nil else { return }
        let isOn = try MetadataTable.readForeignKeys(on: connection)
        clusterForeignKeys = isOn
        try connection.configure(SQLITE_DBCONFIG_ENABLE_FKEY, isOn)
    }

    func carryOut(
        _ toggle: StatementFacts.Switch, isLast: Bool, on connection: borrowing Connection
    ) -> StatementOutcome {
        do throws(SQLiteError) {
            try learnForeignKeys(on: connection)
            let refusal = SettingRule.refusal(
                of: toggle, clusterHasForeignKeys: clusterForeignKeys ?? false, isLast: isLast)
            if let refusal { return .failed(refusal) }
            switch toggle {
            case .foreignKeys(let isOn):
                try connection.configure(SQLITE_DBCONFIG_ENABLE_FKEY, isOn)
            // No row is written whose check could wait.
            case .deferForeignKeys: break
            case .flag(let flag, let isOn):
                let new = isOn ? flags.union(flag) : flags.subtracting(flag)
                try RequestFlags.change(from: flags, to: new, on: connection)
                flags = new
            }
            return .empty
        } catch {
            return .failed(error.message)
        }
    }

    /// The next request starts afresh.
    func end(on connection: borrowing Connection) {
        clusterForeignKeys = nil
        guard !flags.isEmpty else { return }
        do throws(SQLiteError) {
            try RequestFlags.change(from: flags, to: [], on: connection)
            flags = []
        } catch {
            // Kept, so that the end of the next request tries again.
        }
    }
}
