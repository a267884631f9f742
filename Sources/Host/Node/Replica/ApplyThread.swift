import NodeLogic
import Raft
import StateMachine
import Telemetry
import Threads
import Time

/// What the database's thread is asked to do, in the order in which it was posted.
enum DatabaseJob: Sendable {
    case work(DatabaseWork)
    case stop
}

/// The thread that owns the database's only writing connection: it applies, checkpoints and opens
/// snapshots, so that a commit and a checkpoint can never meet. Answers go straight to those who
/// wait, after COMMIT.
final class ApplyThread: Sendable {
    struct Links: Sendable {
        var core: Mailbox<NodeEvent>
        var directory: DatabaseDirectory
        var limits: ApplyKeeper.Limits
        var open: OpenRequests
        var snapshots: SnapshotFiles
        /// They open the new file from the moment it takes the old one's place.
        var readers: ReaderPool
        var board: StatusBoard
        var timings: NodeTimings
        var logger: Logger
    }

    private let jobs = Mailbox<DatabaseJob>()
    private let thread: NamedThread
    private let scrub: ScrubThread

    /// Opens the generation on its thread and waits for that.
    /// - Throws: `ApplyFault`, `DirectoryError` of the file of the `ApplyMarker`, or `ThreadShortage`.
    static func start(
        generation: Generation, links: Links
    ) throws -> (ApplyThread, AppliedState) {
        let opening = Mailbox<Result<AppliedState, any Error>>()
        let apply = try ApplyThread(generation: generation, links: links, opening: opening)
        let opened = opening.take(atMost: 1)[0]
        if case .failure = opened {
            // It has ended; nobody else would take back what it holds.
            apply.thread.join()
            apply.scrub.stop()
        }
        return (apply, try opened.get())
    }

    private init(
        generation: Generation, links: Links, opening: Mailbox<Result<AppliedState, any Error>>
    ) throws(ThreadShortage) {
        let jobs = self.jobs
        let scrub = try ScrubThread(core: links.core, logger: links.logger)
        self.scrub = scrub
        thread = try NamedThread("apply", stack: NamedThread.deepStack) {
            do {
                let marker = try ApplyMarker(path: links.directory.markerFile)
                let start = MonotonicTime.now
                let applier = try Applier(
                    path: links.directory.file(of: generation), marker: marker)
                links.timings.database.opened(in: MonotonicTime.now - start)
                opening.post(.success(applier.applied))
                var worker = ApplyWorker(
                    applier: applier, generation: generation, marker: marker, links: links,
                    jobs: jobs, scrub: scrub)
                worker.run()
            } catch {
                // Who waits for it decides what becomes of the node.
                opening.post(.failure(error))
            }
        }
    }

    func post(_ work: DatabaseWork) { jobs.post(.work(work)) }

    /// Ends the thread when all that was posted is done, with a last checkpoint so that the next
    /// start is quick.
    func stop() {
        jobs.post(.stop)
        thread.join()
        scrub.stop()
    }
}
