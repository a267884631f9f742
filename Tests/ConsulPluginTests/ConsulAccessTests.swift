import ConsulPlugin
import Foundation
import JSON
import PluginABI
import PluginSupport
import ServerTesting
import Testing

/// Tokens, passwords, certificates and places.
@Suite struct ConsulAccessTests {
    private static let secret = "5ecre7-t0ken"

    /// The token `secret` may write below "rqlite/", but for one key; `other` may only read.
    private static func rules(_ secret: String) -> JSONValue {
        [
            "default_policy": "deny",
            "tokens": .object([
                .init(
                    secret,
                    [
                        "accessor": "of-the-nodes",
                        "rules": [
                            ["key_prefix": "rqlite/", "policy": "write"],
                            ["key": "rqlite/hidden", "policy": "deny"],
                        ],
                    ]),
                .init(
                    "other",
                    ["accessor": "reader", "rules": [["key_prefix": "", "policy": "read"]]]),
            ]),
        ]
    }

    @Test func `A token opens its keys, and its absence closes them`() throws {
        let consul = try Consul()
        try consul.double.control("acl", Self.rules(Self.secret))
        let registry = try consul.registry(["token": .string(Self.secret)])
        let revision = try registry.write("leader", "1")
        try registry.write("leader", "2", at: revision)
        #expect(try registry.list(prefix: "", call()).count == 1)
        for (members, says) in [
            ([:], "anonymous token lacks permission"), (["token": "wrong"], "ACL not found"),
            (["token": "other"], "AccessorID 'reader' lacks permission 'key:write'"),
        ] as [([String: JSONValue], String)] {
            let registry = try consul.registry(members)
            let error = #expect(throws: CallFailure.self) { try registry.write("nodes/1", "x") }
            #expect(error?.code == RQD_AUTH)
            #expect(error?.message.contains(says) == true, "\(String(describing: error))")
            #expect(error?.message.contains("wrong") == false)
        }
        #expect(try registry.list(prefix: "nodes/", call()) == [])
        try consul.expectNoViolations()
    }

    @Test func `A list that leaves out what may not be read is an error`() throws {
        let consul = try Consul()
        let registry = try consul.registry(["token": .string(Self.secret)])
        try registry.write("hidden", "1")
        try registry.write("leader", "1")
        try consul.double.control("acl", Self.rules(Self.secret))
        #expect(registry.code { _ = try $0.list(prefix: "", call()) } == RQD_AUTH)
        #expect(registry.code { _ = try $0.read("hidden", call()) } == RQD_AUTH)
        #expect(registry.code { try $0.write("hidden", "2") } == RQD_AUTH)
        #expect(registry.code { try $0.erase("hidden", expected: [0x37], call()) } == RQD_AUTH)
        #expect(try registry.list(prefix: "lea", call()).count == 1)
    }

