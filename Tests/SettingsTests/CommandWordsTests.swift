import Testing

@testable import Settings

/// The command line as `/debug/vars` shows it.
@Suite struct CommandWordsTests {
    @Test(arguments: [
        (["-disco-config", #" {"token":"s"}"#], ["-disco-config", "{…}"]),
        ([#"--disco-config={"token":"s"}"#], ["-disco-config={…}"]),
        (["-disco-config", "/etc/disco.json"], ["-disco-config", "/etc/disco.json"]),
        (["-disco-config=/etc/disco.json", "data"], ["-disco-config=/etc/disco.json", "data"]),
        (["-disco-key", "{}", "-disco-config"], ["-disco-key", "{}", "-disco-config"]),
    ])
    func `A configuration in the command line is not shown, and all else is`(
        words: [String], shown: [String]
    ) {
        #expect(CommandWords.shown(words) == shown)
    }
}
