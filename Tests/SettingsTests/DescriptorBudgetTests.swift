import Testing

@testable import Settings

/// How descriptors are shared between a node's own files and its clients.
@Suite struct DescriptorBudgetTests {
    @Test(arguments: [
        (1024, 256, 512), (65536, 256, 704), (1 << 20, 4096, 8384), (0, 256, 32), (256, 1, 128),
    ])
    func `Clients never get what log and database need`(
        limit: Int, readers: Int, reserve: Int
    ) {
        let budget = DescriptorBudget(limit: limit, readConnections: readers)
        #expect(budget.reserve == reserve)
        #expect(budget.connections == budget.limit - reserve)
        #expect(budget.connections >= budget.limit / 2)
    }

    @Test func `The limit is raised as far as is permitted and of use, and never lowered`() {
        #expect(DescriptorBudget.raised(soft: 1024, hard: 4096) == 4096)
        #expect(DescriptorBudget.raised(soft: 1024, hard: 1024) == 1024)
        #expect(DescriptorBudget.raised(soft: 1024, hard: .max) == 1 << 20)
        #expect(DescriptorBudget.raised(soft: 1 << 22, hard: .max) == 1 << 22)
    }
}
