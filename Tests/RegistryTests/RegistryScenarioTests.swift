import ScenarioTesting
import Testing

/// Every file in Scenarios is a transcript; `REWRITE=1 swift test --filter RegistryScenarioTests` writes
/// what the commands print now, and the diff is to be reviewed.
@Suite struct RegistryScenarioTests {
    private static let folder = ScenarioFolder()

    @Test func `There are scenarios`() {
        #expect(Self.folder.names.count >= 20)
    }

    @Test(arguments: RegistryScenarioTests.folder.names)
    func `A scenario prints what is written`(name: String) throws {
        var runner = RegistryScenario()
        for difference in try Self.folder.play(name, { runner.run($0) }) {
            Issue.record("\(difference)")
        }
    }
}
