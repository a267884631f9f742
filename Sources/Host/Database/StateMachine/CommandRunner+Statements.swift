internal import SQLite
internal import Wire

/// One statement of a command: what it is allowed to do, and what it did.
extension CommandRunner {
    func runStatement(_ statement: ScriptStatement, _ supply: inout ParameterSupply)
        throws(Interruption)
    {
        let facts = statement.compiled.facts
        session.budget.charge(
            textBytes: statement.end - progress.offset,
            parameters: supply.named.isEmpty ? 0 : statement.compiled.parameterCount)
        session.budget.charge(
            allocations: statement.compiled.allocations,
            textBytes: statement.end - progress.offset, listSteps: statement.compiled.size.steps)
        session.chargeReading(before: statement.compiled)
        if let failure = try failureOfViews(before: statement.compiled) {
            return finish(statement, .failed(failure), supply)
        }
        if let refusal = refusal(of: statement.compiled) {
            return finish(statement, .failed(refusal), supply)
        }
        if let control = facts.control {
            try runControl(control, statement, supply)
            return try noticeEndOfUnit()
        }
        do throws(ParameterFailure) {
            session.budget.bindingBegins()
            try supply.bind(to: statement.compiled, isLast: statement.isLast)
        } catch {
            var text = error.message
            if let cause = error.cause {
                text = try message(of: cause, during: "binding parameters")
            }
            return finish(statement, .failed(text), supply)
        }
        if let row = facts.catalogueRow {
            try load(row, statement, supply)
            return try noticeEndOfUnit()
        }
        if let toggle = facts.toggle { return try runSwitch(toggle, statement, supply) }
        if facts.keyword == .vacuum { return try runVacuum(statement, supply) }
        if facts.optimizes { return try runOptimize(statement, supply) }
        try runOrdinary(statement, supply)
    }

    /// Why what a statement works out of views can't be charged; nil: it is.
    private func failureOfViews(before compiled: CompiledStatement) throws(Interruption) -> String?
    {
        do throws(SQLiteError) {
            try session.chargeViews(before: compiled)
            return nil
        } catch {
            return try message(of: error, during: "working out views")
        }
    }

    static let readOnlyText = "attempt to change database via query operation"

    private func refusal(of compiled: CompiledStatement) -> String? {
        if compiled.isReadOnly { return nil }
        if command.kind == .query { return Self.readOnlyText }
        return compiled.facts.nodeLocal.map { Guard.nodeLocalText($0) }
    }

    private func runOrdinary(_ statement: ScriptStatement, _ supply: ParameterSupply)
        throws(Interruption)
    {
        if mode == .shared, session.guardian.needsUnits { throw .needsUnits }
        let isOwnUnit = !isUnitOpen
        if isOwnUnit { try openUnit() }
        var outcome = try execute(statement.compiled)
        if session.isTransactionEnded {
            if mode == .shared { throw .needsUnits }
            finish(statement, outcome, supply)
            return try unitEnded()
        }
        var keeps = !(isOwnUnit && session.mayHaveLeftRows)
        if let refusal = try refusalOfSchema(after: statement.compiled) {
            outcome = .failed(refusal)
            keeps = false
        } else if keeps, isOwnUnit, session.hasDeferredViolations {
            outcome = .failed(Self.foreignKeyText)
            keeps = false
        }
        finish(statement, outcome, supply)
        if session.isTransactionEnded { return try unitEnded() }
        // In a longer unit such a statement ends it like RAISE(ROLLBACK).
        if isOwnUnit || !keeps { try endUnit(keeping: keeps) }
    }

    /// SQLite may have ended the transaction, with what is a part of a unit: for want of room it undoes
    /// all. What follows in the request is of no unit yet.
    private func noticeEndOfUnit() throws(Interruption) {
        guard isUnitOpen, session.isTransactionEnded else { return }
        if mode == .shared { throw .needsUnits }
        try unitEnded()
    }

