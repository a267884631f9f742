import Cluster
import Raft

/// One formation machine on a test bench: time in milliseconds, a disk that obeys, and the effects
/// since the last look.
struct Bench {
    var machine: Formation
    /// Writes that have not been reported durable.
    var writes: [PersistTicket] = []
    var disk: [UInt8]
    private var now = 0

    init(
        _ k: Int = 1, expect: Int = 3, suffrage: Suffrage = .voter,
        limit: FormationSettings.Limit = .none, state: AcceptorState = AcceptorState(),
        dropCommand: String = ""
    ) {
        var settings = FormationSettings(
            node(k, expect: expect, suffrage: suffrage), limit: limit)
        settings.dropCommand = dropCommand
        machine = Formation(
            settings, state: state, freshClusterID: RandomID(high: 99, low: 0), seed: 1)
        disk = state.encoded()
    }

    /// Effects but for hellos and explanations, which most tests are not about.
    mutating func effects() -> [FormationEffect] {
        all().filter {
            switch $0 {
            case .sendHello, .waiting: false
            default: true
            }
        }
    }

    mutating func all() -> [FormationEffect] {
        let effects = machine.takeEffects()
        for case .persist(let bytes, let ticket) in effects {
            writes.append(ticket)
            disk = bytes
        }
        return effects
    }

    /// The effects without writes, after which the disk has caught up.
    mutating func settled() -> [FormationEffect] {
        var settled: [FormationEffect] = []
        while true {
            let effects = effects()
            settled += effects.filter { if case .persist = $0 { false } else { true } }
            guard !writes.isEmpty else { return settled }
            for ticket in writes { machine.persisted(ticket) }
            writes = []
        }
    }

    mutating func pass(_ milliseconds: Int) {
        now += milliseconds
        machine.tick(.milliseconds(now))
    }

    mutating func list(_ nodes: [Int]) { machine.candidatesChanged(nodes.map(address)) }

    /// Answers of nodes at their own addresses.
    mutating func meet(_ nodes: [Int], expect: Int = 3) {
        for k in nodes {
            machine.helloAnswered(facts(node(k, expect: expect)), from: address(k))
        }
    }

    mutating func ask(_ request: FormationMessage, id: UInt64 = 1) {
        machine.requested(request, by: FormationRequestID(id))
    }

    mutating func promise(
        _ k: Int, _ ballot: Ballot, accepted: AcceptorState.Accepted? = nil,
        lists: [CandidateList] = [], suffrage: Suffrage = .voter, expect: Int = 3
    ) {
        machine.answered(
            .promise(
                .init(
                    ballot: ballot, acceptor: node(k, expect: expect, suffrage: suffrage),
                    accepted: accepted, lists: lists)), from: address(k))
    }
}

extension [FormationEffect] {
    /// The messages sent, by the last number of the address.
    var sent: [FormationMessage] {
        compactMap { if case .send(let message, _) = $0 { message } else { nil } }
    }

    var ballots: [Ballot] {
        compactMap {
            if case .send(.prepare(let ballot, _, _), _) = $0 { ballot } else { nil }
        }
    }

    /// Values proposed in phase 2.
    var values: [BootstrapValue] {
        compactMap {
            if case .send(.accept(_, _, let value, _), _) = $0 { value } else { nil }
        }
    }

    var texts: [String] {
        compactMap { if case .waiting(let text) = $0 { text } else { nil } }
    }

    var hellos: [PeerAddress] {
        compactMap { if case .sendHello(let address) = $0 { address } else { nil } }
    }
}
