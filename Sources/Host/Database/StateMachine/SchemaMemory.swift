/// What the writing connection holds of the schema in memory, compared with what a connection would
/// hold that opened the file now.
///
/// SQLite plans by what it has in memory, and that depends on its past: statistics of an index that
/// is gone, statistics read again because a change was rolled back, and the order of its hash
/// tables, in which ANALYZE, REINDEX and some PRAGMAs go through the schema. Nodes have different
/// pasts: one was restarted, one got a snapshot, one applied other batches. So before a client's
/// statement is compiled, memory must be what a connection that opens the file now would read.
///
/// Objects that are only added need no new reading for most statements: SQLite parses them from the
/// schema table, one after the other, as when it reads the whole of it, and puts them into each
/// table's lists of indexes, triggers and keys at the same places. Only the hash tables' order may
/// be another one.
struct SchemaMemory: Equatable {
    enum Freshness: Int, Comparable {
        /// As a connection has it that just read the file.
        case asRead
        /// But for the order of the hash tables.
        case extended
        /// It must be read anew before anything is compiled.
        case stale

        static func < (a: Freshness, b: Freshness) -> Bool { a.rawValue < b.rawValue }
    }

    private(set) var freshness = Freshness.asRead
    /// The open transaction may hold changes of the schema, which would go with it.
    private(set) var isChangedInTransaction = false
    /// Objects were added that the session has not looked at.
    private(set) var hasAdditions = false
    /// What it takes to read the planner's statistics, in steps; nil: it has none. With some a new object may get
    /// some that it has not in memory.
    private(set) var statistics: Int?
    private var hasStatistics: Bool { statistics != nil }

    /// The schema was read from the file, with its statistics, if there is a table of them.
    mutating func wasRead(statistics: Int?) {
        freshness = .asRead
        hasAdditions = false
        self.statistics = statistics
    }

    /// The session has looked at the objects that were added.
    mutating func additionsWereRead() { hasAdditions = false }

    mutating func transactionBegan() {
        isChangedInTransaction = false
    }

    /// A statement that would change the schema was compiled, though perhaps it never runs: to compile
    /// CREATE INDEX raises what SQLite takes for the size of a small table.
    mutating func wasCompiledForChange() {
        if hasStatistics { freshness = .stale }
    }

    /// A statement ran that is no mere change of rows.
    /// - Parameters:
    ///   - isAddition: it was a CREATE, and succeeded.
    ///   - hasVirtualTables: their modules keep statements of their own, which must not outlive a
    ///     change of the schema: to compile them again costs steps of the budget.
    mutating func wasChanged(isAddition: Bool, hasVirtualTables: Bool) {
        isChangedInTransaction = true
        if isAddition { hasAdditions = true }
        let isExtended = isAddition && !hasStatistics && !hasVirtualTables
        freshness = max(freshness, isExtended ? .extended : .stale)
    }

    /// A savepoint or the transaction was rolled back, by us or by SQLite.
    mutating func wasRolledBack() {
        // SQLite may have read the schema anew, and so have the daemon's own table elsewhere.
        freshness = max(freshness, isChangedInTransaction ? .stale : .extended)
    }

    /// Something that a module keeps in memory may have survived a rollback.
    mutating func invalidate() {
        freshness = .stale
    }
}
