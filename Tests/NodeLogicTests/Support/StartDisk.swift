import Raft
import ScenarioTesting

@testable import NodeLogic

/// A data directory as `StartPlan` sees it, and what each of its steps does to it. What the files
/// hold is kept here; a start learns it only by opening them, as on a real disk.
struct StartDisk: Equatable {
    /// Nil: there are no segments.
    var log: StartInventory.Log?
    var databases: [UInt64: StartInventory.Database] = [:]
    var incoming: [String] = []
    /// Those that can't be opened.
    var damaged: Set<UInt64> = []
    /// Files with rows that were there at first, and are not any more.
    var deleted: [UInt64] = []

    private static func cluster(_ number: String?) -> ClusterID? {
        number.flatMap { UInt64($0) }.map { ClusterID(RandomID(high: 0, low: $0)) }
    }

    init() {}

    /// `disk log identity gen=1 cluster=1 base=0 last=9 db=(1,2) dbcluster=1 applied=9 incoming=…`
    init(_ command: ScenarioCommand) {
        if command.words.contains("log") {
            log = StartInventory.Log(
                hasIdentity: command.words.contains("identity"),
                generation: command["gen"].flatMap { UInt64($0) }.map { Generation($0) },
                cluster: Self.cluster(command["cluster"]),
                base: LogIndex(UInt64(command["base"] ?? "") ?? 0),
                last: LogIndex(UInt64(command["last"] ?? "") ?? 0),
                isDamaged: command.words.contains("damaged"),
                members: Int(command["members"] ?? "") ?? 0)
        }
        for number in command.list("db") ?? [] {
            databases[UInt64(number)] = StartInventory.Database(
                cluster: Self.cluster(command["dbcluster"]),
                applied: LogIndex(UInt64(command["applied"] ?? "") ?? 0))
        }
        damaged = Set((command.list("broken") ?? []).map { UInt64($0) })
        incoming = command["incoming"].map { [$0] } ?? []
    }

    /// What a start knows before it has opened anything.
    func names(withoutVote: Bool = false) -> StartInventory {
        StartInventory(
            directory: "/data", segments: log == nil ? 0 : 2,
            generations: databases.keys.sorted().map { Generation($0) }, incoming: incoming,
            wouldFoundWithoutVote: withoutVote)
    }

    /// Does one step and notes what it found.
    mutating func carryOut(_ step: StartStep, _ found: inout StartInventory) {
        switch step {
        case .openLog:
            log = log ?? StartInventory.Log()
            found.segments = 2
        case .recordIdentity: log?.hasIdentity = true
        case .createDatabase(let generation):
            databases[generation.rawValue] = StartInventory.Database()
            incoming.removeAll { $0 == "incoming-\(generation).sqlite" }
        case .recordGeneration(let generation): log?.generation = generation
        case .openDatabase(let generation):
            if damaged.contains(generation.rawValue) {
                found.damage = "file is not a database"
            } else {
                found.database = databases[generation.rawValue]
            }
        case .setDatabaseAside(let generation):
            damaged.remove(generation.rawValue)
            databases[generation.rawValue] = StartInventory.Database(
                cluster: log?.cluster, applied: log?.base ?? .zero)
            found.damage = nil
        case .removeLeftovers(let kept):
            deleted += databases.keys.filter { $0 != kept.rawValue }.sorted()
            databases = databases.filter { $0.key == kept.rawValue }
            incoming = []
        case .run: break
        }
        found.log = log
        found.generations = databases.keys.sorted().map { Generation($0) }
        found.incoming = incoming
    }

    /// A whole start, or one that is cut off after some steps.
    /// - Returns: the steps, and why it ended if not with `run`.
    mutating func start(
        steps limit: Int = 20, withoutVote: Bool = false
    ) -> (steps: [StartStep], refusal: StartError?) {
        var found = names(withoutVote: withoutVote)
        var steps: [StartStep] = []
        while steps.count < limit {
            do throws(StartError) {
                let step = try StartPlan.step(found)
                steps.append(step)
                if step == .run { break }
                carryOut(step, &found)
            } catch {
                return (steps, error)
            }
        }
        return (steps, nil)
    }
}
