/// What a transcript says and what was printed instead.
package struct ScenarioDifference: Equatable, CustomStringConvertible {
    package let file: String
    package let commands: [String]
    package let expected: [String]
    package let printed: [String]

    package var description: String {
        """
        \(file): \(commands.joined(separator: "; "))
        expected:
        \(expected.joined(separator: "\n"))
        printed:
        \(printed.joined(separator: "\n"))
        """
    }
}

extension ScenarioFolder {
    /// Plays a transcript, block after block, or writes it anew (`rewrites`).
    /// - Parameter run: carries a block's commands out and gives what they print.
    /// - Returns: the blocks that print something else; none where the transcript is written anew.
    package func play(
        _ name: String, _ run: ([String]) throws -> [String]
    ) throws -> [ScenarioDifference] {
        var file = try read(name)
        var differences: [ScenarioDifference] = []
        for place in file.blocks.indices {
            let block = file.blocks[place]
            let printed = try run(block.commands)
            if printed != block.output {
                differences.append(
                    ScenarioDifference(
                        file: name, commands: block.commands, expected: block.output,
                        printed: printed))
            }
            file.blocks[place].output = printed
        }
        guard Self.rewrites else { return differences }
        try write(file, name)
        return []
    }
}
