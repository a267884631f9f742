import Threads
import Time

internal import CSQLite
internal import Glibc
internal import Raft
internal import SQLite
internal import Wire

/// Applies one command, statement by statement.
///
/// An *autocommit unit* is what SQLite would commit on its own: a statement, a command with
/// `transaction`, or what stands between a hand-made BEGIN and COMMIT. Each unit runs in a savepoint.
/// In a shared transaction nothing else marks it; otherwise each unit is a transaction, which also
/// stores how far the command is done. Both give the same rows and results.
///
/// A class, for it is large: a struct of its size is copied for many calls that only read it.
final class CommandRunner {
    enum Mode: Equatable {
        /// Within the transaction of a batch.
        case shared
        /// Every unit commits on its own.
        case perUnit
    }

    /// Why a run ends early.
    enum Interruption: Error {
        /// Something ended the batch's transaction, or can't run within one.
        case needsUnits
        case fault(ApplyFault)
    }

    /// What is done of a command, and what it answered so far.
    struct Committed: Equatable {
        var progress = EntryProgress()
        var results: [StatementResult] = []
        var error: String?
        /// Of the rows written, as it was stored with the progress.
        var trace: Digest?
        /// The answer to a write that may be repeated is too large to be kept.
        var isAnswerOmitted = false
    }

    let session: WriteSession
    let command: Command
    let mode: Mode
    let limits: ApplierLimits
    /// Rows are gathered only for those who wait for them.
    let wantsRows: Bool
    /// Written with each unit's transaction; its progress is kept up to date.
    var state: AppliedState

    var progress: EntryProgress
    private(set) var results: [StatementResult]
    private var room: AnswerRoom
    private(set) var error: String?
    /// What can be gone back to when the disk is full: progress and results at the last commit.
    private(set) var committed: Committed
    /// The transaction opened by hand, or by the command's flag.
    var explicit: ExplicitTransaction?
    private(set) var isUnitOpen = false
    /// Of the answer to a write that may be repeated.
    private var answer = KeptAnswerEncoder()
    private var isAnswerOmitted: Bool
    /// From here on the command is left out.
    var stop: StatementPlace?
    /// Is told where the command stands.
    var marker: ApplyMarker?

    init(
        session: WriteSession, command: Command, mode: Mode, state: AppliedState,
        options: (limits: ApplierLimits, wantsRows: Bool),
        resuming: Committed = Committed()
    ) {
        self.session = session
        self.command = command
        self.mode = mode
        self.state = state
        limits = options.limits
        // What is kept of an answer must not depend on who waits for it.
        wantsRows = options.wantsRows || command.key != nil
        committed = resuming
        progress = resuming.progress
        results = resuming.results
        room = AnswerRoom(rowLimit: options.limits.resultBytes)
        error = resuming.error
        isAnswerOmitted = resuming.isAnswerOmitted
        for result in resuming.results { _ = room.admit(result.outcome) }
    }

    /// Of the rows that the answer shows, in bytes.
    var rowBytes: Int { room.rowBytes }

    var result: CommandResult {
        error.map { CommandResult([], error: $0) } ?? CommandResult(room.shown(results))
    }

    func run() throws(Interruption) {
        let refusal = RequestScan.refusal(
            of: command.statements, isTransaction: command.transaction)
        guard refusal == nil else {
            error = refusal
            return
        }
        session.room.readsAlone = command.kind == .query
        do throws(SQLiteError) {
            try session.beginCommand(
                progress, settings: state.settings, isShared: mode == .shared)
        } catch {
            throw .fault(.storage("preparing the session", error))
        }
        if command.transaction {
            if progress.statement < command.statements.count { try runAsTransaction() }
            return
        }
        while progress.statement < command.statements.count {
            let text = command.statements[progress.statement]
            let wasOpen = isUnitOpen
            try runText(text)
            // A failure within a text can leave its COMMIT unreached. What follows is not of that
            // transaction: it would answer as if it were kept.
            if isUnitOpen, !wasOpen, RequestScan.isComplete(text.sql) {
                try endUnit(keeping: false)
            }
        }
        if isUnitOpen { try endUnit(keeping: false) }
    }

    private func runAsTransaction() throws(Interruption) {
        try openUnit()
        explicit = ExplicitTransaction(savepoint: nil)
        while progress.statement < command.statements.count {
            try runText(command.statements[progress.statement])
        }
        if error != nil { return }
        if case .failed? = results.last?.outcome {
            if isUnitOpen { try endUnit(keeping: false) }
            return
        }
        let violated = session.hasDeferredViolations
        if violated { error = Self.foreignKeyText }
        try endUnit(keeping: !violated)
    }