    /// Why a change of the schema must be undone: no connection could read the schema after it.
    private func refusalOfSchema(after compiled: CompiledStatement) throws(Interruption)
        -> String?
    {
        guard !compiled.isReadOnly, compiled.facts.keyword != .data else { return nil }
        do throws(SQLiteError) {
            _ = try session.refreshSchema()
            return nil
        } catch {
            if ApplyFault.isOfSchema(error) { return error.message }
            return try message(of: error, during: "reading the schema")
        }
    }

    /// Why a statement can't be run beside what full-text tables hold; nil: it can.
    private func refusalOfFullText(_ compiled: CompiledStatement) throws(Interruption) -> String? {
        do throws(SQLiteError) {
            return try session.writeOutFullText(before: compiled)
        } catch {
            return try message(of: error, during: "writing what full-text tables hold")
        }
    }

    static let indexText =
        "an index disagrees with its table (SQLite: database disk image is malformed): REINDEX makes it anew"

    /// What a client is told of an index that SQL made disagree with its table, which SQLite calls damage. It lets nothing
    /// be written in the transaction any more: the unit is undone.
    private func failureOfIndex(_ fault: ApplyFault) throws(Interruption) -> String {
        guard fault.isDamage else { throw .fault(fault) }
        if mode == .shared { throw .needsUnits }
        let isWhole: Bool
        do throws(SQLiteError) {
            try session.rollBack()
            isWhole = try session.hasWholeTrees()
        } catch {
            // It is damaged in other places as well, or the machine lacks what it takes to look.
            let other = ApplyFault.judging(
                error, during: "looking whether the database is damaged", on: session.connection,
                since: session.shortagesBefore)
            throw .fault(other ?? fault)
        }
        guard isWhole else { throw .fault(fault) }
        return Self.indexText
    }

    /// Runs a bound statement and says what it did.
    private func execute(_ compiled: CompiledStatement) throws(Interruption) -> StatementOutcome {
        if let refusal = try refusalOfFullText(compiled) { return .failed(refusal) }
        let givesRows = command.kind != .execute || !compiled.isReadOnly
        let isUnshown = wantsRows && !hasRoomForRows
        let keepsRows = wantsRows && givesRows && !isUnshown
        let changesBefore = session.connection.totalChanges
        let previousRowid = session.connection.lastInsertRowid
        var collector: RowCollector?
        var columnCount = 0
        // Named here, for the closure would take a copy of all there is.
        let (qualifyColumns, byteLimit) = (command.qualifyColumns, limits.resultBytes)
        let execution: WriteSession.Execution
        do throws(ApplyFault) {
            execution = try session.run(compiled, stopsAtFirstRow: !givesRows) { running, isRow in
                if collector == nil {
                    columnCount = running.columnCount
                    collector = RowCollector(
                        running, names: compiled.columnNames, qualifyColumns: qualifyColumns,
                        byteLimit: byteLimit, keepsRows: keepsRows)
                }
                if isRow, givesRows { collector?.add(running) }
            }
        } catch {
            return .failed(try failureOfIndex(error))
        }
        switch execution {
        case .finished: break
        case .failed(let message): return .failed(message)
        case .overLimit(let message):
            // In a batch the rows of others took part of the room.
            if mode == .shared { throw .needsUnits }
            return .failed(message)
        }
        if givesRows, columnCount > 0, let collector {
            return isUnshown && !collector.isOverLimit
                ? AnswerRoom.unshownRows : collector.finish()
        }
        // Changes that DDL or VACUUM count are not those of the client's rows.
        guard compiled.facts.keyword == .data, session.connection.totalChanges != changesBefore
        else { return .empty }
        return .changed(
            lastInsertID: compiled.facts.inserts
                ? session.insertedRowid(previous: previousRowid) : 0,
            rowsAffected: session.connection.changes)
    }

    // MARK: Statements about the session

