import ConsulPlugin
import Foundation
import HTTPRequests
import JSON
import PluginABI
import PluginSupport
import ServerTesting
import Testing

/// What the `consul-kv` mode makes of its configuration and of the environment.
@Suite struct ConsulConfigurationTests {
    private func read(
        _ text: String, _ environment: [String: String] = [:]
    ) throws(CallFailure) -> ConsulConfiguration {
        try ConsulConfiguration(Array(text.utf8)) { environment[$0] }
    }

    private func message(
        _ text: String, _ environment: [String: String] = [:]
    ) throws -> String {
        let error = try #require(
            #expect(throws: CallFailure.self) { try read(text, environment) })
        #expect(error.code == RQD_CONFIG)
        return error.message
    }

    @Test(arguments: ["", "null", "{}", "{\"address\":\"\",\"scheme\":\"\",\"tls_config\":{}}"])
    func `The defaults are Consul's`(_ text: String) throws {
        let configuration = try read(text)
        #expect(configuration.server.description == "http://127.0.0.1:8500")
        #expect(configuration.datacenter == "" && configuration.namespace == "")
        #expect(configuration.basicAuth == nil && configuration.partition == "")
        #expect(configuration.token.token == "")
        #expect(configuration.tls == TLSOptions())
    }

    @Test func `Members count before variables`() throws {
        let all = [
            "CONSUL_HTTP_ADDR": "https://env:1/prefix/", "CONSUL_HTTP_TOKEN": "env-token",
            "CONSUL_HTTP_AUTH": "env-user", "CONSUL_NAMESPACE": "env-ns",
            "CONSUL_PARTITION": "env-partition", "CONSUL_TLS_SERVER_NAME": "env-name:8501",
            "CONSUL_HTTP_SSL_VERIFY": "0",
        ]
        let silent = try read("{}", all)
        #expect(silent.server.description == "https://env:1/prefix")
        #expect(silent.token.token == "env-token")
        #expect(silent.basicAuth?.username == "env-user" && silent.basicAuth?.password == "")
        #expect(silent.namespace == "env-ns" && silent.partition == "env-partition")
        #expect(silent.tls.serverName == "env-name" && silent.tls.isUnverified)
        let full = try read(
            """
            {"Address":"c:2","scheme":"https","datacenter":"$DC","token":"t","namespace":"n",
             "basic_auth":{"username":"u","password":"p:q"},"partition":"p",
             "tls_config":{"address":"name","insecure_skip_verify":true}}
            """, all.merging(["DC": "east"]) { $1 })
        #expect(full.server.description == "https://c:2")
        #expect(full.datacenter == "east" && full.namespace == "n" && full.partition == "p")
        #expect(full.token.token == "t")
        #expect(full.basicAuth?.username == "u" && full.basicAuth?.password == "p:q")
        #expect(full.tls.serverName == "name")
    }

    @Test(arguments: [
        ("c", "", "http://c:80"), ("c", "https", "https://c:443"), ("::1", "", "http://[::1]:80"),
        ("[::1]:9", "", "http://[::1]:9"), ("httpd.local:8500", "", "http://httpd.local:8500"),
        ("unix:///run/consul.sock", "", "unix:///run/consul.sock"),
    ])
    func `An address is host and port, or a socket`(
        _ address: String, _ scheme: String, _ server: String
    ) throws {
        let text = "{\"address\":\"\(address)\",\"scheme\":\"\(scheme)\"}"
        #expect(try read(text).server.description == server)
    }

    @Test(arguments: [
        ("http://a", "", "http://a:80"), ("https://a", "", "https://a:443"),
        ("a:8500", "true", "https://a:8500"), ("http://a:8500/x/", "1", "https://a:8500/x"),
        ("", "t", "https://127.0.0.1:8500"),
    ])
    func `The variables may have scheme and path`(
        _ address: String, _ tls: String, _ server: String
    ) throws {
        let variables = ["CONSUL_HTTP_ADDR": address, "CONSUL_HTTP_SSL": tls]
        #expect(try read("", variables).server.description == server)
    }

