import Cluster
import Raft
import Registry
import ScenarioTesting

/// Understands the commands of transcripts. One node with its machines, on a registry, a disk and a
/// network that do what they are told:
///
///     node 1 expect=3 limit=120 | node 1 nonvoter | node 1 anew   a node without a cluster starts
///     restart                                          the same, on what its disk holds
///     keeper 1 cluster=#b1 expect=3                    the node's keeper, which alone runs
///     stand fresh | excluded | member | lost | founder (1,2) | leader 3 members=(1,2)
///     moved 10.0.0.9:4002                              the node's own address, for the keeper
///     run 1500                                         milliseconds pass
///     entry forming 2 cluster=#b1 nonce=#b2 term=3 founders=(1,2,3)
///     text {"id":…                                     the record `leader`, as it is
///     erase leader | erase nodes/1 | wipe
///     record 2 cluster=#b1 expect=3 incarnation=#9 nonvoter
///     litter 1000 600 expect=3                         records of 600 nodes from 1000 on, which are gone
///     peer 2 expect=3 incarnation=#9 nonvoter          answers hellos, is in no cluster
///     peer 2 cluster=#b1 leader=2 takes=yes            is in one, and may take nodes in
///     peer 2 silent=connection-refused
///     registry up | down | silent | forbidden | forbids-nodes | lists-nothing | nonsense
///     write lost | unanswered | doubled                what becomes of the next write
///     rival forming 2 cluster=#b1 …                    comes before the next write, as `entry`
///     disk slow | disk done
///     refuse no-access                                 the keeper found that records are off
///     show                                             all records
///
/// Node k has incarnation `#k` and address 10.0.0.k; `#b1` is an ID that ends so, with zeros in
/// front. Reads, lists and hellos are not printed.
struct RegistryScenario {
    enum Mode: String {
        case up
        case down
        case silent
        case forbidden
        case forbidsNodes = "forbids-nodes"
        case listsNothing = "lists-nothing"
        case nonsense
    }

    enum WriteFate: String {
        case usual
        case lost
        case unanswered
        case doubled
    }

    enum PeerState {
        case silent(String)
        case known(CandidateFacts, takesNodes: Bool)
    }

    /// What comes after everything that is done now, or at a time to come.
    enum Arrival {
        case answer(RegistryAnswer, RegistryRequestID)
        case hello(PeerAddress)
        case join(PeerAddress)
        case writesDone
    }

    var registry = SimulatedRegistry()
    var mode = Mode.up
    var fate = WriteFate.usual
    var rival: ScenarioCommand?
    var formation: RegistryFormation?
    var keeper: RegistryKeeper?
    var record: NodeRecord?
    var standing = RegistryKeeper.Standing.fresh
    var members: [NodeID] = []
    var settings: RegistryFormationSettings?
    var runs: UInt64 = 0
    var stored = RegistryState().encoded()
    var isDiskSlow = false
    var unwritten: [(ticket: PersistTicket, bytes: [UInt8])] = []
    var peers: [(address: PeerAddress, state: PeerState)] = []
    var arrivals: [(at: Int, what: Arrival)] = []
    /// Milliseconds, and when the machines began.
    var now = 0
    var start = 0
    var output: [String] = []

    mutating func run(_ commands: [String]) -> [String] {
        output = []
        for command in commands { perform(ScenarioCommand(command), command) }
        return output.isEmpty ? ["ok"] : output
    }

    private mutating func perform(_ command: ScenarioCommand, _ line: String) {
        switch command.name {
        case "node", "restart", "keeper", "stand", "moved": configure(command)
        case "run": run(until: now + command.node)
        case "entry", "record", "erase", "wipe", "litter": store(command)
        case "text": registry.put(RecordName.leader, Array(line.dropFirst(5).utf8))
        case "peer": setPeer(command)
        case "registry": mode = command.words.first.flatMap(Mode.init) ?? .up
        case "write": fate = command.words.first.flatMap(WriteFate.init) ?? .usual
        case "rival": rival = command
        case "refuse":
            let reason = command.words.first ?? ""
            step(formation: { $0.nodeRecordsOff(reason) })
        case "disk":
            isDiskSlow = command.words.first == "slow"
            if !isDiskSlow { finishWrites() }
        case "show": output += registry.records.map { short($0.summary) }
        default: preconditionFailure("no command \(command.name)")
        }
    }

    mutating func print(_ text: String) { output.append("\(now) \(short(text))") }

    /// IDs of 32 digits without the zeros in front.
    private func short(_ text: String) -> String {
        var result = ""
        var digits = ""
        func flush() {
            if digits.count == 32 {
                let rest = digits.drop { $0 == "0" }
                result += "#" + (rest.isEmpty ? "0" : String(rest))
            } else {
                result += digits
            }
            digits = ""
        }
        for character in text {
            if character.isHexDigit, !character.isUppercase {
                digits.append(character)
            } else {
                flush()
                result.append(character)
            }
        }
        flush()
        return result
    }

    // MARK: Time

    private mutating func run(until end: Int) {
        step()
        while now < end {
            var next = end
            if let deadline = formation?.nextDeadline { next = min(next, milliseconds(deadline)) }
            if let deadline = keeper?.nextDeadline { next = min(next, milliseconds(deadline)) }
            for arrival in arrivals { next = min(next, arrival.at) }
            now = max(now + 1, next)
            step()
            let due = arrivals.filter { $0.at <= now }
            arrivals.removeAll { $0.at <= now }
            for arrival in due { deliver(arrival.what) }
        }
    }

    private func milliseconds(_ duration: Duration) -> Int {
        let parts = duration.components
        return start + Int(parts.seconds) * 1_000
            + Int((parts.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }

    var time: Duration { .milliseconds(now - start) }

    mutating func step(
        formation input: ((inout RegistryFormation) -> Void)? = nil,
        keeper other: ((inout RegistryKeeper) -> Void)? = nil
    ) {
        var forming: [RegistryFormationEffect] = []
        var keeping: [RegistryKeeperEffect] = []
        if var machine = formation {
            machine.tick(time)
            input?(&machine)
            forming = machine.takeEffects()
            formation = machine
        }
        if var machine = keeper, let record {
            machine.tick(time)
            machine.update(record, standing, members: members)
            other?(&machine)
            keeping = machine.takeEffects()
            keeper = machine
        }
        for effect in forming { perform(effect) }
        for effect in keeping { perform(effect) }
    }

    private mutating func deliver(_ arrival: Arrival) {
        switch arrival {
        case .answer(let answer, let id):
            switch id.owner {
            case .formation: step(formation: { $0.answered(answer, to: id) })
            case .keeper: step(keeper: { $0.answered(answer, to: id) })
            }
        case .hello(let address): answerHello(at: address)
        case .join(let address): answerJoin(at: address)
        case .writesDone: finishWrites()
        }
    }
}
