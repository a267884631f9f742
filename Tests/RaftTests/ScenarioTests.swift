import Testing

/// Every file in Scenarios is a transcript; `REWRITE=1 swift test --filter ScenarioTests` writes
/// what the commands print now, and the diff is to be reviewed.
@Suite struct ScenarioTests {
    @Test func `There are scenarios`() {
        #expect(ScenarioFile.names.count >= 12)
    }

    @Test(arguments: ScenarioFile.names)
    func `A scenario prints what is written`(name: String) throws {
        var file = try ScenarioFile.read(name)
        var runner = ScenarioRunner()
        for i in file.blocks.indices {
            let output = runner.run(file.blocks[i].commands)
            if !ScenarioFile.rewrites {
                let expected = file.blocks[i].output
                #expect(output == expected, "\(name): \(file.blocks[i].commands)")
            }
            file.blocks[i].output = output
        }
        if ScenarioFile.rewrites { try file.write(name) }
    }
}
