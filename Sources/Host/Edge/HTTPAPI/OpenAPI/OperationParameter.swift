/// A parameter of the query string, as the rows of operations name it: its values and what it does. An
/// operation is given those of its row and no others, so that what a row leaves out has no effect.
struct OperationParameter: Sendable {
    /// What the value may be.
    enum Kind: Sendable {
        /// On when the name is there, whatever its value.
        case flag
        /// As Go writes durations; with what counts when the name is not there.
        case duration(String?)
        /// Bounds that are nil are those of 64 bits.
        case integer(least: Int?, most: Int?, usual: Int?)
        /// Letter case doesn't count; where any other word is taken, too, it means the usual one.
        case word([String], usual: String?)
        /// Names with commas between them.
        case names
        case text
    }

    let name: QueryParameters.Name
    let kind: Kind
    /// A sentence for those who write clients.
    let meaning: String
    let isRequired: Bool

    init(
        _ name: QueryParameters.Name, _ kind: Kind, _ meaning: String, isRequired: Bool = false
    ) {
        self.name = name
        self.kind = kind
        self.meaning = meaning
        self.isRequired = isRequired
    }
}

// Statements and their results.
extension OperationParameter {
    static let q = Self(.q, .text, "The statement; only where there is no body.")
    static let transaction = Self(
        .transaction, .flag, "All statements are one transaction: the first failure undoes all.")
    static let timings = Self(.timings, .flag, "Answers tell how long the work took, in seconds.")
    static let pretty = Self(.pretty, .flag, "JSON with line breaks and indents.")
    static let associative = Self(.associative, .flag, "Rows are objects, by names of columns.")
    static let blobArray = Self(
        .blobArray, .flag, "BLOBs are arrays of their bytes' numbers in place of base64.")
    static let qualifyColumns = Self(
        .qualifyColumns, .flag, "Columns are named table.column where they come from a table.")
    static let raftIndex = Self(
        .raftIndex, .flag, "The answer tells at which index of the log the work stands.")
    static let databaseTimeout = Self(
        .databaseTimeout, .duration(nil), "How long SQLite may take for the reads.")

    /// How results are shown.
    static let forms: [Self] = [pretty, timings, associative, blobArray, raftIndex]

    /// rqlite's, of which there is no need here.
    static let idle: [Self] = [
        .init(.retries, .integer(least: nil, most: nil, usual: nil), "Taken, without effect."),
        .init(.noparse, .flag, "Taken, without effect: statements are never rewritten."),
        .init(.norwrandom, .flag, "Taken, without effect: statements are never rewritten."),
        .init(.norwtime, .flag, "Taken, without effect: statements are never rewritten."),
    ]
}

// Consistency and where the work is done.
extension OperationParameter {
    static let level = Self(
        .level, .word(["none", "weak", "linearizable", "strong", "auto"], usual: "weak"),
        "What a read may show; with min_index the usual level is none. Other words mean weak.")
    static let freshness = Self(
        .freshness, .duration(nil),
        "At level none: how long ago the node may have heard its leader last.")
    static let freshnessStrict = Self(
        .freshnessStrict, .flag, "How old the data are counts, too; needs freshness.")
    static let linearizableTimeout = Self(
        .linearizableTimeout, .duration("10s"), "How long a linearizable read may wait.")
    static let minIndex = Self(
        .minIndex, .text,
        "An index, or a commit token of X-Rqlited-Commit: the read shows all through there.")
    static let timeout = Self(
        .timeout, .duration("30s"), "How long the work may take, its way between nodes included.")
    static let redirect = Self(
        .redirect, .flag, "Where the leader is needed: 301 to it in place of sending it on.")

    static let reading: [Self] = [level, freshness, freshnessStrict, minIndex, databaseTimeout]
}

// Those of single operations.
extension OperationParameter {
    static let queue = Self(
        .queue, .flag, "The write is queued and answered at once, with its number.")
    static let queueWait = Self(
        .wait, .flag, "With queue: the answer comes when the write was carried out.")
    static let queueWithoutLeader = Self(
        .noleader, .flag, "With queue: the write is taken also while no leader is known.")
    static let transferWait = Self(
        .wait, .flag, "The answer comes when leadership was handed over.")
    static let ownCopy = Self(.noleader, .flag, "The node's own database, whatever it holds.")
    static let nodeAlone = Self(.noleader, .flag, "Only whether the node answers.")
    static let form = Self(
        .fmt, .word(["binary", "delete", "sql"], usual: "binary"),
        "The form of the copy. Other words mean binary.")
    static let vacuum = Self(
        .vacuum, .flag, "A copy without free pages; only for a form of binary.")
    static let compress = Self(.compress, .flag, "The copy is one gzip stream.")
    static let tables = Self(.tables, .names, "Of a copy as SQL: rows of these tables alone.")
    static let trailingLogs = Self(
        .trailingLogs, .integer(least: nil, most: nil, usual: 0),
        "Entries that stay in the log this time; 0: as many as the node is set to keep.")
    static let sync = Self(.sync, .flag, "The node must also have what the leader has committed.")
    static let nonvoters = Self(.nonvoters, .flag, "Read replicas are listed, too.")
    static let version = Self(.ver, .word(["2"], usual: nil), "2: a list in place of an object.")
    static let key = Self(.key, .text, "Only this part; names with dots between them lead to it.")

    static let table = Self(
        .table, .text, "The table that rows are added to.", isRequired: true)
    static let format = Self(
        .format, .word(["csv", "ndjson", "sqlite"], usual: nil), "What the body is.",
        isRequired: true)
    static let columns = Self(
        .columns, .names, "Of csv: the columns; without it the first line names them.")
    static let from = Self(.from, .text, "Of sqlite: the table that is read; else that of table.")
    static let batch = Self(
        .batch, .integer(least: 1, most: 10_000, usual: 1000), "Rows of a transaction.")
    static let conflict = Self(
        .conflict, .word(["abort", "ignore", "replace"], usual: "abort"),
        "What becomes of rows that are there already.")
}
