import ScenarioTesting
import Testing

/// Every file in Scenarios is a transcript; `REWRITE=1 swift test --filter ScenarioTests` writes
/// what the commands print now, and the diff is to be reviewed.
@Suite struct ScenarioTests {
    private static let folder = ScenarioFolder()

    @Test func `There are scenarios`() {
        #expect(Self.folder.names.count >= 12)
    }

    @Test(arguments: ScenarioTests.folder.names)
    func `A scenario prints what is written`(name: String) throws {
        var runner = ScenarioRunner()
        for difference in try Self.folder.play(name, { runner.run($0) }) {
            Issue.record("\(difference)")
        }
    }
}
