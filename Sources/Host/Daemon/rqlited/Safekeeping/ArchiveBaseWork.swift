import Archive
import NodeLogic
import ObjectStorage
import Raft
import Replica
import Synchronization
import Threads
import Time

/// Makes a base for the archive on a thread of its own, one at a time, for that may take hours, and pieces go on
/// meanwhile: gathers it, waits until it is told that the pieces which lead to it are there, and stores it.
final class ArchiveBaseWork: Sendable {
    /// A base that is gathered.
    struct Prepared: Equatable, Sendable {
        var name: BaseName
        var cluster: ClusterID
        /// In which this node led when it was asked for.
        var term: Term
    }

    enum Outcome: Sendable {
        /// It is there.
        case stored(Prepared, byteCount: Int64)
        /// Nobody wants it any more, as this node does not lead.
        case dropped
        case failed(StorageFault)
    }

    private enum Stage: Sendable {
        case idle
        /// The base will stand at this index, or behind it.
        case gathering(Term, from: LogIndex)
        case prepared(Prepared)
        case storing(Prepared)
        case over(Outcome)
    }

    /// At its stop an upload that is under way is broken off.
    let worker = ServiceThread()
    private let store: ArchiveAccess
    private let node: Node
    private let directory: String
    private let room: CopyRoom
    private let tell: @Sendable () -> Void
    private let stage = Mutex(Stage.idle)

    private static let pause = Duration.seconds(60)
    /// How often it is asked whether a base that is prepared is still wanted.
    private static let beat = Duration.seconds(1)

    /// - Parameters:
    ///   - directory: of temporary files.
    ///   - room: where copies take turns.
    ///   - tell: called where `prepared` or `takeOutcome` has something new.
    init(
        _ place: any StoragePlace, node: Node, directory: String, room: CopyRoom,
        tell: @escaping @Sendable () -> Void
    ) {
        store = ArchiveAccess(place, worker.flag)
        self.node = node
        self.directory = directory
        self.room = room
        self.tell = tell
    }

    /// - Throws: `ThreadShortage`.
    func start() throws {
        try worker.start("archive-base") { self.run() }
    }

    // MARK: Who asks for it

    /// Nothing, where one is on its way.
    /// - Parameter index: how far the log is applied.
    func begin(in term: Term, at index: LogIndex) {
        let isBegun = stage.withLock { stage -> Bool in
            guard case .idle = stage else { return false }
            stage = .gathering(term, from: index)
            return true
        }
        if isBegun { worker.wake() }
    }

    /// What follows this must be in the log when the base is there, or pieces can't go on behind it; nil: there is
    /// none on its way.
    var needs: LogIndex? {
        switch stage.withLock({ $0 }) {
        case .idle, .over(.dropped), .over(.failed): nil
        case .gathering(_, let index): index.previous
        case .prepared(let base), .storing(let base), .over(.stored(let base, _)):
            base.name.position.index.previous
        }
    }

    /// One that waits to be stored.
    var prepared: Prepared? {
        if case .prepared(let base) = stage.withLock({ $0 }) { base } else { nil }
    }

    /// What leads to the one that waits is there.
    func storePrepared() {
        stage.withLock { stage in
            if case .prepared(let base) = stage { stage = .storing(base) }
        }
        worker.wake()
    }

    /// - Returns: once for each base, when it is over: another one may be begun.
    func takeOutcome() -> Outcome? {
        stage.withLock { stage -> Outcome? in
            guard case .over(let outcome) = stage else { return nil }
            stage = .idle
            return outcome
        }
    }

    // MARK: The thread

    private func run() {
        while !worker.isStopped {
            guard case .gathering(let term, _) = stage.withLock({ $0 }) else {
                worker.rest(until: .now + Self.pause)
                continue
            }
            let outcome: Outcome
            do throws(StorageFault) {
                outcome = try make(in: term)
            } catch {
                // What is not wanted breaks off, too.
                outcome = isWanted(in: term) ? .failed(error) : .dropped
            }
            stage.withLock { $0 = .over(outcome) }
            tell()
        }
    }

    private func isWanted(in term: Term) -> Bool {
        guard !worker.isStopped else { return false }
        let status = node.status
        return status.role == .leader && status.term == term
    }

    private func make(in term: Term) throws(StorageFault) -> Outcome {
        let taker = ArchiveBaseTaker(
            node: NodeEnquiry(node), directory: directory, term: term)
        let gathered = try room.turn(while: { isWanted(in: term) }) {
            () throws(StorageFault) -> ArchiveBaseTaker.Base? in
            // Another copy may have had its turn for hours.
            let index = node.status.appliedIndex
            stage.withLock { $0 = .gathering(term, from: index) }
            return try taker.take(while: { isWanted(in: term) })
        }
        guard let base = gathered else { return .dropped }
        let prepared = Prepared(name: base.name, cluster: base.cluster, term: term)
        stage.withLock { $0 = .prepared(prepared) }
        tell()
        guard awaitStoring(of: prepared) else { return .dropped }
        try store.put(base.file, as: base.name, of: base.cluster)
        return .stored(prepared, byteCount: base.file.byteCount)
    }

    /// - Returns: false: it is not wanted any more.
    private func awaitStoring(of base: Prepared) -> Bool {
        while isWanted(in: base.term) {
            if case .storing = stage.withLock({ $0 }) { return true }
            worker.rest(until: .now + Self.beat)
        }
        return false
    }
}
