import Glibc
import Registry
import Testing

/// Formations and formed clusters under faults. `SEEDS` sets their number, `SEED` runs one.
@Suite struct RegistrySimulationTests {
    private static func number(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }

    struct Report: Sendable {
        var formed = 0
        var excused: [String] = []
        var slowest = 0
        var slowestSeed: UInt64 = 0
        var failures: [String] = []
        var reached = RegistrySimulation.Reached()

        mutating func merge(_ other: Report) {
            formed += other.formed
            excused += other.excused
            failures += other.failures
            reached = reached + other.reached
            if other.slowest > slowest {
                slowest = other.slowest
                slowestSeed = other.slowestSeed
            }
        }
    }

    private static func run(_ seeds: [UInt64]) -> Report {
        var report = Report()
        for seed in seeds {
            var simulation = RegistrySimulation(seed: seed)
            if number("SEED") != nil { simulation.history = RegistrySimulation.History() }
            do {
                switch try simulation.run() {
                case .formed(let after):
                    report.formed += 1
                    if after > report.slowest {
                        (report.slowest, report.slowestSeed) = (after, seed)
                    }
                case .excused(let reason): report.excused.append(reason)
                }
            } catch {
                report.failures.append("seed \(seed): \(error)")
            }
            report.reached = report.reached + simulation.reached
            for line in simulation.history?.lines ?? [] { print(line) }
        }
        return report
    }

    @Test func `One cluster, never a wedge, and its entry is right`() async {
        let first = Self.number("SEED") ?? 1
        let count = Self.number("SEED") == nil ? Self.number("SEEDS") ?? 500 : 1
        let report = await withTaskGroup(of: Report.self) { group in
            for lane in 0..<UInt64(2) {
                group.addTask {
                    Self.run(Array((first..<first + count).filter { $0 % 2 == lane }))
                }
            }
            return await group.reduce(into: Report()) { $0.merge($1) }
        }
        let excuses = Set(report.excused).sorted().map { reason in
            "\(reason) \(report.excused.filter { $0 == reason }.count)"
        }
        #expect(report.failures.isEmpty, "\(report.failures.count): \(report.failures.prefix(5))")
        #expect(report.formed > Int(count) * 8 / 10 || count < 10, "\(excuses)")
        if count >= 500 {
            #expect(report.reached.isEverything, "\(report.reached)")
        }
        let summary = "formed \(report.formed) of \(count), slowest after \(report.slowest / 1_000)"
        print("\(summary) ms (seed \(report.slowestSeed)); \(excuses); \(report.reached)")
    }
}
