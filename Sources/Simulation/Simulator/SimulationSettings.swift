/// What a simulation is a function of.
package struct SimulationSettings: Sendable {
    package var seed: UInt64
    /// Simulated time with faults.
    package var safetyMilliseconds: Int
    /// Simulated time in which a healed majority must elect, commit and agree.
    package var livenessMilliseconds = 60_000
    package var mutation: Mutation?
    /// Takes a line for each thing that happens, to follow one history.
    package var narrator: (@Sendable (String) -> Void)?

    package init(
        seed: UInt64, safetyMilliseconds: Int = 15_000, mutation: Mutation? = nil
    ) {
        self.seed = seed
        self.safetyMilliseconds = safetyMilliseconds
        self.mutation = mutation
    }
}

/// What came of a simulation.
package struct SimulationReport: Equatable, Sendable {
    package var seed: UInt64
    /// Nil when all held.
    package var violation: String?
    package var faults: FaultCounts
    /// A digest of all that happened.
    package var trace: UInt64
    package var simulatedMilliseconds: Int
    package var steps: Int
}
