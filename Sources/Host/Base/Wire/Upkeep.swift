/// What the leader has every node's database do from time to time. It goes through the log as a
/// command like a client's.
package enum UpkeepTask: Equatable, Sendable, CaseIterable {
    /// `-auto-vacuum-int`.
    case vacuum
    /// `-auto-optimize-int`; the state machine runs ANALYZE for it.
    case optimize

    private var statement: String {
        switch self {
        case .vacuum: "VACUUM"
        case .optimize: "PRAGMA optimize"
        }
    }

    /// Bytes of the longest of these statements: nearly all that clients send are longer.
    private static let longest = allCases.reduce(0) { max($0, $1.statement.utf8.count) }

    /// To be proposed.
    package var command: Command { Command(kind: .execute, statements: [Statement(statement)]) }

    /// What a command in the log is for; nil: for something else. A client's own that has this one
    /// statement counts as well, since it does the same.
    package init?(_ command: Command) {
        guard command.kind == .execute, command.key == nil, command.statements.count == 1,
            let sql = command.statements.first?.sql, sql.utf8.count <= Self.longest,
            let task = Self.allCases.first(where: { $0.statement == sql })
        else { return nil }
        self = task
    }
}

/// When each task was last carried out, as the log has it: the same on every node.
package struct UpkeepTimes: Equatable, Sendable {
    /// Milliseconds since 1970 by the log's clock; nil: never.
    package var vacuum: Int64?
    /// The same for the other task.
    package var optimize: Int64?

    package init(vacuum: Int64? = nil, optimize: Int64? = nil) {
        self.vacuum = vacuum
        self.optimize = optimize
    }

    package subscript(task: UpkeepTask) -> Int64? {
        get {
            switch task {
            case .vacuum: vacuum
            case .optimize: optimize
            }
        }
        set {
            switch task {
            case .vacuum: vacuum = newValue
            case .optimize: optimize = newValue
            }
        }
    }
}