    static let foreignKeyText = "FOREIGN KEY constraint failed"

    // MARK: Texts

    /// Runs what is left of one text: its last statement's outcome is the text's.
    private func runText(_ text: Statement) throws(Interruption) {
        if text.sql.isEmpty { return nextText() }
        var supply = ParameterSupply(
            text, positionalUsed: progress.positionalUsed, from: progress.offset)
        let start = Self.now()
        let ordinal = progress.statement
        while progress.statement == ordinal {
            marker?.reach(place)
            if isStopped { return try leaveOut() }
            // Compiled alone, such a statement may make the session read the schema.
            if session.budget.isSpent,
                StatementCompiler.isAboutSchema(text.sql, at: progress.offset)
            {
                if mode == .shared { throw .needsUnits }
                finish(nil, .failed(session.budget.text), supply)
                continue
            }
            switch try compile(text.sql) {
            case .nothing:
                if progress.offset == 0 { record(.empty, isRead: command.kind == .query) }
                nextText()
            case .failed(let error):
                let fault = ApplyFault.judging(
                    error, during: "compiling a statement", on: session.connection,
                    since: session.shortagesBefore)
                if let fault { throw .fault(fault) }
                // What can't be compiled for want of steps is told so, as what can't be run.
                let isSpent = session.budget.isSpent
                let textBytes = text.sql.utf8.count - progress.offset
                session.budget.charge(textBytes: textBytes, parameters: 0)
                session.budget.charge(
                    allocations: session.compiler.allocations, textBytes: textBytes,
                    listSteps: session.compiler.listSteps)
                let reason = isSpent ? session.budget.text : error.message
                finish(nil, .failed(reason), supply)
                // SQLite ends a transaction when there is no room for what it holds back.
                if isUnitOpen, session.isTransactionEnded { try unitEnded() }
            case .statement(let statement):
                try runStatement(statement, &supply)
            }
            if mode == .shared, session.budget.isInDoubt { throw .needsUnits }
        }
        if !results.isEmpty { results[results.count - 1].nanoseconds = Self.now() &- start }
    }

    /// The statement at `progress.offset`, compiled against the schema as the file has it.
    private func compile(_ sql: String) throws(Interruption) -> CompileOutcome {
        do throws(SQLiteError) {
            return try session.compile(sql, from: progress.offset)
        } catch {
            // A virtual table finds fault with its rows when it must write them.
            let text = try message(of: error, during: "reading the schema")
            return .failed(SQLiteError(extendedCode: error.extendedCode, message: text))
        }
    }

    /// What a client is told of a failure that the daemon's own words brought to light, but that lies
    /// in what clients wrote: it is the same on every node.
    func message(of error: SQLiteError, during operation: String) throws(Interruption) -> String {
        if case .fault(let fault) = interruption(error, operation) { throw .fault(fault) }
        // In a batch the rows of others took part of the room.
        if mode == .shared { throw .needsUnits }
        return Self.text(of: error)
    }

    private static func text(of error: SQLiteError) -> String {
        error.code == SQLITE_NOMEM ? WriteRoom.memoryText : error.message
    }

    private var place: StatementPlace {
        StatementPlace(text: progress.statement, offset: progress.offset)
    }

    private var isStopped: Bool { stop.map { $0 <= place } ?? false }

    static let skippedText =
        "the request was left out by a decision of the cluster's operator: it ended the process of "
        + "the nodes that tried it"

    /// Ends the command here. A unit that is open is undone as a whole.
    private func leaveOut() throws(Interruption) {
        progress.statement = command.statements.count
        progress.offset = 0
        progress.positionalUsed = 0
        error = Self.skippedText
        if isUnitOpen { try endUnit(keeping: false) }
    }

    private func nextText() {
        progress.statement += 1
        progress.offset = 0
        progress.positionalUsed = 0
    }

    /// A text has one result: that of its last statement so far.
    private func record(_ outcome: StatementOutcome, isRead: Bool) {
        // After a restart the results of what is done already are gone, and nobody waits for them.
        if progress.offset > 0, let replaced = results.popLast() { room.release(replaced.outcome) }
        results.append(StatementResult(room.admit(outcome), isRead: isRead))
    }

    /// Whether the rows of the present statement go into the answer, if anybody wants rows.
    var hasRoomForRows: Bool {
        room.hasRoomForRows(inPlaceOf: progress.offset > 0 ? results.last?.outcome : nil)
    }

