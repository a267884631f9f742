import CSQLite
import Glibc
import Raft
import SQLite
import Scratch
import Wire

@testable import StateMachine

enum HarnessError: Error {
    case system(Int32)
    case noResult
}

/// A database of its own with an applier.
final class Database {
    let directory: TemporaryDirectory
    let databases: DatabaseDirectory
    var applier: Applier

    init(
        limits: ApplierLimits = ApplierLimits(), foreignKeys: Bool = false,
        writes: WriteLimits = .initial
    ) throws {
        directory = try TemporaryDirectory("statemachine")
        databases = DatabaseDirectory(path: directory.path)
        try databases.create(
            .first,
            state: AppliedState(
                settings: ClusterSettings(foreignKeys: foreignKeys, limits: writes)))
        applier = try Applier(path: databases.file(of: .first), limits: limits)
    }

    func reader() throws -> Reader { try Reader(path: applier.path) }

    /// Applies a command as the next entry.
    @discardableResult
    func apply(_ command: Command) throws -> CommandResult {
        let next = applier.applied.position.index.next
        var results: [AppliedEntry] = []
        try applier.apply(
            [entry(next, command)], reporting: { _ in true }, into: &results)
        guard let result = results.first?.result else { throw HarnessError.noResult }
        return result
    }

    @discardableResult
    func execute(_ sql: String..., transaction: Bool = false) throws -> [StatementOutcome] {
        let result = try apply(
            Command(
                kind: .execute, statements: sql.map { Statement($0) }, transaction: transaction,
                stamp: stamp(applier.applied.position.index.next)))
        if let error = result.error { return [.failed("request: \(error)")] }
        return result.statements.map(\.outcome)
    }

    @discardableResult
    func request(_ sql: String..., transaction: Bool = false) throws -> [StatementOutcome] {
        let result = try apply(
            Command(
                kind: .request, statements: sql.map { Statement($0) }, transaction: transaction,
                stamp: stamp(applier.applied.position.index.next)))
        if let error = result.error { return [.failed("request: \(error)")] }
        return result.statements.map(\.outcome)
    }

    /// The rows of one query through the log, as text.
    func rows(_ sql: String) throws -> [String] {
        guard case .rows(let rows)? = try request(sql).first else { return ["no rows"] }
        return try rows.lines()
    }

    func dump() throws -> [String] {
        try StateMachineTests.dump(applier.path)
    }
}

func entry(_ index: LogIndex, _ command: Command) -> Entry {
    Entry(index: index, term: Term(1), payload: .command(LogCommand.command(command).encoded()))
}

func stamp(_ index: LogIndex) -> Stamp {
    Stamp(
        milliseconds: 1_700_000_000_000 + Int64(index.rawValue) * 1000,
        seed: index.rawValue &* 0x9E37_79B9_7F4A_7C15)
}

/// Every row of every table, and what the database says of itself but the progress within an entry.
func dump(_ path: String) throws -> [String] {
    let connection = try SessionSetup.openReader(path)
    var lines: [String] = []
    let tables = try connection.prepare(
        """
        SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name
        """)
    while try tables.step() {
        let name = tables.text(at: 0) ?? ""
        lines.append("\(name): \(tables.text(at: 1) ?? "")")
        let escaped = name.split(separator: "\"", omittingEmptySubsequences: false)
            .joined(separator: "\"\"")
        let list = try connection.prepare("PRAGMA main.table_list(\"\(escaped)\")")
        let isKeyed = try list.step() && list.integer(at: 4) == 1
        let rowid = name == "r" ? "" : "rowid, "
        let rows = try connection.prepare(
            isKeyed
                ? "SELECT * FROM \"\(escaped)\""
                : "SELECT \(rowid)* FROM \"\(escaped)\" ORDER BY rowid")
        while try rows.step() {
            lines.append(
                (0..<rows.columnCount).map { column in
                    let bytes = rows.blob(at: column)
                    return "\(rows.type(at: column)):"
                        + (rows.type(at: column) == 4
                            ? "\(bytes)" : String(decoding: bytes, as: UTF8.self))
                }.joined(separator: "|"))
        }
    }
    return lines
}

extension RowSet {
    /// A line per row, values separated by bars.
    func lines() throws -> [String] {
        var reader = ByteReader(cells)
        return try (0..<rowCount).map { _ in
            try columns.map { _ in
                switch try Value(from: &reader) {
                case .null: "NULL"
                case .integer(let value): "\(value)"
                case .real(let value): "\(value)"
                case .text(let value): value
                case .blob(let value): "\(value)"
                }
            }.joined(separator: "|")
        }
    }
}

/// Makes the writes of this thread fail as on a full disk.
enum WriteFault {
    static func full(after writes: Int64) {
        csqlite_inject_write_fault(SQLITE_FULL, writes)
    }

    static func inputOutput(after writes: Int64) {
        csqlite_inject_write_fault(SQLITE_IOERR | 3 << 8, writes)
    }

    static func end() {
        csqlite_inject_write_fault(SQLITE_OK, 0)
    }
}
