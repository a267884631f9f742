/// Which PRAGMAs clients may use, and how. What is not listed is refused: many change the
/// connection for everybody, or the file under the replication's feet.
enum PragmaRules {
    enum Verdict: Equatable {
        case allowed
        /// Accepted without any effect.
        case ignored
        case toggled(StatementFacts.Switch)
        /// Run as ANALYZE by the writer, without effect on a reader.
        case optimize
        case refused
        /// One of rqlite's five; the whole request fails.
        case disallowed
    }

    enum Role: Equatable, Sendable {
        case reader
        case writer
    }

    /// The PRAGMAs that break a replicated database, whatever form they are written in. Those that
    /// only ask, `PRAGMA journal_mode`, are harmless.
    static func isDisallowed(_ name: String, hasArgument: Bool) -> Bool {
        switch name {
        case "wal_checkpoint": true
        case "journal_mode", "wal_autocheckpoint", "synchronous", "query_only": hasArgument
        default: false
        }
    }

    static func verdict(_ name: String, argument: String?, role: Role) -> Verdict {
        if isDisallowed(name, hasArgument: argument != nil) { return .disallowed }
        if describesSchema.contains(name) { return .allowed }
        switch name {
        case "foreign_keys":
            guard let argument else { return .allowed }
            return role == .writer ? .toggled(.foreignKeys(isTrue(argument))) : .ignored
        case "defer_foreign_keys":
            guard let argument else { return .allowed }
            return role == .writer ? .toggled(.deferForeignKeys(isTrue(argument))) : .ignored
        case "user_version", "application_id":
            return .allowed
        case "optimize":
            return .optimize
        case _ where tuning.contains(name):
            return argument == nil ? .allowed : .ignored
        case _ where asking.contains(name) && argument == nil:
            return .allowed
        default:
            return role == .reader && nodeLocal.contains(name) && argument == nil
                ? .allowed : .refused
        }
    }

    /// Whether a table-valued function `pragma_<name>` gives the same rows on every node.
    static func isReplicated(_ name: String) -> Bool {
        describesSchema.contains(name) || name == "user_version" || name == "application_id"
    }

    private static let describesSchema: Set<String> = [
        "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
        "foreign_key_list", "foreign_key_check", "integrity_check", "quick_check",
    ]

    /// Drivers set these on every connection; here each connection serves all clients.
    private static let tuning: Set<String> = [
        "busy_timeout", "cache_size", "mmap_size", "temp_store", "threads",
    ]

    private static let asking: Set<String> = [
        "journal_mode", "wal_autocheckpoint", "synchronous", "query_only", "encoding",
        "auto_vacuum", "page_size", "recursive_triggers", "locking_mode", "secure_delete",
        "legacy_alter_table", "trusted_schema", "max_page_count", "writable_schema",
        "ignore_check_constraints", "reverse_unordered_selects", "cell_size_check",
        "journal_size_limit", "cache_spill", "automatic_index", "analysis_limit",
        // The full-text modules ask for it.
        "data_version",
    ]

    private static let nodeLocal: Set<String> = [
        "database_list", "compile_options", "function_list", "module_list", "pragma_list",
        "collation_list", "page_count", "freelist_count", "schema_version",
    ]

    /// SQLite's rule for Boolean arguments.
    private static func isTrue(_ argument: String) -> Bool {
        switch argument.lowercased() {
        case "on", "yes", "true": true
        default: Int(argument).map { $0 != 0 } ?? false
        }
    }
}
