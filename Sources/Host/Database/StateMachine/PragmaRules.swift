internal import SQLite

/// Which PRAGMAs clients may use, and how. What is not listed is refused: many change the
/// connection for everybody, or the file under the replication's feet.
///
/// Every connection is set up alike, so that those that only ask get one answer wherever they run.
enum PragmaRules {
    enum Verdict: Equatable {
        case allowed
        /// Accepted without any effect.
        case ignored
        case toggled(StatementFacts.Switch)
        /// Run as ANALYZE by the writer, without effect on a reader.
        case optimize
        case refused
        /// The setting is the same for all clients.
        case fixed
        /// One of rqlite's five; the whole request fails.
        case disallowed
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

    static func verdict(_ name: String, argument: String?) -> Verdict {
        if isDisallowed(name, hasArgument: argument != nil) { return .disallowed }
        if describesSchema.contains(name) { return .allowed }
        switch name {
        case "foreign_keys":
            return argument.map { .toggled(.foreignKeys(isTrue($0))) } ?? .allowed
        case "defer_foreign_keys":
            return argument.map { .toggled(.deferForeignKeys(isTrue($0))) } ?? .allowed
        case "user_version", "application_id": return .allowed
        case "optimize": return .optimize
        case "shrink_memory", "incremental_vacuum": return .ignored
        // Without effect on a database that is there already, in SQLite too.
        case "encoding" where argument != nil, "page_size" where argument != nil: return .ignored
        case _ where tuning.contains(name): return argument == nil ? .allowed : .ignored
        default: return judgeSetting(name, argument)
        }
    }

    private static func judgeSetting(_ name: String, _ argument: String?) -> Verdict {
        if let flag = RequestFlags.named(name) {
            return argument.map { .toggled(.flag(flag, isTrue($0))) } ?? .allowed
        }
        if let usual = fixed[name] {
            guard let argument else { return .allowed }
            return usual.contains(argument.loweredASCII) ? .ignored : .fixed
        }
        return asking.contains(name) && argument == nil ? .allowed : .refused
    }

    /// What tells of tables and the like.
    static func isAboutObjects(_ name: String) -> Bool { describesSchema.contains(name) }

    /// Those that tell of columns, for which those of views are worked out.
    static func isAboutColumns(_ name: String) -> Bool {
        name == "table_list" || name == "table_info" || name == "table_xinfo"
    }

    /// Those that go through the whole database.
    static func isCheck(_ name: String) -> Bool {
        name == "integrity_check" || name == "quick_check"
    }

    /// Whether a table-valued function `pragma_<name>` gives the same rows on every node.
    static func isReplicated(_ name: String) -> Bool {
        describesSchema.contains(name) || name == "user_version" || name == "application_id"
    }

    private static let describesSchema: Set<String> = [
        "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo",
        "foreign_key_list", "foreign_key_check", "integrity_check", "quick_check",
    ]

    /// Drivers set these on every connection; here each connection serves all clients, and rows and
    /// answers are the same without them.
    private static let tuning: Set<String> = [
        "busy_timeout", "cache_size", "cache_spill", "mmap_size", "temp_store", "threads",
        "read_uncommitted", "soft_heap_limit", "hard_heap_limit", "journal_size_limit",
        "automatic_index", "cell_size_check", "fullfsync", "checkpoint_fullfsync",
        "analysis_limit", "default_cache_size", "max_page_count",
    ]

    private static let off: Set<String> = ["0", "off", "no", "false"]
    private static let on: Set<String> = ["1", "on", "yes", "true"]

    /// What changes rows or answers and stays as it is, with the ways to say how that is.
    private static let fixed: [String: Set<String>] = [
        "auto_vacuum": off.union(["none"]), "secure_delete": off,
        "locking_mode": ["normal"], "trusted_schema": on, "reverse_unordered_selects": off,
        "short_column_names": on, "count_changes": off, "empty_result_callbacks": off,
    ]

    private static let asking: Set<String> = [
        "journal_mode", "wal_autocheckpoint", "synchronous", "query_only", "encoding",
        "page_size", "page_count", "freelist_count", "schema_version", "data_version",
        "database_list", "compile_options", "function_list", "module_list", "pragma_list",
        "collation_list",
    ]

    /// SQLite's rule for Boolean arguments; RESET, which `writable_schema` takes, is off.
    static func isTrue(_ argument: String) -> Bool {
        switch argument.loweredASCII {
        case "on", "yes", "true": true
        default: Int(argument).map { $0 != 0 } ?? false
        }
    }
}
