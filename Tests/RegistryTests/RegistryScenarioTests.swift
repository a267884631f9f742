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
        var file = try Self.folder.read(name)
        var runner = RegistryScenario()
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
