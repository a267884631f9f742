internal import CSQLite
internal import Glibc
internal import Gzip
internal import Raft
internal import SQLite
package import Wire

/// How a reader makes a backup:
///
/// 1. It opens a snapshot, reads the position that stands in it, and copies its pages into a file of
///    its own. Writes go on meanwhile.
/// 2. It ends the snapshot: from here on nothing holds back a checkpoint. It takes the daemon's own
///    table out of the copy.
/// 3. It hands the copy on, as file or as SQL, as it is asked for. A file that has a tag is kept for a
///    while, without a name, so that nothing is left of it whatever happens; who has some of its bytes
///    gets the others (`KeptCopies`).
extension Reader {
    /// - Parameter stream: takes the copy; nil: the answer can't be had in parts.
    package func backUp(_ request: BackupRequest, to stream: (any ResultStream)?) -> ReadOutcome {
        guard let stream else {
            return .result(CommandResult([], error: "a backup can't be sent as a whole"))
        }
        guard case .began = stream.begin() else { return .busy }
        activity.begin(at: .now)
        defer { activity.end() }
        var answer = BackupAnswer(stream, watchdog, compresses: request.compress)
        do throws(BackupFault) {
            if request.hasTag, try sendKept(request, &answer) {
                return try answer.finish()
            }
            let copy = try takeCopy(request, &answer)
            // What follows holds back nothing.
            activity.end()
            try copy.send(request, &answer, keepingIn: kept)
            return try answer.finish()
        } catch {
            return answer.finish(after: error)
        }
    }

    private func takeCopy(_ request: BackupRequest, _ answer: inout BackupAnswer)
        throws(BackupFault) -> DatabaseCopy
    {
        do throws(SQLiteError) {
            try beginTransaction()
            defer { endSnapshot() }
            let state: AppliedState
            do throws(MetadataError) {
                state = try MetadataTable.read(on: connection)
            } catch {
                throw error.cause
            }
            answer.logIndex = state.position.index.rawValue
            let copy = try DatabaseCopy(in: temporaryFiles, watchdog)
            if request.hasTag { answer.tag = copy.tag(request, state) }
            if request.isForArchive { answer.tag = try archiveMark(state).text }
            try copy.fill(from: connection) { answer.isWanted }
            return copy
        } catch {
            throw .sqlite("copying the database", error)
        }
    }
}

extension Reader {
    private func archiveMark(_ state: AppliedState) throws(SQLiteError) -> ArchiveMark {
        // Its entry would have to be applied to its end before anything can be said of an index.
        guard let cluster = state.cluster, state.progress == nil else {
            throw SQLiteError(
                extendedCode: SQLITE_BUSY, message: "an entry of the log is being applied")
        }
        return ArchiveMark(
            cluster: "\(cluster)", index: state.position.index.rawValue,
            term: state.position.term.rawValue, milliseconds: state.lastMilliseconds)
    }

    /// - Returns: whether that is the answer; otherwise a new copy is.
    private func sendKept(_ request: BackupRequest, _ answer: inout BackupAnswer)
        throws(BackupFault) -> Bool
    {
        // It is at no snapshot.
        activity.end()
        guard let selection = request.selection else { return false }
        let found = keptCopy(of: selection.tags.filter { $0.contains(request.tagPart) })
        guard let (tag, copy) = found else {
            if selection.isRequired { answer.extent = .gone }
            activity.begin(at: .now)
            return selection.isRequired
        }
        defer { kept.end(tag) }
        answer.logIndex = copy.logIndex
        answer.tag = tag
        let length = copy.file.length
        guard let range = selection.range else {
            try copy.file.send(0..<length, &answer)
            return true
        }
        guard let bytes = range.resolved(in: length) else {
            answer.extent = .outside(of: length)
            return true
        }
        answer.extent = .part(bytes, of: length)
        try copy.file.send(bytes, &answer)
        return true
    }

    private func keptCopy(of tags: [String]) -> (String, KeptCopies.Copy)? {
        for tag in tags {
            if let copy = kept.find(tag) { return (tag, copy) }
        }
        return nil
    }
}