    /// Only within a transaction by hand, as dumps have it: a restart between two units would read
    /// the schema, and protect the shadow tables that the dump still has to fill.
    private func load(
        _ row: CatalogueRow, _ statement: ScriptStatement, _ supply: ParameterSupply
    ) throws(Interruption) {
        guard explicit != nil else {
            let text = "a virtual table is put into the schema within BEGIN and COMMIT only"
            return finish(statement, .failed(text), supply)
        }
        // The file is opened anew at the end.
        if mode == .shared { throw .needsUnits }
        if session.budget.isSpent {
            return finish(statement, .failed(session.budget.text), supply)
        }
        session.unitChangesSchema = true
        session.chargeCatalogueRow()
        let outcome: StatementOutcome
        do throws(CatalogueRowError) {
            try session.insert(row)
            outcome = .changed(
                lastInsertID: session.connection.lastInsertRowid, rowsAffected: 1)
        } catch {
            var text = error.text
            if let cause = error.cause {
                text = try message(of: cause, during: "putting a virtual table into the schema")
            }
            outcome = .failed(text)
        }
        finish(statement, outcome, supply)
    }

    private func runSwitch(
        _ toggle: StatementFacts.Switch, _ statement: ScriptStatement, _ supply: ParameterSupply
    ) throws(Interruption) {
        if let refusal = SettingRule.refusal(
            of: toggle, clusterHasForeignKeys: state.settings.foreignKeys,
            isLast: SettingRule.isLast(
                statement, in: command.statements, at: progress.statement))
        {
            return finish(statement, .failed(refusal), supply)
        }
        do throws(SQLiteError) {
            switch toggle {
            case .foreignKeys(let isOn):
                // As in SQLite it does nothing within a transaction.
                if !isUnitOpen {
                    try session.setForeignKeys(isOn)
                    progress.foreignKeys = isOn
                }
            case .deferForeignKeys(let isOn):
                if isUnitOpen { try session.setDeferForeignKeys(isOn) }
            case .flag(let flag, let isOn):
                if isOn { progress.flags.insert(flag) } else { progress.flags.remove(flag) }
                try session.setFlags(progress.flags)
            }
        } catch {
            throw .fault(.storage("switching a setting of the request", error))
        }
        finish(statement, .empty, supply)
    }

    /// VACUUM, outside of any transaction.
    private func runVacuum(_ statement: ScriptStatement, _ supply: ParameterSupply)
        throws(Interruption)
    {
        guard !isUnitOpen else {
            return finish(
                statement, .failed("cannot VACUUM from within a transaction"), supply)
        }
        if mode == .shared { throw .needsUnits }
        try boundRoom()
        finish(statement, try vacuum(statement.compiled), supply)
        try commitProgress()
    }

    private func vacuum(_ compiled: CompiledStatement) throws(Interruption)
        -> StatementOutcome
    {
        do throws(ApplyFault) {
            return try session.vacuum { () throws(ApplyFault) in
                do throws(Interruption) {
                    return try execute(compiled)
                } catch {
                    guard case .fault(let fault) = error else { return .empty }
                    throw fault
                }
            }
        } catch {
            throw .fault(error)
        }
    }

    /// PRAGMA optimize: ANALYZE, and nothing in a query.
    private func runOptimize(_ statement: ScriptStatement, _ supply: ParameterSupply)
        throws(Interruption)
    {
        if command.kind == .query { return finish(statement, .empty, supply) }
        if session.budget.isSpent {
            return finish(statement, .failed(session.budget.text), supply)
        }
        if mode == .shared, session.guardian.needsUnits { throw .needsUnits }
        let isOwnUnit = !isUnitOpen
        if isOwnUnit { try openUnit() }
        let outcome = try analyze()
        finish(statement, outcome, supply)
        if session.isTransactionEnded { return try unitEnded() }
        // What it has written already stays when it fails, for SQLite keeps no journal for it.
        let keeps = outcome == .empty
        if isOwnUnit || !keeps { try endUnit(keeping: keeps) }
    }

