import NIOCore
import PeerProtocol
import Raft
import Service
import Synchronization
import Time
import Transport

/// Asks members over the network who they are, all at once, for `/nodes` and `/leader`.
struct MemberSurvey {
    var members: [Member]
    var leader: NodeID?
    var this: NodeOptions
    var timeout: Duration

    /// - Parameter done: called once, from any thread, with the members in their order.
    func run(
        over transport: Transport, _ done: @escaping @Sendable ([NodeDescription]) -> Void
    ) {
        let start = MonotonicTime.now
        guard !members.isEmpty else { return done([]) }
        let collector = Collector(expected: members.count, done: done)
        for member in members {
            if member.id == this.identity.id {
                collector.add(
                    describe(member, apiURL: this.apiURL, version: this.version, since: start))
                continue
            }
            let isLeader = member.id == leader
            transport.call(.hello, at: member.address, timeout: .init(timeout)).whenComplete {
                result in
                collector.add(
                    Self.describe(member, isLeader: isLeader, result, since: start))
            }
        }
    }

    private func describe(
        _ member: Member, apiURL: String, version: String, since start: MonotonicTime
    ) -> NodeDescription {
        NodeDescription(
            id: member.id, apiURL: apiURL, address: member.address, version: version,
            isVoter: member.suffrage == .voter, isReachable: true,
            isLeader: member.id == leader, elapsed: .now - start, error: nil)
    }

    private static func describe(
        _ member: Member, isLeader: Bool, _ result: Result<PeerAnswer, any Error>,
        since start: MonotonicTime
    ) -> NodeDescription {
        var description = NodeDescription(
            id: member.id, apiURL: nil, address: member.address, version: "",
            isVoter: member.suffrage == .voter, isReachable: false, isLeader: false,
            elapsed: nil, error: nil)
        switch result {
        case .success(.hello(let hello)) where hello.identity.id == member.id:
            description.apiURL = hello.apiURL
            description.version = hello.versions.program
            description.isReachable = true
            description.isLeader = isLeader
            description.elapsed = .now - start
        case .success(.hello(let hello)):
            description.error = "node \(hello.identity.id) answers at \(member.address)"
        case .success: description.error = "\(member.address) gave no hello"
        case .failure(let error as TransportError) where error.reason == .timedOut:
            description.error = "timeout waiting for node to respond"
        case .failure(let error): description.error = "\(error)"
        }
        return description
    }

    private final class Collector: Sendable {
        private let expected: Int
        private let gathered = Mutex<[NodeDescription]>([])
        private let done: @Sendable ([NodeDescription]) -> Void

        init(expected: Int, done: @escaping @Sendable ([NodeDescription]) -> Void) {
            self.expected = expected
            self.done = done
        }

        func add(_ description: NodeDescription) {
            let all: [NodeDescription]? = gathered.withLock { list in
                list.append(description)
                return list.count == expected ? list : nil
            }
            if let all { done(all.sorted { $0.id < $1.id }) }
        }
    }
}
