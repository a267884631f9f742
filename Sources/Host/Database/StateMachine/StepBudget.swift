internal import CSQLite
internal import SQLite

/// Bounds what a command may cost, in steps of SQLite's virtual machine, so that no entry stops the
/// cluster for ever. Steps are the same on every node where time is not: so is the outcome.
final class StepBudget {
    /// SQLite reports each time a statement has taken this many steps more.
    static let stepsPerCallback: Int32 = 10_000

    /// Work of our own functions that costs as much as a step, in bytes gone through.
    static let bytesPerStep: Int64 = 16

    private var limit: Int
    /// By the command so far, in callbacks.
    var used = 0
    private(set) var isExhausted = false
    /// Steps charged by the statement that runs and not in `used` yet: less than a callback's.
    private var remainder = 0

    /// `steps` must be the same on every node.
    init(steps: Int) {
        limit = max(1, steps / Int(Self.stepsPerCallback))
    }

    /// The limit from here on; the same on every node.
    func allow(steps: UInt64) {
        limit = max(1, Int(clamping: steps / UInt64(Self.stepsPerCallback)))
    }

    var text: String {
        "the request needs more than \(limit * Int(Self.stepsPerCallback)) steps of SQLite's "
            + "virtual machine: split it into smaller ones, or raise the limit on steps"
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

    /// Counts work that SQLite's steps don't show. False: it is beyond the budget.
    func charge(bytes: Int64) -> Bool {
        guard isCounting else { return true }
        charge(steps: Int(bytes / Self.bytesPerStep))
        return !isExhausted
    }

    /// Counts the compiling of a statement: it grows with the text, and with the square of the
    /// number of its named parameters, of which SQLite keeps a list. Whether it was compiled now or
    /// kept from before makes no difference.
    func charge(textBytes: Int, parameters: Int) {
        remainder = 0
        charge(steps: textBytes + parameters * parameters / 2)
    }

    private func charge(steps: Int) {
        let perCallback = Int(Self.stepsPerCallback)
        remainder += steps
        used += remainder / perCallback
        remainder %= perCallback
        if used > limit { isExhausted = true }
    }

    /// Off while our own statements run.
    private var isCounting = false

    /// SQLite reports at multiples of a count that each statement keeps over its runs, so all start
    /// at zero: the statement's own, and those of virtual tables, which live as long as the
    /// connection.
    func start(_ statement: borrowing PreparedStatement, on connection: OpaquePointer, all: Bool) {
        isExhausted = used > limit
        isCounting = true
        remainder = 0
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
