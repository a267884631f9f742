import Raft
import Service
import StateMachine
import Telemetry
import Time
import Wire

/// Work for the state machine's thread, done in the order in which it was posted.
enum ApplyJob: Sendable {
    /// A proposal of this node that takes effect with the batch, and who waits for its result.
    struct Answer: Sendable {
        var index: LogIndex
        var target: ReplyTarget
        var deadline: MonotonicTime
    }

    case apply([Entry], [Answer])
    /// The node belongs to a cluster from now on; reported as `established`.
    case establish(ClusterID, Membership)
    case openSnapshot(for: NodeID)
    case closeSnapshot
    /// Make a received snapshot a complete database file of the next generation.
    case prepare(path: String, SnapshotMark)
    case switchTo(Generation, SnapshotMark)
    case discardFile(String)
    case stop
}

/// The thread that owns the database's only writing connection: it applies, checkpoints and opens
/// snapshots, so that a commit and a checkpoint can never meet. Answers go straight to those who
/// wait, after COMMIT.
final class ApplyThread: Sendable {
    struct Links: Sendable {
        var core: Mailbox<CoreEvent>
        var directory: DatabaseDirectory
        var checkpointBytes: Int64
        var checkpointEntries: Int
        var checkpointInterval: Duration
        var board: StatusBoard
        var logger: Logger
    }

    private let jobs = Mailbox<ApplyJob>()
    private let thread: NamedThread

    /// Opens the generation on its thread and waits for that.
    static func start(
        generation: Generation, links: Links
    ) throws(ApplyFault) -> (ApplyThread, AppliedState) {
        let opening = Mailbox<Result<AppliedState, ApplyFault>>()
        let thread = ApplyThread(generation: generation, links: links, opening: opening)
        return (thread, try opening.take(atMost: 1)[0].get())
    }

    private init(
        generation: Generation, links: Links, opening: Mailbox<Result<AppliedState, ApplyFault>>
    ) {
        let jobs = self.jobs
        thread = NamedThread("apply") {
            do throws(ApplyFault) {
                let applier = try Applier(path: links.directory.file(of: generation))
                opening.post(.success(applier.applied))
                var worker = ApplyWorker(
                    applier: applier, generation: generation, links: links, jobs: jobs)
                try worker.run()
            } catch {
                opening.post(.failure(error))
                links.core.post(.fault("\(error)"))
            }
        }
    }

    func post(_ job: ApplyJob) { jobs.post(job) }

    /// Ends the thread when all that was posted is done, with a last checkpoint so that the next
    /// start is quick.
    func stop() {
        jobs.post(.stop)
        thread.join()
    }
}
