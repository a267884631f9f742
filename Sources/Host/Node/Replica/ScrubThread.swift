import NodeLogic
import PeerProtocol
import Raft
import StateMachine
import Synchronization
import Telemetry
import Threads
import Wire

/// The thread that reads pieces of the database's content at markers for checksums, each as of its
/// marker, while the applying thread goes on.
final class ScrubThread: Sendable {
    private enum Job: Sendable {
        case scan(ReachedMarker, ScrubCursor, Scrubber)
        case stop
    }

    private struct Present {
        var path: String
        var scrubber: Scrubber
    }

    private let jobs = Mailbox<Job>()
    private let core: Mailbox<NodeEvent>
    private let logger: Logger
    private let thread: NamedThread
    private let present = Mutex<Present?>(nil)

    init(core: Mailbox<NodeEvent>, logger: Logger) throws(ThreadShortage) {
        self.core = core
        self.logger = logger
        let jobs = self.jobs
        thread = try NamedThread("scrub") {
            while true {
                for job in jobs.take() {
                    guard case .scan(let found, let cursor, let scrubber) = job else { return }
                    let taken = Self.taken(found, scrubber.scan(from: cursor), logger)
                    core.post(.database(.checksum(taken)))
                }
            }
        }
    }

    /// The database at the path stands at a marker, and stays there until this returns. On the
    /// applying thread; never waits for a piece.
    func reached(_ found: ReachedMarker, path: String) {
        if let cursor = found.marker.piece, let scrubber = scrubber(of: path), scrubber.hold() {
            return jobs.post(.scan(found, cursor, scrubber))
        }
        let reading = ChecksumReading(
            index: found.position.index, trace: found.trace, piece: .none)
        core.post(.database(.checksum(TakenChecksum(reading, found.marker))))
    }

    /// Another file takes the database's place. What is read of this one is of no use any more, and it keeps
    /// its room on the disk until it is let go.
    func replaced() {
        present.withLock { present in
            present?.scrubber.cancel()
            present = nil
        }
    }

    private func scrubber(of path: String) -> Scrubber? {
        present.withLock { present in
            if let present, present.path == path { return present.scrubber }
            do throws(ApplyFault) {
                let scrubber = try Scrubber(path: path)
                present = Present(path: path, scrubber: scrubber)
                return scrubber
            } catch {
                logger.warning("the database can't be scrubbed", ["cause": "\(error)"])
                return nil
            }
        }
    }

    private static func taken(
        _ found: ReachedMarker, _ outcome: ScrubOutcome, _ logger: Logger
    ) -> TakenChecksum {
        var reading = ChecksumReading(
            index: found.position.index, trace: found.trace, piece: .none)
        switch outcome {
        case .read(let digest, let next):
            reading.piece = .read(digest)
            return TakenChecksum(reading, found.marker, next: next)
        case .damaged(let text):
            reading.piece = .damaged
            return TakenChecksum(reading, found.marker, damage: text)
        case .failed(let text):
            logger.warning("a piece of the database was not scrubbed", ["cause": text])
            return TakenChecksum(reading, found.marker)
        }
    }

    /// Ends the thread; a piece that is being read is given up.
    func stop() {
        present.withLock { $0?.scrubber.cancel() }
        jobs.post(.stop)
        thread.join()
    }
}
