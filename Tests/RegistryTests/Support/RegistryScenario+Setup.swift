import Cluster
import Raft
import Registry
import ScenarioTesting

/// The nodes and records that commands of transcripts describe.
extension RegistryScenario {
    mutating func configure(_ command: ScenarioCommand) {
        switch command.name {
        case "node":
            let own = introduction(command)
            settings = RegistryFormationSettings(
                own, apiURL: apiURL(command.node),
                limit: command["limit"].flatMap(Int.init).map { .seconds($0) })
            settings?.foundsAnew = command.words.contains("anew")
            begin()
        case "restart": begin()
        case "keeper":
            record = nodeRecord(command)
            start = now
            keeper = RegistryKeeper(nodeRecord(command), nonce: id("#c0"), seed: 7)
            step()
        case "stand":
            standing = standing(command)
            members = (command.list("members") ?? []).map { NodeID("\($0)") }
            step()
        default:
            record?.address = PeerAddress(command.words[0])
            step()
        }
    }

    private mutating func begin() {
        guard let settings, let state = try? RegistryState(decoding: stored) else {
            preconditionFailure("no node to start")
        }
        runs += 1
        start = now
        arrivals = []
        unwritten = []
        formation = RegistryFormation(
            settings, state: state, freshID: RandomID(high: 0, low: runs << 8), seed: 7)
        step()
    }

    private func standing(_ command: ScenarioCommand) -> RegistryKeeper.Standing {
        switch command.words[0] {
        case "member": .member(isLost: false)
        case "lost": .member(isLost: true)
        case "excluded": .excluded
        case "leader": .leader(Term(UInt64(command.second)))
        case "founder":
            .founder(
                BootstrapValue(
                    cluster: record?.cluster ?? ClusterID(id("#0")),
                    members: ScenarioCommand.list(command.words[1]).map(member)))
        default: .fresh
        }
    }

    // MARK: Names

    func id(_ text: String) -> RandomID {
        RandomID(high: 0, low: UInt64(text.dropFirst(), radix: 16) ?? 0)
    }

    private func address(_ k: Int) -> PeerAddress { PeerAddress("10.0.0.\(k):4002") }
    private func apiURL(_ k: Int) -> String { "http://10.0.0.\(k):4001" }

    private func identity(_ command: ScenarioCommand) -> NodeIdentity {
        NodeIdentity(
            id: NodeID("\(command.node)"),
            incarnation: Incarnation(id(command["incarnation"] ?? "#\(command.node)")))
    }

    private func member(_ k: Int) -> Member {
        Member(
            id: NodeID("\(k)"), incarnation: Incarnation(id("#\(k)")), address: address(k),
            suffrage: .voter)
    }

    private func introduction(_ command: ScenarioCommand) -> FormationIntroduction {
        FormationIntroduction(
            identity: identity(command), address: address(command.node),
            suffrage: command.words.contains("nonvoter") ? .nonvoter : .voter,
            expect: command["expect"].flatMap(Int.init) ?? 0)
    }

    private func nodeRecord(_ command: ScenarioCommand) -> NodeRecord {
        let own = introduction(command)
        return NodeRecord(
            identity: own.identity, cluster: command["cluster"].map { ClusterID(id($0)) },
            address: own.address, apiURL: apiURL(command.node), suffrage: own.suffrage,
            expect: own.expect)
    }

    // MARK: Records and peers

    mutating func store(_ command: ScenarioCommand) {
        switch command.name {
        case "erase": registry.erase(command.words[0])
        case "wipe": registry.wipe()
        case "litter":
            for node in command.node..<command.node + command.second {
                let left = NodeRecord(
                    identity: NodeIdentity(
                        id: NodeID("\(node)"), incarnation: Incarnation(id("#9"))),
                    cluster: nil, address: address(node), apiURL: nil, suffrage: .voter,
                    expect: command["expect"].flatMap(Int.init) ?? 0)
                registry.put("nodes/\(node)", left.encoded())
            }
        case "record":
            let record = nodeRecord(command)
            registry.put("nodes/\(record.identity.id)", record.encoded())
        default:
            let node = command.second
            registry.put(
                RecordName.leader,
                LeaderEntry(
                    id: NodeID("\(node)"), apiURL: apiURL(node), address: address(node),
                    cluster: ClusterID(id(command["cluster"] ?? "#b1")),
                    state: command.words[0] == "formed" ? .formed : .forming,
                    nonce: id(command["nonce"] ?? "#b2"),
                    term: Term(command["term"].flatMap(UInt64.init) ?? 0),
                    founders: (command.list("founders") ?? []).map(member)
                ).encoded())
        }
    }

    mutating func setPeer(_ command: ScenarioCommand) {
        let place = address(command.node)
        peers.removeAll { $0.address == place }
        if let reason = command["silent"] {
            let text = reason.replacing("-", with: " ")
            return peers.append((place, .silent(text)))
        }
        let facts = CandidateFacts(
            introduction: introduction(command),
            cluster: command["cluster"].map { ClusterID(id($0)) },
            leader: command["leader"].flatMap(Int.init).map(address))
        peers.append((place, .known(facts, takesNodes: command["takes"] == "yes")))
    }
}
