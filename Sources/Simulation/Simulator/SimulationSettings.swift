/// What a simulation is a function of.
package struct SimulationSettings: Sendable {
    /// Everything that happens follows from it and from the program.
    package var seed: UInt64
    /// Simulated time with faults.
    package var safetyMilliseconds: Int
    /// Simulated time in which a healed majority must elect, commit and agree.
    package var livenessMilliseconds = 60_000
    /// A mistake that is built into the nodes, to see that it is found; nil: none.
    package var mutation: Mutation?
    /// What befalls the whole cluster before the proof of liveness; nil: what the seed says.
    package var chapter: Chapter?
    /// Of how many nodes the cluster is; nil: as the seed says.
    package var nodeCount: Int?
    /// Which of the faults happen, by their order; nil: all.
    package var faults: Set<Int>?
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
    /// The one that was played.
    package var seed: UInt64
    /// Nil when all held.
    package var violation: String?
    /// How often each kind of fault was reached.
    package var faults: FaultCounts
    /// A digest of all that happened.
    package var trace: UInt64
    /// How long the history was.
    package var simulatedMilliseconds: Int
    /// Events that were played.
    package var steps: Int
}
