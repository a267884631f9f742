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
        var file = try Self.folder.read(name)
        var runner = ScenarioRunner()
        for i in file.blocks.indices {
            let output = runner.run(file.blocks[i].commands)
            if !ScenarioFolder.rewrites {
                let expected = file.blocks[i].output
                #expect(output == expected, "\(name): \(file.blocks[i].commands)")
            }
            file.blocks[i].output = output
        }
        if ScenarioFolder.rewrites { try Self.folder.write(file, name) }
    }
}