    private func analyze() throws(Interruption) -> StatementOutcome {
        do throws(SQLiteError) {
            try session.analyze()
            return .empty
        } catch {
            return .failed(try message(of: error, during: "PRAGMA optimize"))
        }
    }

    // MARK: Transactions by hand

    private func runControl(
        _ control: StatementFacts.Control, _ statement: ScriptStatement, _ supply: ParameterSupply
    ) throws(Interruption) {
        switch control {
        case .begin:
            guard explicit == nil else {
                return finish(
                    statement, .failed("cannot start a transaction within a transaction"), supply)
            }
            // Nothing in it could run, and to undo it may mean to read the schema.
            if session.budget.isSpent {
                return finish(statement, .failed(session.budget.text), supply)
            }
            try openUnit()
            explicit = ExplicitTransaction(savepoint: nil)
            finish(statement, .empty, supply)
        case .commit: try end(statement, supply, verb: "commit", keeping: true)
        case .rollback: try end(statement, supply, verb: "rollback", keeping: false)
        case .savepoint(let name):
            if name.loweredASCII == WriteSession.unitSavepoint {
                return finish(statement, .failed("savepoint name \(name) is reserved"), supply)
            }
            if explicit?.isFull ?? false {
                return finish(statement, .failed(ExplicitTransaction.fullText), supply)
            }
            if session.budget.isSpent {
                return finish(statement, .failed(session.budget.text), supply)
            }
            if explicit == nil {
                try openUnit()
                explicit = ExplicitTransaction(savepoint: name)
            } else {
                explicit?.push(name)
            }
            finish(statement, try execute(statement.compiled), supply)
        case .release(let name): try release(name, statement, supply)
        case .rollbackTo(let name):
            guard explicit?.rollBack(to: name) ?? false else {
                return finish(statement, .failed("no such savepoint: \(name)"), supply)
            }
            if session.budget.isSpent { return try undoForWantOfSteps(statement, supply) }
            let outcome = try execute(statement.compiled)
            session.chargeUndoing()
            session.rolledBackToSavepoint()
            finish(statement, outcome, supply)
        }
    }

    /// A ROLLBACK TO that can't be run any more. A COMMIT behind it would keep what it was to undo, so all
    /// of the transaction is undone.
    private func undoForWantOfSteps(_ statement: ScriptStatement, _ supply: ParameterSupply)
        throws(Interruption)
    {
        finish(statement, .failed(session.budget.text), supply)
        // One by the request's flag is undone with its failure.
        if !command.transaction { try endUnit(keeping: false) }
    }

    private func end(
        _ statement: ScriptStatement, _ supply: ParameterSupply, verb: String, keeping: Bool
    ) throws(Interruption) {
        if command.transaction {
            let text = "cannot \(verb): the request is one transaction by its parameter"
            return finish(statement, .failed(text + " transaction"), supply)
        }
        guard explicit != nil else {
            return finish(
                statement, .failed("cannot \(verb) - no transaction is active"), supply)
        }
        // As in SQLite the transaction stays open and can be mended.
        if keeping, session.hasDeferredViolations {
            return finish(statement, .failed(Self.foreignKeyText), supply)
        }
        finish(statement, .empty, supply)
        try endUnit(keeping: keeping)
    }

    private func release(
        _ name: String, _ statement: ScriptStatement, _ supply: ParameterSupply
    ) throws(Interruption) {
        var copy = explicit
        switch copy?.release(name) ?? .unknownName {
        case .unknownName:
            finish(statement, .failed("no such savepoint: \(name)"), supply)
        case .released:
            explicit = copy
            finish(statement, try execute(statement.compiled), supply)
        case .endsTransaction:
            if session.hasDeferredViolations {
                return finish(statement, .failed(Self.foreignKeyText), supply)
            }
            finish(statement, .empty, supply)
            try endUnit(keeping: true)
        }
    }
}
