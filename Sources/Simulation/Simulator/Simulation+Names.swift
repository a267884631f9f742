import Chance
import Cluster
import NodeLogic
import Raft

/// Name servers: slow, silent, without the name for a while, behind with what they say.
extension Simulation {
    func lookUp(_ host: String, for node: SimulatedNode) {
        faults.lookups += 1
        var delay = random.within(1...50)
        var answer = answer(for: host)
        if !isCalm {
            switch random.below(8) {
            case 0: (answer, delay) = (.unknown, random.within(1...500))
            case 1: (answer, delay) = (.failed("simulated"), random.within(1...5000))
            case 2: delay = random.within(5000...20_000)
            case 3: delay = random.within(50...2000)
            default: break
            }
        }
        switch answer {
        case .addresses: if delay > 5000 { faults.lookupsSlow += 1 }
        case .unknown: faults.namesUnknown += 1
        case .failed: faults.lookupsFailed += 1
        }
        schedule(
            .lookedUp(slot: node.slot, run: node.run, host: host, answer), in: delay)
    }

    /// What the name servers would say now; what is slow on its way is old when it comes.
    private func answer(for host: String) -> CandidateNames.Answer {
        guard host.hasSuffix(".sim") else { return .addresses([host]) }
        // A service's name leads to those that are up.
        let named = counted.filter { node in
            host == Founding.oneName ? node.isUp : host == "n\(node.slot + 1).sim"
        }
        let hosts = named.map { Self.host(of: $0.address) }
        return hosts.isEmpty ? .unknown : .addresses(hosts.sorted())
    }

    private static func host(of address: PeerAddress) -> String {
        String(address.rawValue.prefix { $0 != ":" })
    }
}