    @Test(arguments: [
        ("{\"addres\":\"x\"}", "\"addres\"; known are address, scheme, datacenter, basic_auth"),
        ("{\"address\":\"http://c:8500\"}", "what \"scheme\" is for"),
        ("{\"address\":\"https://c\"}", "what \"scheme\" is for"),
        ("{\"address\":\"ftp://c\"}", "\"address\" must be HOST:PORT or unix:///PATH"),
        ("{\"address\":\"c:x\"}", "\"address\" must be"), ("{\"address\":8500}", "a string"),
        ("{\"scheme\":\"HTTP/2\"}", "\"scheme\" must be \"http\" or \"https\""),
        ("{\"basic_auth\":\"u:p\"}", "\"basic_auth\" must be an object"),
        ("{\"basic_auth\":{\"user\":\"u\"}}", "\"basic_auth.user\"; known are username, password"),
        ("{\"basic_auth\":{\"username\":\"u:v\"}}", "\"basic_auth.username\" must be without"),
        ("{\"token\":\"a b\"}", "the token for Consul has blanks"),
        ("{\"token_file\":\"/nowhere\"}", "/nowhere: No such file or directory"),
        ("{\"token_file\":\"/dev\"}", "/dev: not a regular file"),
        ("{\"tls_config\":{\"ca\":1}}", "\"tls_config.ca\"; known are address, ca_file, ca_path"),
        ("{\"tls_config\":{\"ca_file\":\"/nowhere\"}}", "tls_config.ca_file: /nowhere: No such"),
        ("{\"tls_config\":{\"ca_path\":\"/nowhere\"}}", "tls_config.ca_path: /nowhere: No such"),
        ("{\"tls_config\":{\"ca_path\":\"/proc/tty\"}}", "has no file with a certificate"),
        (
            "{\"tls_config\":{\"ca_pem\":\"-----BEGIN\"}}",
            "\"tls_config.ca_pem\" must be the base64"
        ),
        ("{\"tls_config\":{\"ca_pem\":\"eHl6\"}}", "\"tls_config.ca_pem\" must be the base64"),
        ("{\"tls_config\":{\"cert_file\":\"/dev/null\"}}", "only one of a client's certificate"),
        ("{\"tls_config\":{\"key_pem\":\"eHl6\"}}", "only one of a client's certificate"),
        ("{\"tls_config\":{\"insecure_skip_verify\":\"yes\"}}", "must be true or false"),
    ])
    func `What is wrong is named`(_ text: String, _ says: String) throws {
        let message = try message(text)
        #expect(message.contains(says), "\(message)")
    }

    @Test func `Wrong variables are named, and secrets in them are not shown`() throws {
        #expect(try message("", ["CONSUL_HTTP_SSL": "maybe"]).contains("CONSUL_HTTP_SSL must be"))
        let address = try message("", ["CONSUL_HTTP_ADDR": "https://me:s3cret@c:8500"])
        #expect(address.contains("CONSUL_HTTP_ADDR must be") && !address.contains("s3cret"))
        #expect(!(try message("", ["CONSUL_HTTP_TOKEN": "s3\ncret"])).contains("cret"))
    }

    @Test func `Of files, texts and variables the nearest counts`() throws {
        let authority = try CertificateAuthority()
        let folder = try TemporaryFolder()
        let (token, empty) = (folder.path("token"), folder.path("empty"))
        try "from-file\n".write(toFile: token, atomically: false, encoding: .utf8)
        try "\n".write(toFile: empty, atomically: false, encoding: .utf8)
        let variables = [
            "CONSUL_HTTP_TOKEN": "env", "CONSUL_HTTP_TOKEN_FILE": token,
            "CONSUL_CACERT": authority.certificate,
            "CONSUL_CLIENT_CERT": authority.client.certificate,
            "CONSUL_CLIENT_KEY": authority.client.key,
        ]
        #expect(try read("", variables).token.token == "from-file")
        #expect(try read("{\"token\":\"mine\"}", variables).token.token == "mine")
        let both = "{\"token\":\"mine\",\"token_file\":\"\(token)\"}"
        #expect(try read(both, variables).token.token == "from-file")
        #expect(try read("{\"token_file\":\"\(empty)\"}", variables).token.token == "env")

        let tls = try read("", variables).tls
        #expect(tls.authorities == .certificates(.file(authority.certificate)))
        #expect(tls.identity?.certificate == .file(authority.client.certificate))
        let text = try Data(contentsOf: URL(filePath: authority.server.certificate))
        let inline = try read(
            "{\"tls_config\":{\"ca_pem\":\"\(text.base64EncodedString())\"}}", variables
        ).tls
        #expect(inline.authorities == .certificates(.text([UInt8](text))))
        #expect(inline.identity?.key == .file(authority.client.key))
    }

    @Test func `The schema is a JSON document that has every member`() throws {
        let schema = try JSONValue(parsing: ConsulConfiguration.schema)
        let message = try message("{\"?\":1}")
        let known = try #require(message.split(separator: "known are ").last)
        #expect(
            schema["properties"]?.members?.map(\.name).sorted()
                == known.split(separator: ", ").map(String.init).sorted())
    }
}