    @Test func `A token in a file is read again when it is refused`() throws {
        let folder = try TemporaryFolder()
        let file = folder.path("token")
        try " \(Self.secret)\n".write(toFile: file, atomically: true, encoding: .utf8)
        let consul = try Consul()
        try consul.double.control("acl", Self.rules(Self.secret))
        let registry = try consul.registry(["token_file": .string(file), "token": "beaten"])
        let revision = try registry.write("leader", "1")

        try consul.double.control("acl", Self.rules("renewed"))
        #expect(registry.code { _ = try $0.read("leader", call()) } == RQD_AUTH)
        try "renewed".write(toFile: file, atomically: true, encoding: .utf8)
        let second = try registry.write("leader", "2", at: revision)
        #expect(try registry.text("leader") == "2")

        try consul.double.control("acl", Self.rules("again"))
        try FileManager.default.removeItem(atPath: file)
        let error = #expect(throws: CallFailure.self) {
            try registry.write("leader", "3", at: second)
        }
        #expect(error?.code == RQD_AUTH)
        #expect(error?.message.contains("\(file): No such file") == true)
        #expect(error?.message.contains("Permission denied") == false)
        try "again".write(toFile: file, atomically: true, encoding: .utf8)
        try registry.write("leader", "4", at: second)
        try consul.expectNoViolations()
    }

    @Test func `A password for a proxy goes along with the token`() throws {
        let consul = try Consul(["--basic-auth", "me:p4ss:w0rd"])
        try consul.double.control("acl", Self.rules(Self.secret))
        let open = try consul.registry([
            "token": .string(Self.secret),
            "basic_auth": ["username": "me", "password": "p4ss:w0rd"],
        ])
        try open.write("leader", "1")
        let byVariable = try consul.registry(
            environment: [
                "CONSUL_HTTP_AUTH": "me:p4ss:w0rd", "CONSUL_HTTP_TOKEN": Self.secret,
            ])
        #expect(try byVariable.text("leader") == "1")
        let closed = try consul.registry(["basic_auth": ["username": "me", "password": "n0"]])
        let error = #expect(throws: CallFailure.self) { try closed.read("leader", call()) }
        #expect(error?.code == RQD_AUTH)
        #expect(error?.message.contains("status 401") == true)
    }

    @Test func `Secrets that a server sends back are not shown`() throws {
        let consul = try Consul()
        let registry = try consul.registry([
            "token": .string(Self.secret), "basic_auth": ["username": "me", "password": "p4ss"],
        ])
        try consul.double.control(
            "answer", ["status": 403, "body": .string("no \(Self.secret) p4ss bWU6cDRzcw==")],
            times: 2)
        for body in [{ _ = try $0.read("leader", call()) }, { try $0.write("leader", "x") }]
            as [(ConsulRegistry) throws -> Void]
        {
            let error = #expect(throws: CallFailure.self) { try body(registry) }
            #expect(error?.message.hasSuffix("status 403: no *** *** ***") == true)
        }
        let status = registry.describe().text()
        #expect(status.contains("\"token\":true"))
        #expect(!status.contains(Self.secret) && !status.contains("p4ss"))
    }

    @Test func `TLS, with a client's certificate where Consul asks for one`() throws {
        let authority = try CertificateAuthority()
        let folder = try TemporaryFolder()
        try FileManager.default.copyItem(
            atPath: authority.certificate, toPath: folder.path("any-name"))
        let (certificate, key) = (authority.client.certificate, authority.client.key)
        let ca: [[String: JSONValue]] = [
            ["ca_file": .string(authority.certificate)],
            ["ca_pem": try Self.base64(authority.certificate)],
            ["ca_path": .string(folder.path)], ["insecure_skip_verify": true],
        ]
        let identities: [[String: JSONValue]] = [
            ["cert_file": .string(certificate), "key_file": .string(key)],
            ["cert_pem": try Self.base64(certificate), "key_pem": try Self.base64(key)],
        ]
        let consul = try Consul(authority: authority, asksForCertificate: true)
        let registry = { (tls: [String: JSONValue]) in
            try consul.registry([
                "address": .string(consul.double.secureAddress), "scheme": "https",
                "tls_config": .object(tls.map { .init($0.key, $0.value) }),
            ])
        }
        for (number, tls) in ca.enumerated() {
            let identity = identities[number % 2]
            try registry(tls.merging(identity) { $1 }).write("node-\(number)", "x")
            // Without a certificate of its own the client gets no further.
            let code = try registry(tls).code { _ = try $0.read("leader", call()) }
            #expect(code == RQD_UNAVAILABLE || code == RQD_AUTH)
        }
        let distrusting = try registry(identities[0])
        #expect(distrusting.code { _ = try $0.read("leader", call()) } == RQD_PROTOCOL)
        let trusting = try registry(ca[0].merging(identities[0]) { $1 })
        #expect(try trusting.list(prefix: "", call()).count == 4)
    }

    private static func base64(_ file: String) throws -> JSONValue {
        .string(try Data(contentsOf: URL(filePath: file)).base64EncodedString())
    }

    @Test func `The server's name is checked, and may be given`() throws {
        let authority = try CertificateAuthority()
        let consul = try Consul(authority: authority)
        // The certificate names db.test and 127.0.0.1.
        let registry = { (name: String) in
            try consul.registry(
                [
                    "address": .string(consul.double.secureAddress), "scheme": "https",
                    "tls_config": ["address": .string(name)],
                ], environment: ["CONSUL_CACERT": authority.certificate])
        }
        try registry("db.test:8501").write("leader", "1")
        #expect(try registry("").text("leader") == "1")
        #expect(try registry("other").code { _ = try $0.read("leader", call()) } == RQD_PROTOCOL)
    }

    @Test func `Datacenters are apart, and an unknown one is an error`() throws {
        let consul = try Consul(["--datacenter", "east", "--datacenter", "west"])
        try consul.registry(["datacenter": "west"]).write("leader", "in the west")
        #expect(try consul.registry().text("leader") == nil)
        #expect(try consul.registry(["datacenter": "west"]).text("leader") == "in the west")
        let nowhere = try consul.registry(["datacenter": "north & south"])
        let error = #expect(throws: CallFailure.self) { try nowhere.read("leader", call()) }
        #expect(
            error?.message.contains("?consistent=&dc=north%20%26%20south: status 500: No path")
                == true)
        try consul.expectNoViolations()
    }

    @Test func `Namespaces and partitions are apart, in Enterprise`() throws {
        let consul = try Consul([
            "--namespace", "a", "--namespace", "b", "--partition", "p",
        ])
        let place: [String: JSONValue] = ["namespace": "a", "partition": "p"]
        let registry = try consul.registry(place)
        let revision = try registry.write("leader", "in a")
        #expect(try registry.list(prefix: "", call()).count == 1)
        let byVariables = try consul.registry(
            environment: ["CONSUL_NAMESPACE": "a", "CONSUL_PARTITION": "p"])
        #expect(try byVariables.text("leader") == "in a")
        for elsewhere in [["namespace": "b", "partition": "p"], ["namespace": "a"], [:]]
            as [[String: JSONValue]]
        {
            #expect(try consul.registry(elsewhere).text("leader") == nil)
        }
        try registry.erase("leader", expected: revision, call())
        try consul.expectNoViolations()
    }

    @Test func `Without Enterprise Consul's own words come out`() throws {
        let consul = try Consul()
        let registry = try consul.registry(["namespace": "a"])
        let error = #expect(throws: CallFailure.self) { try registry.write("leader", "x") }
        #expect(error?.message.contains("Namespaces are a Consul Enterprise feature") == true)
    }

    @Test func `A socket in the file system is an address, too`() throws {
        let folder = try TemporaryFolder()
        let socket = folder.path("consul.sock")
        let consul = try Consul(["--unix", socket])
        try consul.registry(["address": .string("unix://\(socket)")]).write("leader", "1")
        let byVariable = try consul.registry(
            ["address": ""], environment: ["CONSUL_HTTP_ADDR": "unix://\(socket)"])
        #expect(try byVariable.text("leader") == "1")
        #expect(byVariable.describe()["address"]?.string == "unix://\(socket)")
    }
}
