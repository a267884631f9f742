import Testing

@testable import Settings

/// The command line of `rqlited recover`.
@Suite struct RecoverCommandTests {
    private func parse(_ arguments: String...) -> Invocation {
        Invocation.parse(arguments, workingDirectory: "/w")
    }

    private func command(_ arguments: String...) -> RecoverCommand? {
        guard case .recover(let command) = Invocation.parse(arguments, workingDirectory: "/w")
        else { return nil }
        return command
    }

    @Test func `It looks, unless it is told to act`() {
        let look = command("recover", "data")
        #expect(look?.dataDirectory == "/w/data")
        #expect(look?.isForced == false)
        #expect(look?.printsJSON == false)
        #expect(command("recover", "--json", "/d")?.printsJSON == true)
    }

    @Test func `Survivors are given one by one or in a row`() {
        let survivors = [
            RecoverCommand.Survivor(term: 3, index: 10), .init(term: 4, index: 2),
        ]
        for words in [
            ["recover", "--force", "--survivor", "3:10", "--survivor", "4:2", "d"],
            ["recover", "--force", "--survivor", "3:10", "4:2", "d"],
            ["recover", "-force", "-survivor=3:10", "--survivor=4:2", "d"],
        ] {
            guard case .recover(let command) = Invocation.parse(words, workingDirectory: "/w")
            else {
                Issue.record("\(words)")
                continue
            }
            #expect(command.survivors == survivors)
            #expect(command.isForced)
        }
        #expect(command("recover", "--force", "d")?.survivors == [])
    }

    @Test(arguments: [
        ["recover"], ["recover", "a", "b"], ["recover", "--survivor", "1:2", "d"],
        ["recover", "--force", "--survivor", "d"], ["recover", "--force", "--survivor", "1", "d"],
        ["recover", "--loud", "d"], ["recover", "--survivor=x", "d"],
        // Without a position nothing would be compared.
        ["recover", "--force", "d", "--survivor"], ["recover", "d", "--survivor", "--force"],
        ["recover", "--force", "--survivor", "1:2", "--survivor", "d"],
        ["recover", "--force", "--survivor=1:2", "d", "--survivor"],
    ])
    func `What makes no sense is refused`(words: [String]) {
        guard case .failure(_, let code) = Invocation.parse(words, workingDirectory: "/w") else {
            Issue.record("\(words)")
            return
        }
        #expect(code == 2)
    }

    @Test func `A data directory of that name is named by its path, or stands behind flags`() {
        guard case .run(let settings) = parse("./recover") else {
            Issue.record("./recover is no data directory")
            return
        }
        #expect(settings.dataDirectory == "/w/./recover")
        guard case .run = parse("-node-id", "1", "recover") else {
            Issue.record("recover behind flags is no data directory")
            return
        }
    }
}
