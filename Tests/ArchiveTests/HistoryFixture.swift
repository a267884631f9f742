import Foundation
import ObjectStorage
import Raft
import SQLite
import Scratch
import StateMachine
import Telemetry
import Wire

@testable import Archive

/// A database that applies entries, and an archive of it in a directory.
final class HistoryFixture {
    static let cluster = ClusterID(RandomID(high: 7, low: 9))

    let directory: TemporaryDirectory
    let store: ArchiveAccess
    let applier: Applier
    private(set) var end: ArchiveEnd?
    /// Since the last piece.
    private var waiting: [Entry] = []
    private let database: DatabaseDirectory

    /// - Parameter other: whose archive it goes on with: the same cluster, set back to its beginning.
    init(settingBack other: HistoryFixture? = nil) throws {
        directory = try other?.directory ?? TemporaryDirectory("rqd-archive")
        let path = directory.path
        let text = #"{"type":"file","sub":{"dir":"\#(path)/store","name":"db"}}"#
        store = ArchiveAccess(
            try StorageSettings(configuration: Array(text.utf8)) { _ in nil }.place { _ in nil })
        database = DatabaseDirectory(path: "\(path)/\(other == nil ? "node" : "again")")
        try FileManager.default.createDirectory(
            atPath: database.path, withIntermediateDirectories: true)
        try database.create(Generation(1), state: AppliedState(cluster: Self.cluster))
        applier = try Applier(path: database.file(of: Generation(1)))
    }

    /// One statement in one entry.
    @discardableResult
    func execute(_ sql: String, at milliseconds: Int64, term: UInt64 = 1) throws -> LogIndex {
        try apply(
            .command(
                LogCommand.command(
                    Command(
                        kind: .execute, statements: [Statement(sql)],
                        stamp: Stamp(milliseconds: milliseconds, seed: 4))
                ).encoded()), term: term)
    }

    @discardableResult
    func apply(_ payload: Payload, term: UInt64 = 1) throws -> LogIndex {
        let index = applier.applied.position.index.next
        let entry = Entry(index: index, term: Term(term), payload: payload)
        var results: [AppliedEntry] = []
        try applier.apply([entry], reporting: { _ in false }, into: &results)
        waiting.append(entry)
        return index
    }

    /// Puts the database as it is now into the archive.
    /// - Parameter isLate: it is on its way while another leader goes on behind the base before.
    @discardableResult
    func base(isLate: Bool = false) throws -> BaseName {
        let stream = Collector()
        var request = BackupRequest()
        request.isForArchive = true
        let reader = try Reader(path: applier.path)
        guard reader.backUp(request, to: stream) == .streamed,
            let mark = ArchiveMark(stream.tag)
        else { throw StorageFault("no copy: \(stream.tag)") }
        let position = LogPosition(index: LogIndex(mark.index), term: Term(mark.term))
        let writer = try ArchiveWriter(
            ArchiveHeader(
                kind: .base, cluster: Self.cluster, term: Term(1), first: position.index,
                last: position, times: (mark.milliseconds, mark.milliseconds)),
            in: "\(directory.path)/spool")
        try writer.add(stream.bytes)
        let (file, hash) = try writer.finish()
        let name = BaseName(position: position, milliseconds: mark.milliseconds, hash: hash)
        try store.put(file, as: name, of: Self.cluster)
        if isLate { return name }
        end = ArchiveEnd(of: name)
        waiting = []
        return name
    }

    /// Puts what was applied since into the archive.
    func piece() throws {
        guard let end else { throw StorageFault("there is no base") }
        let piece = try ArchivePiece(
            waiting, behind: end, cluster: Self.cluster, term: Term(2),
            in: "\(directory.path)/spool")
        try store.put(piece, of: Self.cluster)
        self.end = piece.end
        waiting = []
    }

    /// Puts the first entries that wait behind a late base, too: its leader ends while that catches up.
    func catchUp(behind base: BaseName, with count: Int) throws {
        let piece = try ArchivePiece(
            Array(waiting.prefix(count)), behind: ArchiveEnd(of: base), cluster: Self.cluster,
            term: Term(2), in: "\(directory.path)/spool")
        try store.put(piece, of: Self.cluster)
    }

    /// Files of the archive, by their paths.
    func objects() throws -> [String] {
        let root = "\(directory.path)/store/db.archive"
        return try FileManager.default.subpathsOfDirectory(atPath: root).sorted()
            .map { "\(root)/\($0)" }
            .filter {
                var isFolder: ObjCBool = false
                return FileManager.default.fileExists(atPath: $0, isDirectory: &isFolder)
                    && !isFolder.boolValue
            }
    }

    func restore(_ target: ArchiveTarget) throws -> (ArchiveRestore.Report, rows: [String]) {
        let path = "\(directory.path)/restored-\(UUID().uuidString)"
        let plan = try ArchivePlan(store, cluster: nil, target: target)
        let report = try ArchiveRestore(store, plan, in: directory.path).run(to: path)
        return (report, try Self.rows(of: path))
    }

    static func rows(of path: String) throws -> [String] {
        let connection = try Connection(path: path, access: .readWrite)
        let rows = try connection.prepare("SELECT a FROM t ORDER BY rowid")
        var found: [String] = []
        while try rows.step() { found.append(rows.text(at: 0) ?? "NULL") }
        return found
    }

    func rows() throws -> [String] { try Self.rows(of: applier.path) }

    private final class Collector: ResultStream {
        var bytes: [UInt8] = []
        var tag = ""

        func begin() -> ResultStreamBeginning { .began(deadline: nil) }

        func send(_ part: ResultPart) -> ResultStreamStep {
            for piece in part.pieces {
                switch piece {
                case .copyBegins(let head): tag = head.tag
                case .content(let more): bytes += more
                default: break
                }
            }
            return .sent(waited: .zero)
        }
    }
}
