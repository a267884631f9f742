import Discovery
import NodeLogic
import Raft
import Replica
import Synchronization
import Telemetry

/// What several resolvers found, put together for the node.
///
/// The node gets no address before each of them has answered, or failed, once: with the addresses of
/// one alone it might found a cluster while another knows of one. Later each speaks for itself, and one
/// that fails takes nothing away: what it found last stays. Any thread may call.
final class CandidateUnion: Sendable {
    private struct Part {
        var found: [DiscoveredAddress] = []
        var problem: String?
        var hasAnswered = false
    }

    private let node: Node
    private let gauge: Gauge
    private let parts: Mutex<[Part]>

    /// - Parameters:
    ///   - count: of the resolvers.
    ///   - gauge: shows how many addresses are known.
    init(_ count: Int, node: Node, gauge: Gauge) {
        self.node = node
        self.gauge = gauge
        parts = Mutex([Part](repeating: Part(), count: count))
    }

    /// - Parameters:
    ///   - place: of the resolver, from 0.
    ///   - found: all that is known from it.
    ///   - problem: why that may not be all.
    ///   - isAnswer: it has answered or failed; false: it is still being waited for.
    func report(
        _ place: Int, _ found: [DiscoveredAddress], problem: String? = nil, isAnswer: Bool = true
    ) {
        // Handed over under the lock, so that the last list is the newest.
        parts.withLock { parts in
            parts[place].found = found
            parts[place].problem = problem
            if isAnswer { parts[place].hasAnswered = true }
            let problems = parts.compactMap(\.problem)
            let isWhole = parts.allSatisfy(\.hasAnswered)
            let all = isWhole ? Self.merged(parts.map(\.found)) : []
            gauge.set(all.count)
            guard isWhole || !problems.isEmpty else { return }
            node.candidates(
                Candidates(
                    all, problem: problems.isEmpty ? nil : problems.joined(separator: "; ")))
        }
    }

    /// Each address once, in the order of the modes; the one that came by a name is kept.
    static func merged(_ lists: [[DiscoveredAddress]]) -> [DiscoveredAddress] {
        guard lists.count > 1 else { return lists.first ?? [] }
        var places: [String: Int] = [:]
        var all: [DiscoveredAddress] = []
        for address in lists.joined() {
            if let place = places[address.hostAndPort] {
                if all[place].recordName == nil { all[place] = address }
            } else {
                places[address.hostAndPort] = all.count
                all.append(address)
            }
        }
        return all
    }
}

extension DiscoveredAddress {
    /// The name whose A or AAAA record this is: for those the source begins with the record's type,
    /// `AAAA rqlite.local from …`.
    fileprivate var recordName: String? {
        let words = source.split(separator: " ")
        return words.count > 1 && (words[0] == "A" || words[0] == "AAAA") ? String(words[1]) : nil
    }
}

extension Candidates {
    /// What resolvers found. The addresses of one name in two families are the same nodes.
    fileprivate init(_ found: [DiscoveredAddress], problem: String?) {
        self.init(
            found.map { address in
                (
                    PeerAddress(address.hostAndPort),
                    name: address.recordName.map { PeerAddress("\($0):\(address.port)") }
                )
            }, problem: problem)
    }
}
