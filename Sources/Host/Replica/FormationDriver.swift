import Cluster
import PeerProtocol
import Raft
import Time
import Transport

/// The formation machine with what its shell must remember: who waits for answers, and which
/// writes are on their way.
struct FormationDriver {
    enum Purpose {
        /// The node has no cluster yet.
        case form
        /// The node has one, but no contact with its leader or another address than the cluster
        /// knows: it introduces itself again.
        case rejoin
    }

    let purpose: Purpose
    var machine: Formation
    private let start: MonotonicTime
    private var lastRequest: UInt64 = 0
    var answers: [FormationRequestID: @Sendable (PeerAnswer) -> Void] = [:]
    var writes: [RecordID: PersistTicket] = [:]

    init(_ machine: Formation, purpose: Purpose, now: MonotonicTime) {
        self.machine = machine
        self.purpose = purpose
        start = now
    }

    var waitingFor: String { machine.waitingFor }

    mutating func tick(_ now: MonotonicTime) {
        machine.tick(now - start)
    }

    mutating func newRequest(
        _ reply: @escaping @Sendable (PeerAnswer) -> Void
    ) -> FormationRequestID {
        lastRequest += 1
        let id = FormationRequestID(lastRequest)
        answers[id] = reply
        return id
    }
}
