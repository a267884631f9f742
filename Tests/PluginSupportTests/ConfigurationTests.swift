import PluginABI
import PluginSupport
import Testing

/// How stock plugins read their configuration.
@Suite struct ConfigurationTests {
    private func read(_ text: String) throws(CallFailure) -> String {
        var configuration = try Configuration(Array(text.utf8)) { $0 == "P" ? "7" : nil }
        let name = try configuration.string("name", default: "rqlite")
        let port = try configuration.integer("port", in: 1...65535)
        let servers = try configuration.strings("servers")
        try configuration.finish()
        return "\(name) \(port) \(servers)"
    }

    @Test(arguments: [
        ("", "rqlite 0 []"), (" \n", "rqlite 0 []"), ("null", "rqlite 0 []"),
        ("{}", "rqlite 0 []"), ("{\"name\":\"\",\"port\":0}", "rqlite 0 []"),
        ("{\"Name\":\"a\",\"PORT\":$P,\"servers\":[\"x\"]}", "a 7 [\"x\"]"),
        ("{\"name\":\"a\",\"name\":\"b\",\"name\":null}", "b 0 []"),
    ])
    func `What is not given has its default`(_ text: String, _ expected: String) throws {
        #expect(try read(text) == expected)
    }

    @Test(arguments: [
        ("[]", "must be one JSON object"), ("{", "JSON ends at byte 1"),
        ("{} x", "followed by 'x' at byte 3"), ("{\"port\":\"1\"}", "\"port\" must be an integer"),
        ("{\"port\":65536}", "from 1 to 65535"), ("{\"port\":1.5}", "from 1 to 65535"),
        ("{\"name\":1}", "\"name\" must be a string"),
        ("{\"servers\":[1]}", "\"servers\" must be a list of strings"),
        ("{\"nmae\":\"x\"}", "unknown member \"nmae\"; known are name, port, servers"),
    ])
    func `What is wrong is named`(_ text: String, _ expected: String) {
        do throws(CallFailure) {
            Issue.record("\(text) was read as \(try read(text))")
        } catch {
            #expect(error.code == RQD_CONFIG)
            #expect(error.message.contains(expected), "\(error)")
        }
    }
}
