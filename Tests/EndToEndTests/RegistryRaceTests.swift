import Foundation
import Testing

/// The winner of the race to found a cluster is killed, or stopped and resumed, at each step
/// between its claim and the moment the cluster is formed. There is one cluster in the end, within
/// 30 seconds.
@Suite(.serialized) struct RegistryRaceTests {
    private typealias Step = DirectoryRegistry.Step

    /// How long a stopped winner stands still: much longer than the 15 s after which others take its
    /// place.
    private static let standstill = Duration.seconds(60)

    private enum Fate {
        case killed
        case stopped
    }

    /// All at once: most of the time they wait.
    @Test func `A winner that dies or stands still for a minute at any step leaves one cluster`()
        async throws
    {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for expect in [nil, 3] {
                for step in Step.allCases {
                    for fate in [Fate.killed, .stopped] {
                        group.addTask { try await Self.race(expect, step, fate) }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private static func race(_ expect: Int?, _ step: Step, _ fate: Fate) async throws {
        let three = try RegistryCluster(3, expect: expect)
        defer { three.cluster.stop() }
        do {
            try three.registry.stop(at: step)
            try three.cluster.start()
            let winner = try await three.stopped()
            let start = ContinuousClock.now
            switch fate {
            case .killed:
                winner.kill()
                if othersCanGoOn(expect, step) { try await others(than: winner, in: three) }
                try three.registry.release(winner.id)
                try winner.start()
            case .stopped:
                winner.signal(SIGSTOP)
                if othersCanGoOn(expect, step) { try await others(than: winner, in: three) }
                try await eventually("the standstill ends", within: standstill + .seconds(30)) {
                    ContinuousClock.now - start >= standstill ? true : nil
                }
                try three.registry.release(winner.id)
                winner.signal(SIGCONT)
            }
            let back = ContinuousClock.now
            try await three.waitForOneCluster()
            let end = ContinuousClock.now
            print("\(fate) \(step.rawValue), expect \(expect ?? 0): \(end - start)")
            #expect(end - back < stretched(.seconds(30)))
        } catch {
            Issue.record(
                "\(step.rawValue), expect \(expect ?? 0), \(fate): \(error)\n\(three.cluster.logs)")
        }
    }

    /// Whether two nodes come to a cluster without the winner: its claim is not formed and they are
    /// enough, or it is formed and names them.
    private static func othersCanGoOn(_ expect: Int?, _ step: Step) -> Bool {
        (expect == nil) == (step != .afterFormed)
    }

    private static func others(than winner: Daemon, in three: RegistryCluster) async throws {
        let start = ContinuousClock.now
        let rest = three.nodes.filter { $0.id != winner.id }
        try await eventually("the others have a cluster", within: .seconds(30)) {
            for node in rest { _ = try await node.isReady() }
            return true
        }
        #expect(ContinuousClock.now - start < stretched(.seconds(30)))
    }
}
