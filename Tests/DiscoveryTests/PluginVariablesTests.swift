import Foundation
import Testing

@testable import Discovery

/// What a plugin's own process is given of the environment.
@Suite struct PluginVariablesTests {
    private static let environment = [
        "PATH=/bin", "HOME=/root", "LC_ALL=C", "https_proxy=http://p", "SSL_CERT_FILE=/ca",
        "RQLITE_DISCO_PEERS=a", "KUBERNETES_SERVICE_HOST=10.0.0.1", "TOKEN=t", "PASSWORD=p=q",
        "AWS_SECRET_ACCESS_KEY=k", "AWS_REGION=eu", "CONSUL_HTTP_TOKEN=c", "CONSULATE=x",
        "NOTIFY_SOCKET=/run/s", "CREDENTIALS_DIRECTORY=/run/c", "=broken", "BARE",
    ]
    private static let always = [
        "PATH", "HOME", "LC_ALL", "https_proxy", "SSL_CERT_FILE", "RQLITE_DISCO_PEERS",
        "KUBERNETES_SERVICE_HOST",
    ]

    private func names(
        _ variables: PluginVariables = PluginVariables(), mode: String = "tested",
        config: String = ""
    ) -> [String] {
        variables.chosen(from: Self.environment, mode: mode, config: Array(config.utf8)).map {
            String($0.prefix { $0 != "=" })
        }
    }

    @Test func `What every program needs is given, and nothing else`() {
        #expect(names() == Self.always)
        #expect(
            PluginVariables().chosen(from: ["PATH=/a=b", "X=PATH=1"], mode: "m", config: [])
                == ["PATH=/a=b"])
    }

    @Test func `A mode gets what begins with the first word of its name`() {
        #expect(names(mode: "consul-kv") == Self.always + ["CONSUL_HTTP_TOKEN"])
        #expect(names(mode: "aws") == Self.always + ["AWS_SECRET_ACCESS_KEY", "AWS_REGION"])
        #expect(names(mode: "a") == Self.always)
    }

    @Test(
        arguments: [
            (#"{"token":"$TOKEN"}"#, ["TOKEN"]),
            (#"{"t":"x${TOKEN}y$PASSWORD/"}"#, ["TOKEN", "PASSWORD"]),
            (#"{"variable":"TOKEN"}"#, ["TOKEN"]), (#"{"t":"$$TOKEN"}"#, []),
            (#"{"t":"a TOKEN b"}"#, []), (#"{"t":"$TOKENS"}"#, []), ("$", []), ("${", []),
            ("${TOKEN", ["TOKEN"]), (#""TOKEN"#, []), ("$TOKEN", ["TOKEN"]),
            (#"{"k":"${AWS_SECRET_ACCESS_KEY}"}"#, ["AWS_SECRET_ACCESS_KEY"]),
        ] as [(String, [String])])
    func `What the configuration names is given`(_ config: String, _ more: [String]) {
        let found = names(
            PluginVariables(withheld: ["AWS_SECRET_ACCESS_KEY"]), config: config)
        #expect(found == Self.always + more)
    }

    @Test func `What the operator names is given, and secrets of the daemon only by their name`() {
        let withheld: Set = ["AWS_SECRET_ACCESS_KEY", "PASSWORD", "HOME"]
        func given(_ named: String...) -> [String] {
            names(PluginVariables(named: named, withheld: withheld), mode: "aws")
        }
        #expect(given() == Self.always + ["AWS_REGION"])
        #expect(given("TOKEN", "AWS_*") == Self.always + ["TOKEN", "AWS_REGION"])
        #expect(given("PASSWORD") == Self.always + ["PASSWORD", "AWS_REGION"])
        let wide = Set(names(PluginVariables(named: ["PASSWORD"], withheld: withheld).wide))
        #expect(wide.contains("CREDENTIALS_DIRECTORY") && wide.contains("PASSWORD"))
        #expect(!wide.contains("AWS_SECRET_ACCESS_KEY"))
    }

    @Test func `A configuration of braces alone takes no long time`() {
        let config = [UInt8](String(repeating: "${", count: 500_000).utf8)
        #expect(
            PluginVariables().chosen(from: ["PATH=/"], mode: "m", config: config) == ["PATH=/"])
    }
}