/// Why there is no copy, or not all of it.
enum BackupFault: Error {
    case sqlite(String, SQLiteError)
    case system(String, Int32)
    case gzip(GzipError)
    /// Nobody wants the rest.
    case unwanted

    var text: String {
        switch self {
        case .sqlite(let operation, let error): "backup: \(operation) failed: \(error.message)"
        case .system(let operation, let code):
            "backup: \(operation) failed: \(String(cString: strerror(code)))"
        case .gzip(let error): "backup: \(error)"
        case .unwanted: "backup: nobody takes it any more"
        }
    }
}

/// The answer to a request for a backup while it is being made.
struct BackupAnswer {
    /// While nothing is there to be sent, who waits at another node hears so often that it comes.
    private static let heartbeat: Duration = .seconds(2)

    private let stream: any ResultStream
    private let watchdog: Watchdog
    private let gzip: Packing?
    private var hasBegun = false
    private var saidAt = ContinuousClock.now
    /// Where the log stood.
    var logIndex: UInt64 = 0
    /// Of a file that is kept; nil: it has none.
    var tag: String?
    /// What of it goes out.
    var extent: CopyHead.Extent = .whole

    private var beginning: ResultPart.Piece {
        if tag == nil, extent == .whole { return .contentBegins(logIndex: logIndex) }
        return .copyBegins(CopyHead(logIndex: logIndex, tag: tag ?? "", extent: extent))
    }

    /// A class, for an answer is copied and this is not.
    private final class Packing {
        let writer = GzipWriter()
    }

    init(_ stream: any ResultStream, _ watchdog: Watchdog, compresses: Bool) {
        self.stream = stream
        self.watchdog = watchdog
        gzip = compresses ? Packing() : nil
    }

    /// To be asked now and then during long work. False: it must end.
    var isWanted: Bool {
        mutating get {
            guard watchdog.reason == nil else { return false }
            guard ContinuousClock.now - saidAt > Self.heartbeat else { return true }
            return send([])
        }
    }

    /// Who waits at another node hears that it comes, if nothing has been said yet. False: it must end.
    mutating func begin() -> Bool { hasBegun || send([]) }

    /// Hands bytes on when they are asked for.
    mutating func add(_ bytes: [UInt8]) throws(BackupFault) {
        guard !bytes.isEmpty else { return }
        guard let gzip else {
            guard send(bytes) else { throw .unwanted }
            return
        }
        do throws(GzipError) {
            let packed = try gzip.writer.add(bytes)
            guard packed.isEmpty || send(packed) else { throw GzipError.truncated }
        } catch {
            throw error == .truncated ? .unwanted : .gzip(error)
        }
    }

    private mutating func send(_ bytes: [UInt8]) -> Bool {
        saidAt = .now
        var pieces: [ResultPart.Piece] = hasBegun ? [] : [beginning]
        hasBegun = true
        pieces.append(.content(bytes))
        guard case .sent = stream.send(ResultPart(pieces)) else { return false }
        saidAt = .now
        return true
    }

    /// The copy is complete.
    mutating func finish() throws(BackupFault) -> ReadOutcome {
        if let gzip {
            let rest: [UInt8]
            do throws(GzipError) {
                rest = try gzip.writer.add([], isLast: true)
            } catch {
                throw .gzip(error)
            }
            guard send(rest) else { throw .unwanted }
        } else if !hasBegun, !send([]) {
            throw .unwanted
        }
        return end(nil)
    }

    /// There will be no more. A part that went out makes it a body without its end.
    mutating func finish(after fault: BackupFault) -> ReadOutcome {
        if watchdog.isCancelled { return .abandoned }
        let text = watchdog.reason.map { "backup: \($0)" } ?? fault.text
        guard hasBegun else { return .result(CommandResult([], error: text)) }
        return end(text)
    }

    private func end(_ error: String?) -> ReadOutcome {
        let last = ResultPart([.end(error: error, logIndex: logIndex)])
        guard case .sent = stream.send(last) else { return .abandoned }
        return .streamed
    }
}
