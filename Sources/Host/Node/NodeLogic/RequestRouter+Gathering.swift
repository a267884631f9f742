import Raft
import Replication
import Service
import Time
import Wire

/// What the router gathers, hands over, and remembers of what is open.
extension RequestRouter {
    /// A proposal in the log and what depends on it.
    enum OpenProposal {
        case command(PendingRequest)
        case membership
        /// An operator's decision about the whole cluster.
        case decision(PendingRequest)
        /// Nobody waits for it: the node's own, or its client was answered already.
        case own

        /// Who waits for it.
        var pending: PendingRequest? {
            switch self {
            case .command(let pending), .decision(let pending): pending
            case .membership, .own: nil
            }
        }
    }

    /// What the router does not decide itself.
    enum Handover {
        case remove(NodeID, RequestKey)
        case transfer(RequestKey, to: NodeID?, wait: Bool)
        case nodes(PendingRequest, includeNonvoters: Bool)
        case leader(PendingRequest)
        case readiness(PendingRequest, ClientRequest.ReadinessCheck)
        case limits(PendingRequest, WriteLimitsChange?)
        case apply(PendingRequest, ApplyDecision)
        case reseed(PendingRequest)
        case drop(PendingRequest, [PeerAddress])
        case checkpoint(PendingRequest, keeping: UInt64?)
        case load(PendingRequest)
    }

    /// What a turn gathered.
    struct Decisions {
        var answers: [ClientAnswer] = []
        var reads: [PendingRequest] = []
        var proposals: [PendingRequest] = []
        /// At level `linearizable`, on the leader.
        var confirmations: [PendingRequest] = []
        var forwards: [(address: PeerAddress, requests: [ForwardedRequest])] = []
        /// Of what was sent on: nobody waits for it any more.
        var recalls: [(address: PeerAddress, keys: [RequestKey])] = []

        var isEmpty: Bool {
            answers.isEmpty && reads.isEmpty && proposals.isEmpty && confirmations.isEmpty
                && forwards.isEmpty && recalls.isEmpty
        }
    }

    /// What was sent on to the leader.
    struct Forwarded {
        var pending: PendingRequest
        let leader: NodeID
        var address: PeerAddress
        /// When it is given up, for that node leads no more; nil: it leads, by all that is known.
        var end: MonotonicTime?
        /// Parts of the answer were passed on: it is sent nowhere else, and takes as long as the
        /// client takes to receive it.
        var hasBegun = false

        /// When it is given up.
        func deadline(_ grace: Duration) -> MonotonicTime {
            let own = pending.deadline + grace
            return end.map { min(own, $0) } ?? own
        }
    }
}
