import NodeLogic
import Raft
import Service
import Threads
import Time

/// A node that leaves its cluster before it stops (`-raft-cluster-remove-shutdown`).
extension Node {
    /// How it went, for the operator.
    package enum Leaving: Equatable, Sendable {
        /// The removal is committed.
        case left
        /// The cluster is this node alone: there is nobody to leave it to.
        case lastVoter
        case failed(String)
    }

    /// As rqlite tries it: a few times, each with time for a leader to be there.
    private static var attempts: Int { 5 }
    private static var attemptTime: Duration { .seconds(5) }
    private static var wholeTime: Duration { .seconds(10) }
    private static var pause: Duration { .milliseconds(250) }

    /// Asks the leader, which may be this node, to remove it, and waits until that is committed.
    /// Blocks for ten seconds at most; the node goes on serving meanwhile.
    package func leaveCluster() -> Leaving {
        let deadline = MonotonicTime.now + Self.wholeTime
        var last = "no attempt was made"
        for attempt in 0..<Self.attempts where MonotonicTime.now < deadline {
            if attempt > 0 { _ = Mailbox<Bool>().take(until: .now + Self.pause) }
            let time = min(Self.attemptTime, deadline - .now)
            switch ask(.remove(options.identity.id), within: time) {
            case .done: return .left
            case .failed(.membership(.lastVoter)): return .lastVoter
            case .failed(.noLeader): last = "timeout waiting for leader"
            case .failed(.membership(.wouldLoseQuorum(let silent))):
                let names = silent.map(\.rawValue).joined(separator: ", ")
                last = "the others would have no quorum, for these do not answer: \(names)"
            case .failed(let error): last = "\(error)"
            default: last = "unexpected answer"
            }
        }
        return .failed(last)
    }

    private func ask(_ operation: ClientRequest.Operation, within time: Duration) -> Outcome {
        let answer = SingleReply()
        submit(
            [
                ClientRequest(
                    id: RequestID(1), operation: operation, timeout: time,
                    credential: links.access.credential())
            ],
            replyTo: answer)
        return answer.take(until: .now + time + .seconds(1))
            ?? .failed(.timedOut(waitingFor: "node removal confirmation"))
    }

    /// Takes the one reply to one request.
    private final class SingleReply: ReplySink {
        private let replies = Mailbox<Reply>()

        func deliver(_ replies: [Reply]) { self.replies.post(replies) }

        func take(until deadline: MonotonicTime) -> Outcome? {
            replies.take(until: deadline).first?.outcome
        }
    }
}
