import Chance
import Raft
import Replication
import Time
import Wire

@testable import NodeLogic

/// A node that is a cluster by itself, started with a log, and driven for some seconds.
struct LoneNode {
    private static let cluster = ClusterID(RandomID(high: 7, low: 7))

    /// What it wrote into its log.
    let written: [Entry]
    let notes: [NodeNote]
    /// What began to be wrong, and was over.
    let changes: [NodeStateChange]
    let isReady: Bool

    /// - Parameters:
    ///   - log: what its log held, from the first entry on; nothing of it is applied.
    ///   - term: the latest that it knew.
    ///   - skips: of a recovery by hand.
    ///   - reports: what its database tells first of all.
    ///   - wall: its wall clock, second by second, and the last one from then on; milliseconds since 1970.
    ///   - seconds: how long it is driven.
    init(
        log: [Entry] = [], term: Term = Term(1), skips: [EntrySkip] = [],
        reports: [DatabaseReport] = [], wall: [Int64] = [0], seconds: Int = 20,
        _ change: (inout MachineSettings) -> Void = { _ in }
    ) {
        var settings = MachineSettings(
            explicitID: nil, fallbackID: NodeID("1"), address: PeerAddress("n1:4002"), apiURL: "",
            dataDirectory: "", version: "")
        change(&settings)
        let identity = NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(1))
        var now = MonotonicTime(nanoseconds: 1_000_000_000)
        var machine = NodeMachine(
            NodeOptions(identity: identity, engine: "", settings: settings),
            chance: Xoshiro256((1, 2, 3, 5)), now: now)
        machine.begin(
            NodeMachine.Beginning(
                restored: Self.restored(log, term), cluster: Self.cluster, isEstablished: true,
                formation: StoredFormation(), hasRegistry: false, skips: skips))
        var written: [Entry] = []
        var notes: [NodeNote] = []
        var changes: [NodeStateChange] = []
        var events = reports.map { NodeEvent.database($0) }
        for step in 0..<seconds * 100 {
            for effect in machine.takeEffects() {
                switch effect {
                case .log(.write(let write)):
                    written += write.entries
                    events.append(.log(.written(write.ticket)))
                case .database(.apply(let entries, _)):
                    let last = entries.last?.index ?? .zero
                    events.append(.database(.applied(through: last)))
                case .say(let note): notes.append(note)
                case .stateChanged(let change): changes.append(change)
                default: break
                }
            }
            now = now + .milliseconds(10)
            machine.turn(
                events, at: now, wallMilliseconds: wall[min(step / 100, wall.count - 1)])
            events = []
        }
        self.written = written
        self.notes = notes
        self.changes = changes
        isReady = machine.portrait().status.isReady
    }

    private static func restored(_ log: [Entry], _ term: Term) -> RestoredState {
        var runs: [LogPosition] = []
        for entry in log where runs.last?.term != entry.term { runs.append(entry.position) }
        let members = Samples.voters("1")
        return RestoredState(
            hardState: HardState(term: term), base: .zero, termRuns: runs,
            lastIndex: log.last?.index ?? .zero, tail: log, membership: members,
            membershipIndex: .zero, appliedMembership: members, appliedMembershipIndex: .zero,
            commitIndex: .zero, appliedIndex: .zero)
    }
}
