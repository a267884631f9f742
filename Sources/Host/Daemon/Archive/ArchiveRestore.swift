package import ObjectStorage
package import Raft
internal import StateMachine
internal import Wire

/// Makes a database of an archive, as it was at a place of its log.
///
/// 1. All objects that are needed are fetched into files, and each byte is checked: by the hash in the
///    object's name, by its header, and by the hash of the object before it.
/// 2. The base becomes a database of the state machine's, and the entries are applied to it as nodes do:
///    what comes of them follows from log and database alone.
/// 3. A copy without the daemon's own table goes to where it is wanted, under its name when it is whole.
///    It belongs to no cluster: whoever starts with it founds a new one.
///
/// Belongs to one thread, with a stack for SQL of clients; blocks.
package final class ArchiveRestore {
    /// What was done.
    package struct Report: Equatable, Sendable {
        /// Whose log it was.
        package var cluster: ClusterID
        /// Where the base stood.
        package var baseIndex: LogIndex
        /// That were applied.
        package var pieces: Int
        /// All that was fetched.
        package var fetchedBytes: Int64
        /// Where the database stands.
        package var position: LogPosition
        /// The clock of the log there, milliseconds since 1970.
        package var milliseconds: Int64
        /// Of the log that were applied to the base.
        package var entries: Int
        /// Of the restored file.
        package var fileBytes: Int64
        /// What leaders said of their SQLite and their own rules, as nodes tell each other; nothing: they said nothing.
        package var engines: [String]
    }

    private let store: ArchiveAccess
    private let plan: ArchivePlan
    private let scratch: RestoreDirectory
    private let interruption: RestoreInterruption
    private var fetchedBytes: Int64 = 0
    private var entries = 0

    /// What a piece may be unpacked.
    static let pieceBytes = 1 << 30

    /// - Parameters:
    ///   - directory: where there is room for the database three times, and for the packed log; what a restore
    ///     that was killed left there is removed.
    ///   - interruption: ends it; of the store, too.
    /// - Throws: `StorageFault` where no files can be made there.
    package init(
        _ store: ArchiveAccess, _ plan: ArchivePlan, in directory: String,
        interruption: RestoreInterruption = RestoreInterruption()
    ) throws(StorageFault) {
        self.store = store
        self.plan = plan
        self.interruption = interruption
        scratch = try RestoreDirectory(in: directory)
        interruption.work(in: scratch)
    }

    deinit { interruption.leave() }

    /// - Parameter path: absolute, of a file that is not there yet; nil: all is done but for that.
    /// - Throws: `StorageFault` that says what can't be had, or used.
    package func run(to path: String?) throws(StorageFault) -> Report {
        try requireExtensions()
        // Nothing of the database hangs on it.
        let engines = (try? store.engines(behind: plan.base, of: plan.cluster)) ?? []
        let position = try fetchBase()
        try fetchPieces()
        let applied = try replay(from: position)
        let bytes = try copy(to: path)
        return Report(
            cluster: plan.cluster, baseIndex: plan.base.position.index, pieces: plan.pieces.count,
            fetchedBytes: fetchedBytes, position: applied.position,
            milliseconds: applied.lastMilliseconds, entries: entries, fileBytes: bytes,
            engines: engines)
    }

    // MARK: Fetching

    private var database: DatabaseDirectory { DatabaseDirectory(path: scratch.path) }
    private let generation = Generation(1)

    /// Before anything is fetched. A file of the same name may be another version: that is the operator's to know.
    private func requireExtensions() throws(StorageFault) {
        let own = Set(SQLExtensions.current.files.map(\.name))
        let missing = try store.extensions(behind: plan.base, of: plan.cluster)
            .filter { !own.contains($0) }
        guard !missing.isEmpty else { return }
        throw StorageFault(
            "the cluster had SQLite extensions, without which what calls their functions would be missing: give "
                + "--extensions-path with \(missing.joined(separator: ", "))")
    }

    private func fetchBase() throws(StorageFault) -> LogPosition {
        let file = try OutputFile(database.incomingFile(of: generation))
        let unpacker = ArchiveReader { bytes throws(StorageFault) in try file.add(bytes) }
        let object = ArchiveObject(plan.base, cluster: plan.cluster)
        let header = try object.read(from: store) { bytes throws(StorageFault) in
            self.fetchedBytes += Int64(bytes.count)
            unpacker.add(bytes)
        }
        try unpacker.end(object.path)
        try file.sync()
        return header.last
    }

    private func file(of place: Int) -> String { "\(scratch.path)/piece-\(place)" }

    private func fetchPieces() throws(StorageFault) {
        var hash = plan.base.hash
        var time = plan.base.milliseconds
        for (place, piece) in plan.pieces.enumerated() {
            let object = ArchiveObject(piece: piece, of: plan.base, cluster: plan.cluster)
            let header = try fetch(object, to: file(of: place))
            guard header.predecessor == hash, header.firstTime == time else {
                throw StorageFault(
                    "\(object.path) of \(store.place.name) follows an object with hash "
                        + "\(header.predecessor), and not the one before it, \(hash)")
            }
            (hash, time) = (object.hash, header.lastTime)
        }
    }

    private func fetch(
        _ object: ArchiveObject, to path: String
    ) throws(StorageFault) -> ArchiveHeader {
        let file = try OutputFile(path)
        return try object.read(from: store) { bytes throws(StorageFault) in
            // It is read into memory later.
            guard file.byteCount + Int64(bytes.count) <= Int64(Self.pieceBytes) else {
                throw StorageFault("\(object.path) is larger than any piece")
            }
            self.fetchedBytes += Int64(bytes.count)
            try file.add(bytes)
        }
    }

    // MARK: Applying

    private func replay(from position: LogPosition) throws(StorageFault) -> AppliedState {
        let path = database.file(of: generation)
        do throws(DirectoryError) {
            try database.prepareTemporaryFiles()
            try database.installArchived(as: generation, at: position, of: plan.cluster)
        } catch {
            throw StorageFault("the base can't be used: \(error)")
        }
        let replay = try ArchiveApplier(path: path, target: plan.target)
        for place in plan.pieces.indices where plan.pieces[place].hasDecisions {
            replay.note(try entries(of: place))
            try interruption.check()
        }
        try noteDecisionsBehind(in: replay)
        for place in plan.pieces.indices {
            try interruption.check()
            guard try replay.apply(try entries(of: place)) else { break }
        }
        entries = replay.count
        return try replay.finish()
    }

    /// What is behind the place may say what is to be left out before it.
    private func noteDecisionsBehind(in replay: ArchiveApplier) throws(StorageFault) {
        for (place, piece) in plan.decisions.enumerated() {
            let path = "\(scratch.path)/behind-\(place)"
            let object = ArchiveObject(piece: piece, of: plan.base, cluster: plan.cluster)
            let header = try fetch(object, to: path)
            replay.note(try Self.entries(of: try OutputFile.read(path), header, object.path))
        }
    }

    private func entries(of place: Int) throws(StorageFault) -> [Entry] {
        let piece = plan.pieces[place]
        let object = ArchiveObject(piece: piece, of: plan.base, cluster: plan.cluster)
        let bytes = try OutputFile.read(file(of: place))
        let header: ArchiveHeader
        do throws(WireError) {
            header = try ArchiveHeader(decoding: Array(bytes.prefix(ArchiveHeader.size)))
        } catch {
            throw StorageFault("\(object.path) can't be read: \(error)")
        }
        return try Self.entries(of: bytes, header, object.path)
    }
}

