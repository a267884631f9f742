import Testing

@testable import Settings

struct RestoreCommandTests {
    private func parse(_ words: String...) -> Invocation {
        Invocation.parse(["restore"] + words, workingDirectory: "/w")
    }

    private func command(_ words: String...) throws -> RestoreCommand {
        guard
            case .restore(let command) = Invocation.parse(
                ["restore"] + words, workingDirectory: "/w")
        else {
            Issue.record("\(words)")
            throw RestoreCommand.Invalid("no command")
        }
        return command
    }

    @Test func `Each flag is taken with a blank or an equals sign, and paths become absolute`()
        throws
    {
        let one = try command("--from", "b.json", "--to", "out", "--at=7", "-json")
        #expect(one.source == "/w/b.json" && one.target == "/w/out" && one.place == "7")
        #expect(one.printsJSON && one.cluster == nil)
        let id = "0123456789ABCDEF0123456789abcdef"
        let two = try command("-from=s3://b/p?a=b", "-rehearse", "--cluster", id)
        #expect(two.source == "s3://b/p?a=b" && two.target == nil && two.place == nil)
        #expect(two.cluster == id.lowercased())
        #expect(one.extensionPaths == [])
        let three = try command("--from=b", "--rehearse", "--extensions-path", "a.so,/x/b.zip")
        #expect(three.extensionPaths == ["/w/a.so", "/x/b.zip"])
    }

    @Test func `What is wrong is said, and nothing is done`() {
        for (words, text) in [
            ([], "--from is missing"), (["--from", "a"], "--to FILE, or --rehearse"),
            (["--from", "a", "--to", "b", "--rehearse"], "--to FILE, or --rehearse"),
            (["--from", "a", "--to"], "--to needs a value"),
            (["--from", "a", "--rehearse", "--extensions-path", "a,"], "an empty path"),
            (["--from", "a", "--from", "b", "--rehearse"], "twice"),
            (["--from", "a", "--rehearse", "--force"], "not known"),
            (["--from", "a", "--rehearse", "x"], "not expected"),
            (["--from", "a", "--rehearse", "--cluster", "12"], "32 hexadecimal digits"),
        ] as [([String], String)] {
            let found = Invocation.parse(["restore"] + words, workingDirectory: "/w")
            guard case .failure(let said, exitCode: 2) = found else {
                Issue.record("\(words): \(found)")
                continue
            }
            #expect(said.contains(text), "\(said)")
        }
        #expect(parse("-help") == .help(RestoreCommand.usage))
    }
}
