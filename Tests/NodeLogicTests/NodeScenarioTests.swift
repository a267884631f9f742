import ScenarioTesting
import Testing

/// Every file in Scenarios is a transcript of whole machines, but those of `directory_`; `REWRITE=1 ONLY=NodeLogic swift test
/// --filter NodeScenarioTests` writes what the commands print now, and the diff is to be reviewed.
@Suite struct NodeScenarioTests {
    private static let folder = ScenarioFolder()
    private static let parts = [
        "router", "membership", "rendezvous", "snapshots", "shutdown", "start", "halt", "limits",
        "quarantine",
    ]
    private static let names = folder.names.filter { name in
        parts.contains { name.hasPrefix("\($0)_") }
    }

    @Test func `There are transcripts of every part of the machine`() {
        #expect(Self.folder.names.count >= 60)
        for part in Self.parts {
            #expect(Self.names.contains { $0.hasPrefix(part) }, "none of \(part)")
        }
    }

    @Test(arguments: NodeScenarioTests.names)
    func `A transcript prints what is written`(name: String) throws {
        var runner = NodeScenario()
        for difference in try Self.folder.play(name, { runner.run($0) }) {
            Issue.record("\(difference)")
        }
    }
}