extension ArchiveRestore {
    /// Entries of a piece: some times as many as its bytes have room for where nodes make it. A MB of packed bytes has room for
    /// so many that they fill any memory.
    static let mostEntries = 1 << 20

    /// A piece's entries, which must be those that its header names.
    /// - Parameter limit: of entries; for tests.
    static func entries(
        of bytes: [UInt8], _ header: ArchiveHeader, _ name: String,
        atMost limit: Int = ArchiveRestore.mostEntries
    ) throws(StorageFault) -> [Entry] {
        guard header.last.index.distance(from: header.first) < limit else {
            throw StorageFault("\(name) has more entries than any piece")
        }
        let plain = Plain()
        let unpacker = ArchiveReader(limit: pieceBytes) { bytes throws(StorageFault) in
            plain.bytes += bytes
        }
        unpacker.add(bytes)
        try unpacker.end(name)
        var found: [Entry] = []
        do throws(WireError) {
            var reader = ByteReader(plain.bytes)
            // One too many is enough to know that they are others.
            while !reader.isAtEnd, found.count <= limit {
                found.append(try Entry(from: &reader))
            }
        } catch {
            throw StorageFault("\(name): its entries can't be read: \(error)")
        }
        let isRow = found.indices.allSatisfy {
            found[$0].index == header.first.advanced(by: $0)
        }
        guard isRow, found.last?.position == header.last else {
            throw StorageFault(
                "\(name): its entries are not \(header.first) to \(header.last.index)")
        }
        return found
    }

    /// A class, for closures can't hold what changes.
    private final class Plain {
        var bytes: [UInt8] = []
    }

    /// The file without what is the daemon's in it.
    private func copy(to path: String?) throws(StorageFault) -> Int64 {
        let file = try OutputFile("\(scratch.path)/restored")
        let stream = FileStream(file, interruption)
        let outcome: ReadOutcome
        do throws(ApplyFault) {
            let reader = try Reader(path: database.file(of: generation))
            outcome = reader.backUp(BackupRequest(form: .delete), to: stream)
        } catch {
            throw StorageFault("the restored database can't be read: \(error)")
        }
        if let fault = stream.fault { throw fault }
        guard outcome == .streamed else {
            throw StorageFault("the restored database can't be copied: \(outcome)")
        }
        if let path { try file.publish(as: path, unless: interruption) }
        return file.byteCount
    }
}

/// Takes a copy's bytes as they come.
private final class FileStream: ResultStream {
    var fault: StorageFault?
    private let file: OutputFile
    private let interruption: RestoreInterruption

    init(_ file: OutputFile, _ interruption: RestoreInterruption) {
        self.file = file
        self.interruption = interruption
    }

    func begin() -> ResultStreamBeginning { .began(deadline: nil) }

    func send(_ part: ResultPart) -> ResultStreamStep {
        do throws(StorageFault) {
            try interruption.check()
            for piece in part.pieces {
                switch piece {
                case .content(let bytes): try file.add(bytes)
                case .end(let error?, _): throw StorageFault(error)
                default: break
                }
            }
            return .sent(waited: .zero)
        } catch {
            fault = error
            return .ended
        }
    }
}
