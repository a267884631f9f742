internal import CSQLite
internal import SQLite
internal import Time
package import Wire

/// What a reader made of a command.
package enum ReadOutcome: Equatable, Sendable {
    case result(CommandResult)
    /// Nothing was read: the database is as the client knows it.
    case unchanged
    /// Some statement of a `/db/request` is no mere read, or can't be compiled yet: the whole
    /// request goes through the log.
    case needsWrite
    /// The results of all readers fill the memory that they may, or too many answers go out in
    /// parts: nothing was answered.
    case busy
    /// The answer went out in parts, and its last one too.
    case streamed
    /// Some of the answer went out in parts, and nobody wants the rest.
    case abandoned
}

/// Answers queries from a snapshot of the database, on a connection that can't write. Each reader
/// belongs to one thread; all statements of a request see the same snapshot.
package final class Reader {
    package let activity: ReaderActivity
    package static let timeoutText = "query timeout"

    private let budget: GatherBudget?
    /// What backups left for clients that come back.
    let kept: KeptCopies
    let connection: Connection
    /// Where SQLite's temporary files are.
    let temporaryFiles: String
    /// Opens and ends the snapshot that a request reads.
    private let beginning: PreparedStatement
    private let ending: PreparedStatement
    /// Takes the snapshot, and makes SQLite read the schema where it has changed.
    private let look: PreparedStatement
    private let compiler: StatementCompiler
    private let guardian = Guard()
    let watchdog: Watchdog
    /// Nil: it compiles whatever comes at once.
    private let gate: CompilationGate?
    private let limits: ApplierLimits
    private let settings = ReaderSettings()
    /// The guard knows the literals of the schema that is read.
    private var knowsLiterals = false
    /// A statement was compiled that would change the schema if it ran.
    private var isSchemaTouched = false
    private var counts = StatementCounts()

    /// Opens the file of an applier that is open: its locks are shared within the process.
    /// - Parameters:
    ///   - budget: what results may take while they are gathered; nil: each only has its own limit.
    ///   - kept: takes files of backups; readers of one node share it.
    ///   - gate: as do those that may not all compile at once what takes long.
    ///   - onProgress: called on the reader's thread while a statement, or many of them, take long, about every
    ///     millisecond.
    package init(
        path: String, limits: ApplierLimits = ApplierLimits(),
        activity: ReaderActivity = ReaderActivity(), budget: GatherBudget? = nil,
        kept: KeptCopies = KeptCopies(), gate: CompilationGate? = nil,
        onProgress: (@Sendable () -> Void)? = nil
    ) throws(ApplyFault) {
        self.limits = limits
        self.activity = activity
        self.budget = budget
        self.kept = kept
        self.gate = gate
        let directory = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[..<$0]) }
        temporaryFiles = DatabaseDirectory(path: directory ?? ".").temporaryFiles
        watchdog = Watchdog(activity: activity, onProgress: onProgress)
        do throws(SQLiteError) {
            let connection = try SessionSetup.openReader(path)
            compiler = StatementCompiler(
                connection: connection, guardian: guardian, capacity: limits.keptStatements)
            beginning = try connection.prepare("BEGIN", isPersistent: true)
            ending = try connection.prepare("ROLLBACK", isPersistent: true)
            look = try connection.prepare(
                "SELECT 1 FROM main.sqlite_schema LIMIT 1", isPersistent: true)
            guardian.install(on: connection)
            watchdog.install(on: connection)
            self.connection = connection
        } catch {
            throw .storage("opening the database \(path) for reading", error)
        }
    }

    /// Runs a query, or a request that only reads.
    /// - Parameters:
    ///   - deadline: when SQLite must stop; nil: never.
    ///   - stream: takes an answer that is not small, in parts; nil: all is gathered.
    package func run(
        _ command: Command, deadline: ContinuousClock.Instant? = nil,
        stream: (any ResultStream)? = nil
    ) -> ReadOutcome {
        if command.kind == .execute { return .needsWrite }
        activity.begin(at: .now)
        watchdog.start(deadline: deadline)
        defer {
            watchdog.stop()
            activity.end()
        }
        do throws(SQLiteError) {
            try beginSnapshot()
        } catch {
            // What may be a write is not refused for a reader's trouble.
            if command.kind == .request { return .needsWrite }
            return .result(CommandResult([], error: error.message))
        }
        defer { endSnapshot() }
        if command.kind == .request, !isRead(command) { return .needsWrite }
        let refusal = RequestScan.refusal(
            of: command.statements, isTransaction: command.transaction)
        if let refusal { return .result(CommandResult([], error: refusal)) }
        counts.began(command)
        var answer = ReadAnswer(stream, limits, budget: budget, watchdog: watchdog)
        var control = ReadTransaction(isFlagged: command.transaction)
        for (ordinal, text) in command.statements.enumerated() where !text.sql.isEmpty {
            let start = ContinuousClock.now - answer.waited
            let outcome = run(text, at: ordinal, of: command, &control, &answer)
            if answer.isOver { break }
            let elapsed = ContinuousClock.now - start - answer.waited
            let nanoseconds = UInt64(clamping: elapsed.nanosecondsClamped)
            // As in the log: a text of blanks and comments is no read.
            let isRead = command.kind == .query || !text.isBlank
            counts.ended(outcome, isRead: true, of: command.kind)
            answer.add(outcome, isRead: isRead, nanoseconds: nanoseconds)
        }
        return answer.finish()
    }

    /// Of the schema that it has in memory, roughly; nil: it has not looked yet, or was interrupted.
    package var schemaBytes: Int? {
        knowsLiterals ? guardian.storedLiterals.schemaSize.bytes : nil
    }

    /// What it ran since it was asked last.
    package func takeCounts() -> StatementCounts { counts.take() }

    /// Fixes what the request sees, and makes the schema in memory that of the snapshot: SQLite would
    /// look whether it has changed only when a statement runs, and what is asked of a statement when
    /// it is compiled (whether it only reads, whether it can be compiled at all) must be as of now.
    private func beginSnapshot() throws(SQLiteError) {
        try beginTransaction()
        defer { look.reset() }
        do throws(SQLiteError) {
            _ = try look.step()
        } catch {
            // It is the failure of the statements that need the schema, too.
            return compiler.forget()
        }
        // Compiled again, for the schema was another one: so would be what is kept.
        let isChanged = sqlite3_stmt_status(look.pointer, SQLITE_STMTSTATUS_REPREPARE, 1) > 0
        if isChanged || !knowsLiterals { learnLiterals() }
    }

    /// By the constants of the schema, too, is decided how a statement is compiled.
    private func learnLiterals() {
        compiler.forget()
        knowsLiterals = false
        do throws(SQLiteError) {
            guardian.storedLiterals = try StoredLiterals(on: connection)
            knowsLiterals = true
        } catch {
            // It was interrupted, and nothing is compiled; or it is the statements' failure, too.
        }
    }

    /// The snapshot begins with the first look at the database.
    func beginTransaction() throws(SQLiteError) {
        watchdog.isOff = true
        defer { watchdog.isOff = false }
        try beginning.run()
    }

    /// Nothing was changed, so nothing is lost whichever way the snapshot ends. But it must end: the next
    /// request could not begin, and the checkpoint would wait for ever.
    func endSnapshot() {
        watchdog.isOff = true
        defer { watchdog.isOff = false }
        _ = sqlite3_step(ending.pointer)
        ending.reset()
        settings.end(on: connection)
        guardian.likeIsSensitive = settings.flags.contains(.caseSensitiveLike)
    }

    // MARK: Classification

    private func isRead(_ command: Command) -> Bool {
        command.statements.allSatisfy { $0.sql.isEmpty || isRead($0.sql) }
    }

    private func isRead(_ sql: String) -> Bool {
        var offset = 0
        while true {
            watchdog.passStatement()
            // Each of its statements fails, and none is written.
            if watchdog.isCancelled { return true }
            switch compile(sql, from: offset) {
            case .nothing: return true
            // What ended for its time is no write for that.
            case .failed: return watchdog.reason != nil
            case .statement(let statement):
                if !statement.compiled.isReadOnly { return false }
                if statement.isLast { return true }
                offset = statement.end
            }
        }
    }

    /// Compiles a statement by what the file says, as the connection that writes does: plans decide
    /// the order of rows.
    private func compile(_ sql: String, from offset: Int) -> CompileOutcome {
        if isSchemaTouched, forgetSchema() { isSchemaTouched = false }
        guardian.facts.changesSchema = false
        csqlite_share_memory(limits.allReadsMemoryBytes, 0)
        defer { csqlite_share_memory(.max, 0) }
        var outcome = compileAtOnceOrLater(sql, from: offset)
        if case .statement(let statement) = outcome, needsSecondLook(statement.compiled) {
            outcome = compileAtOnceOrLater(sql, from: offset)
        }
        // To compile CREATE INDEX raises what SQLite takes for the size of a small table.
        isSchemaTouched = guardian.facts.changesSchema
        return outcome
    }

    /// What takes long waits until few others compile.
    private func compileAtOnceOrLater(_ sql: String, from offset: Int) -> CompileOutcome {
        guard let gate else { return compiler.compile(sql, from: offset) }
        compiler.isBrief = true
        let outcome = compiler.compile(sql, from: offset)
        compiler.isBrief = false
        guard compiler.wasCutShort else { return outcome }
        guard gate.enter(unless: { watchdog.reason != nil }) else {
            return .failed(
                SQLiteError(
                    extendedCode: SQLITE_INTERRUPT,
                    message: watchdog.reason ?? Reader.timeoutText))
        }
        defer { gate.leave() }
        return compiler.compile(sql, from: offset)
    }

    /// What doesn't run SQLite compiles without a look whether the schema has changed. And changes of
    /// rows, which are refused or explained here, are compiled with foreign keys where these are on.
    private func needsSecondLook(_ compiled: CompiledStatement) -> Bool {
        guard !compiled.isReadOnly || compiled.statement.isExplanation else { return false }
        compiler.forget()
        do throws(SQLiteError) {
            try settings.learnForeignKeys(on: connection)
            return readSchema()
        } catch {
            return false
        }
    }

    private func forgetSchema() -> Bool {
        sqlite3_exec(connection.pointer, "PRAGMA writable_schema=RESET", nil, nil, nil) == SQLITE_OK
    }

    /// Reads the schema anew where it has changed, which SQLite looks for when a statement runs: one
    /// that is only explained doesn't.
    private func readSchema() -> Bool {
        guardian.subject = .daemon
        return sqlite3_exec(
            connection.pointer, "SELECT 1 FROM main.sqlite_schema LIMIT 1", nil, nil, nil)
            == SQLITE_OK
    }

    // MARK: Running

    /// The outcome of a text is that of its last statement, or its first failure.
    private func run(
        _ text: Statement, at ordinal: Int, of command: Command,
        _ control: inout ReadTransaction, _ answer: inout ReadAnswer
    ) -> StatementOutcome {
        var supply = ParameterSupply(text)
        var outcome = StatementOutcome.empty
        var offset = 0
        while true {
            watchdog.passStatement()
            if let reason = watchdog.reason { return .failed(reason) }
            switch compile(text.sql, from: offset) {
            case .nothing: return outcome
            case .failed(let error): return .failed(error.message)
            case .statement(let statement):
                do throws(ParameterFailure) {
                    try supply.bind(to: statement.compiled, isLast: statement.isLast)
                } catch {
                    return .failed(error.message)
                }
                if let step = statement.compiled.facts.control {
                    outcome = control.carryOut(step)
                } else if let toggle = statement.compiled.facts.toggle {
                    outcome = settings.carryOut(
                        toggle,
                        isLast: SettingRule.isLast(statement, in: command.statements, at: ordinal),
                        on: connection)
                    guardian.likeIsSensitive = settings.flags.contains(.caseSensitiveLike)
                } else {
                    outcome = run(
                        statement, qualifyColumns: command.qualifyColumns, &answer)
                    if answer.isOver { return outcome }
                }
                if case .failed = outcome { return outcome }
                if statement.isLast { return outcome }
                offset = statement.end
            }
        }
    }

    private func run(
        _ script: ScriptStatement, qualifyColumns: Bool, _ answer: inout ReadAnswer
    ) -> StatementOutcome {
        let compiled = script.compiled
        guard compiled.isReadOnly else { return .failed(CommandRunner.readOnlyText) }
        WriteRoom.limitMemoryOfRead()
        csqlite_share_memory(limits.allReadsMemoryBytes, compiled.largeProgramBytes)
        csqlite_limit_temporary(limits.readTemporaryBytes)
        csqlite_share_temporary(limits.allReadsTemporaryBytes)
        guardian.isRunning = true
        // Where it is compiled again, for its plan depends on what was bound to LIKE.
        if !compiled.isFactored { csqlite_factor_constants(connection.pointer, 0) }
        defer {
            csqlite_factor_constants(connection.pointer, 1)
            csqlite_unlimit_memory()
            csqlite_share_memory(.max, 0)
            guardian.isRunning = false
            guardian.subject = .daemon
            compiled.statement.reset()
            compiled.statement.clearBindings()
            // Its files are closed.
            csqlite_share_temporary(.max)
            csqlite_limit_temporary(.max)
        }
        if let reason = watchdog.reason { return .failed(reason) }
        do throws(SQLiteError) {
            if compiled.facts.asksForeignKeys { try settings.learnForeignKeys(on: connection) }
            guardian.clearDenial()
            guardian.subject = .client
            // SQLite may compile it again.
            guardian.facts = compiled.facts
            var hasRow = try compiled.statement.step()
            // Stepping may have compiled the statement again, with other columns.
            guard compiled.statement.columnCount > 0 else { return .empty }
            answer.beginRows(
                of: compiled.statement, names: compiled.columnNames,
                qualifyColumns: qualifyColumns, isLast: script.isLast)
            while hasRow, answer.addRow(compiled.statement) {
                hasRow = try compiled.statement.step()
            }
            return answer.takeRows()
        } catch {
            if error.code == SQLITE_INTERRUPT, let reason = watchdog.reason {
                return .failed(reason)
            }
            if error.code == SQLITE_NOMEM, csqlite_memory_exceeded() != 0 {
                return .failed(
                    csqlite_memory_exceeded() == 2
                        ? WriteRoom.readersText : WriteRoom.memoryText)
            }
            if error.code == SQLITE_FULL, let text = temporaryText { return .failed(text) }
            if error.code == SQLITE_READONLY { return .failed(CommandRunner.readOnlyText) }
            return .failed(guardian.explaining(error).message)
        }
    }

    /// Why the statement may not hold more in temporary files; nil: it may, or there is no room.
    private var temporaryText: String? {
        switch csqlite_temporary_exceeded() {
        case 0: nil
        case 1:
            "the read needs more than \(limits.readTemporaryBytes) bytes of temporary files: ask for "
                + "fewer rows at once"
        default:
            "the reads of this node need more than \(limits.allReadsTemporaryBytes) bytes of temporary "
                + "files together: try again later"
        }
    }
}

