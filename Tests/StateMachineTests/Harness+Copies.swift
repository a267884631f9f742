import CSQLite
import Glibc
import Raft
import SQLite
import Scratch
import Wire

@testable import StateMachine

/// Databases that came to another node.
extension Database {
    /// The main file, with everything in it.
    func bytes() throws -> (bytes: [UInt8], mark: SnapshotMark) {
        guard let source = try applier.beginSnapshot() else { throw HarnessError.noResult }
        defer { applier.endSnapshot() }
        return (try source.read(offset: 0, count: Int(source.byteCount)), source.mark)
    }

    /// The database of a node that received this one as snapshot.
    func copied() throws -> Database {
        let (bytes, mark) = try bytes()
        let other = try Database()
        let second = Generation(2)
        try bytes.write(to: other.databases.incomingFile(of: second))
        try other.databases.installSnapshot(
            as: second, mark: mark, cluster: ClusterID(RandomID(high: 7, low: 8)))
        other.applier = try Applier(path: other.databases.file(of: second))
        return other
    }

    /// A database on a file of these bytes.
    convenience init(holding file: [UInt8]) throws {
        try self.init()
        let path = databases.file(of: Generation(2))
        try file.write(to: path)
        applier = try Applier(path: path)
    }

    /// A copy of the file in which somebody changed things while no node ran.
    func copied(changing change: (borrowing Connection) throws(SQLiteError) -> Void) throws
        -> Database
    {
        let other = try Database()
        let path = other.databases.file(of: Generation(2))
        try bytes().bytes.write(to: path)
        try {
            let connection = try Connection(path: path, access: .readWrite)
            try change(connection)
        }()
        other.applier = try Applier(path: path)
        return other
    }
}

extension [UInt8] {
    func write(to path: String) throws { try TemporaryDirectory.write(self, to: path) }
}

/// Takes a backup whole.
private final class DumpTaker: ResultStream {
    var bytes: [UInt8] = []
    var error: String? = "it has no end"

    func begin() -> ResultStreamBeginning { .began(deadline: nil) }

    func send(_ part: ResultPart) -> ResultStreamStep {
        for piece in part.pieces {
            if case .content(let more) = piece { bytes += more }
            if case .end(let error, _) = piece { self.error = error }
        }
        return .sent(waited: .zero)
    }
}

extension Reader {
    /// The SQL that makes the database anew, as far as it came, and why no more did.
    func sqlDump(tables: [String]? = nil) -> (bytes: [UInt8], error: String?) {
        let taker = DumpTaker()
        switch backUp(BackupRequest(form: .sql, tables: tables), to: taker) {
        case .streamed: return (taker.bytes, taker.error)
        case .result(let result): return (taker.bytes, result.error ?? "nothing came")
        case let outcome: return (taker.bytes, "\(outcome)")
        }
    }

    /// The rows of one query, as text, or why there are none.
    func rows(_ sql: String) throws -> [String] {
        let outcome = run(Command(kind: .query, statements: [Statement(sql)]))
        guard case .result(let result) = outcome else { return ["needs write"] }
        if let error = result.error { return ["request: \(error)"] }
        switch result.statements.first?.outcome {
        case .rows(let rows)?: return try rows.lines()
        case .failed(let message)?: return ["failed: \(message)"]
        case let other: return ["\(String(describing: other))"]
        }
    }
}
