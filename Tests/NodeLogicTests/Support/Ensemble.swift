import Chance
import Cluster
import PeerProtocol
import Raft
import Registry
import Replication
import Service
import Time
import Wire
import WriteAheadLog

@testable import NodeLogic

/// Machines of several nodes, a network that is an instant away, and a clock that goes when told:
/// what `NodeMachine` decides, without a thread. One seed, one transcript.
struct Ensemble {
    struct Node {
        var options: NodeOptions
        var machine: NodeMachine?
        var disk = EnsembleDisk()
        /// Events that wait for the node's next turn.
        var inbox: [NodeEvent] = []
        /// The log and the database do nothing while this is set.
        var isHung = false
        /// The database alone does nothing.
        var isDatabaseHung = false
        /// Its process stands still: no turn, and events wait.
        var isStalled = false
        var held: [NodeEffect] = []
        /// The database has no room while this is not nil: its work waits from the first batch on.
        var waitingForRoom: [NodeEffect]?
        var snapshots: [SnapshotSendID: EnsembleDisk] = [:]
        var received: [SnapshotReceiptID: EnsembleDisk] = [:]
        /// Where members are, as the machine told the network.
        var book: [NodeID: PeerAddress] = [:]
    }

    /// An answer that is waited for, and whose.
    struct Waiting {
        var node: Int
        var call: PeerCallID
    }

    var nodes: [Int: Node] = [:]
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    var wallMilliseconds: Int64 = 1_700_000_000_000
    var output: [String] = []
    /// Pairs of nodes that can't hear each other.
    var cuts: Set<[Int]> = []
    /// Refusals of peers, each said once.
    var refusals: Set<String> = []
    /// Lines below this level are not shown.
    var shows: Set<NodeNote.Level> = [.announcement, .warning, .error]
    var questions: [PeerQuestionID: Waiting] = [:]
    var requests: [RequestKey: String] = [:]
    /// Requests that went on to another node: whose they are.
    var forwards: [RequestKey: (node: Int, key: RequestKey)] = [:]
    /// Of those, what nobody waits for any more.
    var abandoned: Set<RequestKey> = []
    /// Readers do nothing while this is set.
    var holdsReads = false
    var heldReads: [(pending: PendingRequest, node: Int)] = []
    var transfers: [SnapshotReceiptID: (from: Int, id: SnapshotSendID, to: Int)] = [:]
    /// Snapshots go nowhere while this is set.
    var holdsSnapshots = false
    var lastID: UInt64 = 0
    var lastIncarnation: UInt64 = 0
    /// Calls that nobody answers, and when they fail.
    var timeouts: [(at: MonotonicTime, node: Int, call: PeerCallID)] = []

    mutating func newID() -> UInt64 {
        lastID += 1
        return lastID
    }

    // MARK: Nodes

    mutating func start(_ number: Int) {
        guard var node = nodes[number] else { return }
        let seed = UInt64(number) &* 0x9E37_79B9 &+ newID()
        var machine = NodeMachine(
            node.options, chance: Xoshiro256((seed, 2, 3, 4)), now: now)
        let disk = node.disk
        var formation = StoredFormation()
        do {
            if let bytes = disk.formation {
                formation.acceptor = try AcceptorState(decoding: bytes)
            }
        } catch {
            output.append("\(number): the formation's record can't be read")
        }
        machine.begin(
            NodeMachine.Beginning(
                restored: disk.restored, cluster: disk.cluster,
                isEstablished: disk.isEstablished, formation: formation, hasRegistry: false,
                quarantine: (try? Quarantine(decoding: disk.quarantine)) ?? Quarantine()))
        node.machine = machine
        node.inbox = []
        node.held = []
        if node.waitingForRoom != nil { node.waitingForRoom = [] }
        node.book = [:]
        nodes[number] = node
        settle()
    }

    mutating func kill(_ number: Int) {
        nodes[number]?.machine = nil
        nodes[number]?.inbox = []
    }

    /// The node that listens at the address and can be heard from `caller`.
    func listener(at address: PeerAddress, from caller: Int) -> Int? {
        nodes.keys.sorted().first { number in
            guard let node = nodes[number], node.machine != nil else { return false }
            return node.options.address == address && !isCut(caller, number)
        }
    }

    func isCut(_ one: Int, _ other: Int) -> Bool { cuts.contains([one, other].sorted()) }

    // MARK: Time

    /// Lets time pass in ticks, and everybody do what is to be done.
    mutating func run(milliseconds: Int) {
        for _ in 0..<(milliseconds / 10) {
            now = now + .milliseconds(10)
            wallMilliseconds += 10
            let late = timeouts.filter { $0.at <= now }
            timeouts.removeAll { $0.at <= now }
            for timeout in late {
                let failure = PeerFailure(cause: "timed out", isTimeout: true)
                post(.answered(timeout.call, .failure(failure)), to: timeout.node)
            }
            for number in nodes.keys.sorted() { turn(number) }
            settle()
        }
    }

    mutating func post(_ event: NodeEvent, to number: Int) {
        guard nodes[number]?.machine != nil else { return }
        nodes[number]?.inbox.append(event)
    }

    /// Until nobody has anything left to take.
    mutating func settle() {
        for _ in 0..<10_000 {
            var isIdle = true
            for number in nodes.keys.sorted() {
                collect(number)
                guard let node = nodes[number], !node.inbox.isEmpty, !node.isStalled else {
                    continue
                }
                isIdle = false
                turn(number)
            }
            if isIdle { return }
        }
        output.append("the nodes never come to rest")
    }

    private mutating func turn(_ number: Int) {
        guard nodes[number]?.machine != nil, nodes[number]?.isStalled == false else { return }
        let events = nodes[number]?.inbox ?? []
        nodes[number]?.inbox = []
        nodes[number]?.machine?.turn(events, at: now, wallMilliseconds: wallMilliseconds)
        collect(number)
    }

    private mutating func collect(_ number: Int) {
        while let effects = nodes[number]?.machine?.takeEffects(), !effects.isEmpty {
            for effect in effects { perform(effect, of: number) }
        }
    }
}
