import Glibc
import Simulator
import Testing

/// Histories of whole clusters under faults: the production machine of a node and write-ahead log. `rqlite-simulate` replays a seed, and names one that traps.
@Suite struct SimulationTests {
    /// Histories of every build.
    private static let seeds: ClosedRange<UInt64> = 1...2000

    @Test func `Every promise holds in two thousand histories, and every fault is reached`() async {
        let faults = await withTaskGroup(of: FaultCounts.self) { group in
            for first in stride(from: Self.seeds.lowerBound, through: Self.seeds.upperBound, by: 50)
            {
                group.addTask { await Self.simulate(first...first + 49) }
            }
            var sum = FaultCounts()
            for await faults in group { sum += faults }
            return sum
        }
        for (name, path) in FaultCounts.all {
            #expect(faults[keyPath: path] > 0, "\(name): never reached")
        }
    }

    /// One that is in no list would be added up by nobody, and could stay at nothing for ever.
    @Test func `Each count of faults is in the list, under a name of its own`() {
        let names = FaultCounts.all.map { $0.name }
        #expect(Mirror(reflecting: FaultCounts()).children.count == names.count)
        #expect(Set(names).count == names.count)
        #expect(Set(FaultCounts.all.map { $0.path }).count == names.count)
    }

    private static func simulate(_ seeds: ClosedRange<UInt64>) async -> FaultCounts {
        var faults = FaultCounts()
        for seed in seeds {
            // Who waits for a process hears of its end: until then a thread asks for it without a pause.
            await Task.yield()
            let report = Simulation(.brief(seed: seed)).run()
            faults += report.faults
            #expect(
                report.violation == nil,
                "replay: swift run -c release rqlite-simulate \(seed) --seconds 8")
        }
        return faults
    }

    /// Dictionaries and sets have another order in each process: none may decide anything.
    @Test func `One seed gives one history in every process`() async {
        for seed: UInt64 in [1, 2, 3, 4, 5, 6] {
            let trace = Simulation(.brief(seed: seed)).run().trace
            await #expect(processExitsWith: .success) {
                [seed = seed as UInt64, trace = trace as UInt64] in
                let other = Simulation(.brief(seed: seed)).run().trace
                exit(other == trace ? EXIT_SUCCESS : EXIT_FAILURE)
            }
        }
    }

    @Test func `One seed gives one history`() {
        for seed: UInt64 in [1, 2, 3] {
            let settings = SimulationSettings.brief(seed: seed)
            #expect(Simulation(settings).run() == Simulation(settings).run())
        }
        #expect(
            Simulation(.brief(seed: 1)).run().trace != Simulation(.brief(seed: 2)).run().trace)
    }
}

extension SimulationSettings {
    static func brief(seed: UInt64, mutation: Mutation? = nil) -> SimulationSettings {
        SimulationSettings(seed: seed, safetyMilliseconds: 8000, mutation: mutation)
    }
}