    /// Notes how a statement ended and moves on: to the next one, or past the text if it failed or
    /// was the last, or past the command if that is one transaction.
    func finish(
        _ statement: ScriptStatement?, _ outcome: StatementOutcome, _ supply: ParameterSupply
    ) {
        let isRead =
            switch command.kind {
            case .execute: false
            case .query: true
            case .request: statement?.compiled.isReadOnly ?? false
            }
        record(outcome, isRead: isRead)
        if case .failed = outcome {
            nextText()
            // What only reads goes on behind a failure at every level, also in a transaction, unless SQLite
            // has ended that.
            if command.transaction, command.kind != .query || session.isTransactionEnded {
                progress.statement = command.statements.count
            }
        } else if let statement, !statement.isLast {
            progress.offset = statement.end
            progress.positionalUsed = supply.positionalUsed
        } else {
            nextText()
        }
    }

    // MARK: Units

    func openUnit() throws(Interruption) {
        do throws(SQLiteError) {
            if mode == .perUnit {
                try session.begin()
                try session.boundRoom(state.settings.limits, exactly: true)
            }
            try session.openUnit()
        } catch {
            throw interruption(error, "opening a unit")
        }
        // Where a unit begins is the same on every node, however it got there.
        session.beginChance(
            seed: command.stamp.seed, unit: progress.statement << 32 | progress.offset)
        isUnitOpen = true
    }

    /// For a statement that runs outside of any transaction.
    func boundRoom() throws(Interruption) {
        do throws(SQLiteError) {
            try session.boundRoom(state.settings.limits, exactly: true)
        } catch {
            throw interruption(error, "limiting the size of the database")
        }
    }

    /// The progress must have moved past the unit already: it is stored with it.
    func endUnit(keeping: Bool) throws(Interruption) {
        isUnitOpen = false
        explicit = nil
        do throws(SQLiteError) {
            try session.closeUnit(keeping: keeping)
            if mode == .perUnit { try storeProgress() } else { _ = keptAnswer() }
        } catch {
            let reason = interruption(error, "committing a unit")
            guard mode == .perUnit, case .needsUnits = reason else { throw reason }
            // A virtual table may find fault with its rows only now: the unit has failed.
            try undoUnit(Self.text(of: error))
        }
        session.readCatalogueRows()
    }

    private func undoUnit(_ message: String) throws(Interruption) {
        session.chargeUndoing()
        do throws(SQLiteError) {
            try session.rollBack()
        } catch {
            throw .fault(.storage("rolling back a unit", error))
        }
        if command.transaction {
            error = message
        } else if let last = results.last {
            room.release(last.outcome)
            results[results.count - 1].outcome = room.admit(.failed(message))
        }
        try commitProgress()
    }

    /// SQLite ended the unit's transaction by itself; only that it was tried is stored.
    func unitEnded() throws(Interruption) {
        session.chargeUndoing()
        isUnitOpen = false
        explicit = nil
        try commitProgress()
    }

    /// Stores the progress in a transaction of its own.
    func commitProgress() throws(Interruption) {
        do throws(SQLiteError) {
            try session.rollBack()
            try session.begin()
            try storeProgress()
        } catch {
            throw .fault(.storage("storing the progress of an entry", error))
        }
    }

    private func storeProgress() throws(SQLiteError) {
        session.recordSession(in: &progress)
        state.progress = progress
        state.trace = session.trace.value
        try MetadataTable.writeProgress(state, on: session.connection)
        if let key = command.key {
            let record = RepeatRecord(
                key: key, index: state.position.index.next.rawValue, milliseconds: 0)
            try MetadataTable.writeAnswerSoFar(
                record.encoded(with: keptAnswer()), on: session.connection)
        }
        try session.commit()
        committed = Committed(
            progress: progress, results: results, error: error, trace: state.trace,
            isAnswerOmitted: isAnswerOmitted)
    }

    /// What of the answer so far is to be kept, for a write that may be repeated. Once it was too
    /// large it stays so: after a restart nobody would know what it was.
    func keptAnswer() -> KeptAnswer.Encoded {
        guard command.key != nil, !isAnswerOmitted else { return .omitted }
        let encoded = error.map { .init(error: $0) } ?? answer.encode(results) ?? .omitted
        isAnswerOmitted = encoded == .omitted
        return encoded
    }

    private func interruption(_ error: SQLiteError, _ operation: String) -> Interruption {
        let fault = ApplyFault.judging(
            error, during: operation, on: session.connection,
            since: session.shortagesBefore)
        return fault.map { .fault($0) } ?? .needsUnits
    }

    private static func now() -> UInt64 { MonotonicTime.now.nanoseconds }
}
