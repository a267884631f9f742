import ScenarioTesting
import Testing

/// Every `log_…` and `apply_…` in Scenarios is a transcript of what a thread that owns a disk does;
/// `REWRITE=1 ONLY=NodeLogic swift test --filter KeeperScenarioTests` writes what the commands print
/// now, and the diff is to be reviewed.
@Suite struct KeeperScenarioTests {
    private static let folder = ScenarioFolder()
    private static let logs = folder.names.filter { $0.hasPrefix("log_") }
    private static let databases = folder.names.filter { $0.hasPrefix("apply_") }

    @Test(arguments: KeeperScenarioTests.logs)
    func `What a log's thread does is what is written`(name: String) throws {
        var runner = LogKeeperScenario()
        for difference in try Self.folder.play(name, { runner.run($0) }) {
            Issue.record("\(difference)")
        }
    }

    @Test(arguments: KeeperScenarioTests.databases)
    func `What a database's thread does is what is written`(name: String) throws {
        var runner = ApplyKeeperScenario()
        for difference in try Self.folder.play(name, { runner.run($0) }) {
            Issue.record("\(difference)")
        }
    }
}
