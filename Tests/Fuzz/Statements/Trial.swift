import Raft
import Scratch
import StateMachine
import Wire

/// One request of an input.
struct Request {
    var kind = CommandKind.request
    var isTransaction = false
    var restartsBefore = false
    var statements: [Statement] = []

    static func all(in text: String) -> [Request] {
        var requests: [Request] = []
        var current = Request()
        for line in text.split(separator: "\n").prefix(200) {
            guard line.hasPrefix("--!") else {
                current.statements.append(statement(String(line)))
                continue
            }
            if !current.statements.isEmpty { requests.append(current) }
            current = Request()
            current.restartsBefore = line.contains("again")
            current.isTransaction = line.contains("transaction")
            current.kind =
                line.contains("query") ? .query : line.contains("execute") ? .execute : .request
        }
        if !current.statements.isEmpty { requests.append(current) }
        return requests
    }

    private static func statement(_ sql: String) -> Statement {
        let values: [Value] = [
            .null, .integer(.min), .real(-0.0), .text("é\0x"), .blob([0, 255]), .text(""),
        ]
        if sql.contains(":n") {
            return Statement(
                sql, named: values.enumerated().map { .init(name: "n\($0)", value: $1) })
        }
        let wanted = sql.utf8.count { $0 == UInt8(ascii: "?") }
        return Statement(sql, positional: (0..<min(wanted, 50)).map { values[$0 % values.count] })
    }
}

/// What must not be, in words.
struct TrialFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A database, for one input. Whatever that holds, the process must not end, no failure may be taken for
/// one of the machine, and the database must open again.
///
/// An input is a text; lines that begin with `--!` set what follows:
///
///     --! request | execute | query | transaction   the request that follows
///     --! again                                     a restart of the database in between
///
/// Each line between them is one SQL text of the request, with a fixed set of parameters where it
/// holds any: a line with a name is given names, one with a `?` positions.
///
/// To be made and used on a thread with a deep stack, as the daemon's own threads that run SQL.
final class Trial {
    private let directory: TemporaryDirectory
    private let databases: DatabaseDirectory
    private var applier: Applier?
    private var results: [AppliedEntry] = []

    /// Carries out the requests of an input.
    static func carryOut(_ text: String) throws(TrialFailure) {
        let trial = try Trial()
        for request in Request.all(in: text) { try trial.carryOut(request) }
        try trial.end()
    }

    private init() throws(TrialFailure) {
        do throws(SystemFailure) {
            directory = try TemporaryDirectory("fuzz")
        } catch {
            throw TrialFailure("\(error)")
        }
        databases = DatabaseDirectory(path: directory.path)
        let limits = WriteLimits.initial.applying(
            WriteLimitsChange(
                steps: 300_000, growth: 16 << 20, database: 64 << 20, temporary: 16 << 20))
        do {
            try databases.prepareTemporaryFiles()
            try databases.create(
                .first,
                state: AppliedState(settings: ClusterSettings(foreignKeys: false, limits: limits)))
            applier = try Applier(path: databases.file(of: .first))
        } catch {
            throw TrialFailure("a new database can't be made: \(error)")
        }
    }

    private func carryOut(_ request: Request) throws(TrialFailure) {
        if request.restartsBefore { try reopen() }
        guard let applier else { return }
        let index = applier.applied.position.index.next
        let command = Command(
            kind: request.kind, statements: request.statements, transaction: request.isTransaction,
            stamp: Stamp(milliseconds: 1_700_000_000_000, seed: index.rawValue))
        do {
            if request.kind != .execute {
                _ = try Reader(path: applier.path).run(
                    command, deadline: ContinuousClock.now.advanced(by: .seconds(2)))
            }
            let entry = Entry(
                index: index, term: Term(1),
                payload: .command(LogCommand.command(command).encoded()))
            try applier.apply([entry], reporting: { _ in true }, into: &results)
        } catch {
            throw TrialFailure("\(request.statements.map(\.sql)): \(error)")
        }
    }

    private func reopen() throws(TrialFailure) {
        applier = nil
        do {
            applier = try Applier(path: databases.file(of: .first))
        } catch {
            throw TrialFailure("the database can't be opened again: \(error)")
        }
    }

    private func end() throws(TrialFailure) {
        try reopen()
        applier = nil
    }
}
