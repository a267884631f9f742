internal import CSQLite
internal import SQLite

/// Bounds what a command may cost, in steps of SQLite's virtual machine, so that no entry stops the
/// cluster for ever. Steps are the same on every node where time is not: so is the outcome.
final class StepBudget {
    /// SQLite reports each time a statement has taken this many steps more.
    static let stepsPerCallback: Int32 = 10_000

    private let limit: Int
    /// By the command so far, in callbacks.
    var used = 0
    private(set) var isExhausted = false

    /// `steps` must be the same on every node.
    init(steps: Int) {
        limit = max(1, steps / Int(Self.stepsPerCallback))
    }

    var text: String {
        "the request needs more than \(limit * Int(Self.stepsPerCallback)) steps of SQLite's "
            + "virtual machine: split it into smaller ones"
    }

    /// The budget must live as long as the connection.
    func install(on connection: borrowing Connection) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_progress_handler(
            connection.pointer, Self.stepsPerCallback,
            { context in
                guard let context else { return 1 }
                return Unmanaged<StepBudget>.fromOpaque(context).takeUnretainedValue().spend()
            }, context)
    }

    private func spend() -> Int32 {
        guard isCounting else { return 0 }
        used += 1
        isExhausted = used > limit
        return isExhausted ? 1 : 0
    }

    /// Off while our own statements run.
    private var isCounting = false

    /// SQLite reports at multiples of a count that each statement keeps over its runs, so all start
    /// at zero: the statement's own, and those of virtual tables, which live as long as the
    /// connection.
    func start(_ statement: borrowing PreparedStatement, on connection: OpaquePointer, all: Bool) {
        isExhausted = false
        isCounting = true
        guard all else { return statement.resetStepCount() }
        var next = sqlite3_next_stmt(connection, nil)
        while let current = next {
            _ = sqlite3_stmt_status(current, SQLITE_STMTSTATUS_VM_STEP, 1)
            next = sqlite3_next_stmt(connection, current)
        }
    }

    func stop() {
        isCounting = false
    }
}
