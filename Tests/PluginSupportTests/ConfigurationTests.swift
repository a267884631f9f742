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

    private func empty(_ text: String) throws(CallFailure) -> Configuration {
        try Configuration(Array(text.utf8)) { _ in nil }
    }

    @Test(arguments: [
        ("null", 0), ("0", 0), ("\"\"", 0), ("5000000000", 5_000_000_000),
        ("\"5s\"", 5_000_000_000),
        ("\"1m30s\"", 90_000_000_000), ("\"1.5s\"", 1_500_000_000), ("\"250ms\"", 250_000_000),
        ("\"2h\"", 7_200_000_000_000),
    ])
    func `A length of time is nanoseconds or a text`(_ value: String, _ expected: UInt64) throws {
        var configuration = try empty("{\"t\":\(value)}")
        #expect(try configuration.nanoseconds("t") == expected)
        #expect(configuration.notices.isEmpty)
    }

    @Test(arguments: ["-1", "1.5", "\"5\"", "\"s\"", "\"5 s\"", "\"-5s\"", "true", "\"9999999h\""])
    func `What is no length of time is named`(_ value: String) throws {
        var configuration = try empty("{\"t\":\(value)}")
        let error = #expect(throws: CallFailure.self) { try configuration.nanoseconds("t") }
        #expect(error?.message.contains("\"t\" must be a number of nanoseconds") == true)
    }

    @Test(arguments: ["30000", "\"99ms\""])
    func `A time that was meant as milliseconds is raised, with a notice`(_ value: String) throws {
        var configuration = try empty("{\"t\":\(value)}")
        #expect(try configuration.nanoseconds("t") == 100_000_000)
        #expect(configuration.notices.count == 1)
        #expect(configuration.notices[0].contains("\"t\" is"))
    }

    @Test func `Objects inside are read like the whole`() throws {
        var configuration = try empty("{\"TLS\":{\"On\":true,\"t\":1}}")
        let isOn = try configuration.object("tls") { tls throws(CallFailure) in
            _ = try tls.nanoseconds("t")
            return try tls.bool("on")
        }
        try configuration.finish()
        #expect(isOn == true)
        #expect(configuration.notices.first?.contains("\"tls.t\"") == true)
        #expect(try configuration.object("none") { _ in true } == nil)
    }

    @Test(arguments: [
        ("{\"tls\":{\"of\":true}}", "unknown member \"tls.of\"; known are on"),
        ("{\"tls\":{\"on\":1}}", "\"tls.on\" must be true or false"),
        ("{\"tls\":[]}", "\"tls\" must be an object"),
    ])
    func `What is wrong inside is named with its way`(_ text: String, _ expected: String) throws {
        var configuration = try empty(text)
        let error = #expect(throws: CallFailure.self) {
            try configuration.object("tls") { tls throws(CallFailure) in try tls.bool("on") }
        }
        #expect(error?.message.contains(expected) == true)
    }

    @Test func `Members without meaning cost one notice`() throws {
        var configuration = try empty("{\"Retries\":5,\"Logger\":{}}")
        configuration.ignore(["retries", "logger", "context"], because: "calls have deadlines")
        try configuration.finish()
        #expect(
            configuration.notices == [
                "the discovery configuration's \"retries\", \"logger\" changes nothing: "
                    + "calls have deadlines"
            ])
    }

    @Test func `An error names the variables that were not set, for they may be its cause`() {
        for (text, expected) in [
            (
                "{\"port\":\"$NOPE\"}",
                "must be an integer from 1 to 65535 (the variable $NOPE is not set)"
            ),
            ("{\"port\":$NOPE}", "(the variable $NOPE is not set)"),
            ("{\"port\":\"$A$P${B}$A\"}", "(the variables $A, $B are not set)"),
        ] {
            do throws(CallFailure) {
                Issue.record("\(text) was read as \(try read(text))")
            } catch {
                #expect(error.message.hasSuffix(expected), "\(error)")
            }
        }
        #expect(throws: Never.self) { try read("{\"name\":\"$NOPE\"}") }
    }
}
