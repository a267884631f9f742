import Service
import Synchronization
import Wire

/// A node that has one answer to everything.
final class NodeDouble: NodeService {
    private struct State: Sendable {
        var answer = Outcome.done
        var asked: [[UInt8]] = []
    }

    private let state = Mutex(State())

    /// What another node's reply says; `.done` where the bytes are none.
    static func outcome(_ bytes: [UInt8]) -> Outcome {
        var reader = ByteReader(bytes)
        do throws(WireError) { return try Reply(from: &reader).outcome } catch { return .done }
    }

    func begin(_ answer: Outcome) { state.withLock { $0 = State(answer: answer) } }

    /// The requests, encoded.
    var asked: [[UInt8]] { state.withLock { $0.asked } }

    func submit(_ requests: [ClientRequest], replyTo sink: any ReplySink) {
        let encoded = requests.map { request in
            Samples.bytes { request.encode(into: &$0, id: RequestID(0)) }
        }
        let answer = state.withLock {
            $0.asked += encoded
            return $0.answer
        }
        sink.deliver(requests.map { Reply(id: $0.id, outcome: answer) })
    }
}
