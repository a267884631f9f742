import Foundation
import NodeLogic
import Raft
import Scratch
import StateMachine
import Testing

@testable import Replica
@testable import WriteAheadLog

/// A recovery by hand on real files, cut off between its steps and said again.
@Suite struct ClusterRecoveryTests {
    private let cluster = ClusterID(RandomID(high: 5, low: 5))
    private let old = Samples.voters("1", "2", "3")
    private let wanted = Samples.voters("1")
    private let boot = RandomID(high: 2, low: 2)

    /// The data of a node that was stopped: one entry, and a change of membership that nobody else
    /// has.
    private func makeNode(in path: String) throws {
        let directory = DatabaseDirectory(path: path)
        try directory.create(.first)
        var log = try openLog(path)
        try log.append(
            LogBatch(records: [
                .identity(
                    NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(1))),
                .cluster(cluster), .generation(1), .bootstrapMembership(old),
            ]))
        let entry = Entry(
            index: LogIndex(1), term: Term(3),
            payload: .membership(old.removing(NodeID("3"))))
        try log.append(
            LogBatch(hardState: HardState(term: Term(3)), entries: [entry], commitIndex: .zero))
        try log.markClean()
        let database = try Applier(path: directory.file(of: .first))
        try database.establish(cluster: cluster, membership: old)
    }

    private func openLog(_ path: String) throws -> SegmentedLog<PosixDisk> {
        try .open(on: PosixDisk(), directory: path + "/log", bootID: boot)
    }

    private func inDirectory(_ body: (String) throws -> Void) throws {
        let directory = try TemporaryDirectory("recovery")
        try withExtendedLifetime(directory) { try body(directory.path) }
    }

    private func recover(_ path: String) throws -> ClusterRecovery.Outcome {
        try ClusterRecovery.run(in: path, bootID: boot) { (_, _) in wanted }
    }

    private func check(_ path: String, _ outcome: ClusterRecovery.Outcome) throws {
        let derived = RecoveryPlan.cluster(after: cluster, wanted)
        #expect(outcome.cluster == derived)
        let database = try Applier(path: DatabaseDirectory(path: path).file(of: .first)).applied
        #expect(database.cluster == derived)
        #expect(database.membership == wanted)
        var log = try openLog(path)
        #expect(log.state.cluster == derived)
        let restored = try StartPlan.restored(
            log: log.state, database: StoredDatabase(database),
            tail: log.tail(after: database.position.index, holding: 1 << 20))
        #expect(restored.membership == wanted)
        #expect(restored.hardState.term.epoch == 1)
        #expect(restored.tail.count == 1)
    }

    @Test func `Said once or twice, it is done once`() throws {
        try inDirectory { path in
            try makeNode(in: path)
            try check(path, try recover(path))
            try check(path, try recover(path))
        }
    }

    @Test func `Cut off between log and database, the same recovery ends it`() throws {
        try inDirectory { path in
            try makeNode(in: path)
            do {
                var log = try openLog(path)
                let derived = RecoveryPlan.cluster(after: cluster, wanted)
                try log.append(LogBatch(records: [.recovered(derived, wanted, at: .zero)]))
                try log.sync()
            }
            #expect(throws: RecoveryError.otherRecoveryBegun) {
                try ClusterRecovery.run(in: path, bootID: boot) { (_, _) in
                    Samples.voters("1", "2")
                }
            }
            try check(path, try recover(path))
        }
    }

    /// As an empty one its node would lose what its log holds.
    @Test func `Of a damaged database it is said how its log goes on with others`() throws {
        try inDirectory { path in
            try makeNode(in: path)
            let file = URL(fileURLWithPath: path + "/db-1.sqlite")
            try Data(repeating: 7, count: 8192).write(to: file)
            try? FileManager.default.removeItem(atPath: path + "/db-1.sqlite-wal")
            do {
                _ = try recover(path)
                Issue.record("it was recovered")
            } catch let error as RecoveryError {
                #expect("\(error)".contains("start this one once without that file"), "\(error)")
            }
            let log = try openLog(path)
            #expect(log.state.cluster == cluster)
        }
    }

    @Test func `A look changes nothing`() throws {
        try inDirectory { path in
            try makeNode(in: path)
            try Data().write(to: URL(fileURLWithPath: path + "/lock"))
            let file = path + "/log/log-00000000000000000001.wal"
            let before = try Data(contentsOf: URL(fileURLWithPath: file))
            let facts = try ClusterRecovery.inspect(path)
            #expect(facts.identity.id == NodeID("1"))
            #expect(facts.lastPosition == LogPosition(index: LogIndex(1), term: Term(3)))
            #expect(facts.membership == old.removing(NodeID("3")))
            #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == before)
            #expect(throws: StartError.self) { try ClusterRecovery.inspect(path + "/elsewhere") }
        }
    }
}