/// BEGIN and COMMIT among reads: the request has one snapshot in any case, so they only have to be
/// in order.
private struct ReadTransaction {
    let isFlagged: Bool
    private var explicit: ExplicitTransaction?

    init(isFlagged: Bool) {
        self.isFlagged = isFlagged
        explicit = isFlagged ? ExplicitTransaction(savepoint: nil) : nil
    }

    mutating func carryOut(_ control: StatementFacts.Control) -> StatementOutcome {
        switch control {
        case .begin:
            if explicit != nil {
                return .failed("cannot start a transaction within a transaction")
            }
            explicit = ExplicitTransaction(savepoint: nil)
        case .commit, .rollback:
            let verb = control == .commit ? "commit" : "rollback"
            if explicit == nil { return .failed("cannot \(verb) - no transaction is active") }
            if !isFlagged { explicit = nil }
        case .savepoint(let name):
            if explicit == nil {
                explicit = ExplicitTransaction(savepoint: name)
            } else {
                explicit?.push(name)
            }
        case .release(let name):
            switch explicit?.release(name) ?? .unknownName {
            case .unknownName: return .failed("no such savepoint: \(name)")
            case .released: break
            case .endsTransaction: explicit = nil
            }
        case .rollbackTo(let name):
            if explicit?.rollBack(to: name) != true {
                return .failed("no such savepoint: \(name)")
            }
        }
        return .empty
    }
}

extension Statement {
    /// Nothing but blanks and comments.
    fileprivate var isBlank: Bool {
        var copy = sql
        return copy.withUTF8 { SQLTokenizer.isBlank(UnsafeRawBufferPointer($0)) }
    }
}
