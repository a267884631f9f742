import Glibc
import Testing

/// The simulation is worth something if it notices broken rules. `MUTATION=noTakeover SEEDS=1000`
/// looks for seeds that do.
@Suite struct RegistryMutationTests {
    /// Why the seed fails with the mutation; nil if it does not.
    private static func failure(
        _ seed: UInt64, _ mutation: RegistrySimulation.Mutation?
    ) -> String? {
        var simulation = RegistrySimulation(seed: seed, mutation: mutation)
        do {
            _ = try simulation.run()
            return nil
        } catch {
            return "\(error)"
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let mutation: RegistrySimulation.Mutation
        let seed: UInt64
        let complaint: String

        var testDescription: String { "\(mutation), seed \(seed)" }
    }

    @Test(arguments: [
        Case(mutation: .blindUpdates, seed: 222, complaint: "replaced formed"),
        Case(mutation: .blindUpdates, seed: 22, complaint: "took the entry back"),
        Case(mutation: .startsBeforeFormed, seed: 1, complaint: "never had"),
        Case(mutation: .noWaiting, seed: 85, complaint: "split"),
        Case(mutation: .noProbation, seed: 85, complaint: "split"),
        Case(mutation: .shortProbation, seed: 40, complaint: "split"),
        Case(mutation: .noTakeover, seed: 7, complaint: "no cluster"),
        Case(mutation: .foundersDontKeep, seed: 21, complaint: "no cluster"),
        Case(mutation: .claimNotDurable, seed: 1, complaint: "not on its disk"),
    ])
    func `A broken rule is noticed`(broken: Case) {
        let text = Self.failure(broken.seed, broken.mutation)
        #expect(text?.contains(broken.complaint) == true, "\(text ?? "nothing noticed")")
        #expect(Self.failure(broken.seed, nil) == nil)
    }

    @Test func `Seeds that notice a mutation are found`() {
        guard let name = getenv("MUTATION").map({ String(cString: $0) }),
            let mutation = RegistrySimulation.Mutation(rawValue: name)
        else { return }
        let count = getenv("SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 300
        for seed in 1...count {
            if let text = Self.failure(seed, mutation) {
                print("\(name) \(seed): \(text.prefix(150))")
            }
        }
    }
}
