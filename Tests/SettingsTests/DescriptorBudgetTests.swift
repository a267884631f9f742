import Testing

@testable import Settings

/// How descriptors are shared between a node's own files and its clients.
@Suite struct DescriptorBudgetTests {
    @Test(arguments: [
        (1024, 256, 512), (4096, 256, 1248), (65536, 256, 1248), (1 << 20, 4096, 12768),
        (0, 256, 32), (256, 1, 128),
    ])
    func `Clients never get what log and database need`(
        limit: Int, readers: Int, reserve: Int
    ) {
        let budget = DescriptorBudget(limit: limit, readConnections: readers)
        #expect(budget.reserve == reserve)
        #expect(budget.connections == budget.limit - reserve)
        #expect(budget.connections >= budget.limit / 2)
    }

    /// All of them at once: those that serve, those whose answers go out in parts, and those that were given up.
    @Test(arguments: [1024, 1100, 1408, 2048, 4096, 65536, 1 << 20], [1, 256, 4096])
    func `Readers leave the log and the database theirs`(limit: Int, readConnections: Int) {
        let budget = DescriptorBudget(limit: limit, readConnections: readConnections)
        #expect(budget.readers <= readConnections)
        let files = 2 * (budget.readers + Limits.spareReaders)
        #expect(Limits.ownDescriptors + files <= budget.reserve)
    }

    @Test(arguments: [(0, 256, 2), (160, 256, 2), (1024, 256, 64), (4096, 256, 256), (64, 1, 1)])
    func `Where there are few descriptors there are few readers`(
        limit: Int, readConnections: Int, readers: Int
    ) {
        let budget = DescriptorBudget(limit: limit, readConnections: readConnections)
        #expect(budget.readers == readers)
    }

    /// Few of them are shared between those that serve requests and those beside them.
    @Test(arguments: [
        (512, 256, 16, 16), (770, 256, 48, 48), (900, 256, 64, 65), (1024, 256, 64, 96),
        (1024, 1, 1, 96),
        (400, 256, 2, 8), (64, 256, 2, 8), (4096, 256, 256, 96),
    ])
    func `Where there are few descriptors not all go to what is beside the readers`(
        limit: Int, readConnections: Int, readers: Int, spare: Int
    ) {
        let budget = DescriptorBudget(limit: limit, readConnections: readConnections)
        #expect(budget.readers == readers)
        #expect(budget.spareReaders == spare)
    }

    @Test func `The limit is raised as far as is permitted and of use, and never lowered`() {
        #expect(DescriptorBudget.raised(soft: 1024, hard: 4096) == 4096)
        #expect(DescriptorBudget.raised(soft: 1024, hard: 1024) == 1024)
        #expect(DescriptorBudget.raised(soft: 1024, hard: .max) == 1 << 20)
        #expect(DescriptorBudget.raised(soft: 1 << 22, hard: .max) == 1 << 22)
    }
}
