import EtcdPlugin
import Foundation
import HTTPRequests
import PluginABI
import PluginSupport
import Testing

/// What the `etcd-kv` mode makes of its configuration, before any server is asked.
@Suite struct EtcdConfigurationTests {
    private func read(
        _ text: String, _ environment: [String: String] = [:]
    ) throws(CallFailure) -> EtcdConfiguration {
        try EtcdConfiguration(Array(text.utf8)) { environment[$0] }
    }

    @Test(arguments: ["", "{}", "null", "{\"endpoints\":[]}"])
    func `Without endpoints it is the local server`(_ text: String) throws {
        #expect(try read(text).endpoints.map(\.description) == ["http://localhost:2379"])
    }

    @Test func `Endpoints may be written in every way`() throws {
        let text = """
            {"endpoints":["a.org","10.0.0.1:80","http://b.org:1","https://c.org","unix:///run/e",
            "[2001:db8::1]:5"],"username":"me","password":"${PW}","dial-timeout":"5s"}
            """
        let configuration = try read(text, ["PW": "a\"b"])
        #expect(
            configuration.endpoints.map(\.description) == [
                "http://a.org:2379", "http://10.0.0.1:80", "http://b.org:1", "https://c.org:2379",
                "unix:///run/e", "http://[2001:db8::1]:5",
            ])
        #expect(configuration.username == "me")
        #expect(configuration.password == "a\"b")
        #expect(configuration.notices.isEmpty)
    }

    @Test func `With TLS endpoints without a scheme are spoken to over TLS`() throws {
        let text = #"{"endpoints":["a.org","http://b.org"],"TLS":{"InsecureSkipVerify":true}}"#
        #expect(
            try read(text).endpoints.map(\.description) == [
                "https://a.org:2379", "http://b.org:2379",
            ])
    }

    @Test func `The example of rqlite's client is taken, with notices`() throws {
        let text = """
            {"endpoints":["http://1.2.3.4:8080","https://5.6.7.8"],"auto-sync-interval":10000,
            "dial-timeout":30000,"dial-keep-alive-timeout":900000,"username":"me",
            "password":"my password","reject-old-cluster":true}
            """
        let configuration = try read(text)
        #expect(configuration.endpoints.count == 2)
        #expect(configuration.notices.count == 2)
        #expect(configuration.notices[0].contains("\"dial-timeout\" is 30000 ns and is taken as"))
        #expect(
            configuration.notices[1].contains(
                "\"auto-sync-interval\", \"dial-keep-alive-timeout\", \"reject-old-cluster\""))
    }

    @Test(arguments: [
        (#"{"endpoint":["a"]}"#, "unknown member \"endpoint\"; known are endpoints, username"),
        (#"{"endpoints":"a"}"#, "\"endpoints\" must be a list of strings"),
        (#"{"endpoints":["me:secret@a.org"]}"#, "\"endpoints\" must be a list of HOST:PORT"),
        (#"{"endpoints":["ftp://a.org"]}"#, "\"endpoints\" must be a list of HOST:PORT"),
        (#"{"username":"me"}"#, "\"password\" must be given too"),
        (#"{"password":"secret"}"#, "\"username\" must be given too"),
        (#"{"dial-timeout":"soon"}"#, "\"dial-timeout\" must be a number of nanoseconds"),
        (#"{"tls":{"cacert":"x"}}"#, "unknown member \"tls.cacert\"; known are ca_file, ca_pem"),
        (#"{"tls":{"ca_file":"/none/ca.pem"}}"#, "\"tls.ca_file\" must be a file that can be read"),
        (#"{"tls":{"ca_pem":"secret"}}"#, "\"tls.ca_pem\" must be PEM, or its base64"),
        (#"{"tls":{"ca_file":"/etc/passwd","ca_pem":"x"}}"#, "\"tls.ca_pem\" must be left out"),
        (#"{"tls":{"cert_pem":"-----BEGIN X"}}"#, "\"tls.key_file\" must be given too"),
        (#"{"tls":{"key_pem":"-----BEGIN X"}}"#, "\"tls.cert_file\" must be given too"),
        (#"{"tls":true}"#, "\"tls\" must be an object"),
    ])
    func `What is wrong is named, without secrets`(_ text: String, _ expected: String) {
        let error = #expect(throws: CallFailure.self) { try read(text) }
        #expect(error?.code == RQD_CONFIG)
        #expect(error?.message.contains(expected) == true, "\(error as Any)")
        #expect(error?.message.contains("secret") == false)
    }

    @Test func `There may be only so many endpoints`() {
        let list = Array(repeating: "\"a\"", count: 65).joined(separator: ",")
        let error = #expect(throws: CallFailure.self) { try read("{\"endpoints\":[\(list)]}") }
        #expect(error?.message.contains("at most 64") == true)
    }
}
