import Foundation
import PluginABI
import PluginSupport
import ServerTesting
import Testing

@testable import EtcdPlugin

/// The `etcd-kv` mode against real etcds that want a certificate, a password, or both.
@Suite(.enabled(if: EtcdServer.hindrance == nil, "\(EtcdServer.hindrance ?? "")"))
struct EtcdAccessTests {
    private static let password = "pa$$ \"word\""

    private static let credentials = #","username":"rqlite","password":"pa$$$$ \"word\"""#

    /// What the subject is told of certificates, in the ways that there are.
    private func tls(
        _ authority: CertificateAuthority, _ form: String
    ) throws -> String {
        func base64(_ path: String) throws -> String {
            try Data(contentsOf: URL(filePath: path)).base64EncodedString()
        }
        func quoted(_ path: String) throws -> String {
            try String(contentsOfFile: path, encoding: .utf8)
                .replacingOccurrences(of: "\n", with: "\\n")
        }
        let client = authority.client
        switch form {
        case "files":
            return """
                ,"tls":{"ca_file":"\(authority.certificate)","cert_file":"\(client.certificate)",\
                "key_file":"\(client.key)"}
                """
        case "base64":
            return """
                ,"tls":{"ca_pem":"\(try base64(authority.certificate))",\
                "cert_pem":"\(try base64(client.certificate))","key_pem":"\(try base64(client.key))"}
                """
        default:
            return """
                ,"tls":{"ca_pem":"\(try quoted(authority.certificate))",\
                "cert_pem":"\(try quoted(client.certificate))","key_pem":"\(try quoted(client.key))"}
                """
        }
    }

    private func secured() throws -> (CertificateAuthority, EtcdServer) {
        let authority = try CertificateAuthority()
        var options = EtcdServer.Options()
        options.authority = authority
        return (authority, try EtcdServer(options))
    }

    @Test(arguments: ["files", "base64", "text"])
    func `Certificates are taken in every form, with and without a user`(_ form: String) throws {
        let (authority, server) = try secured()
        let tls = try tls(authority, form)
        let revision = try EtcdSubject(server, more: tls).write("one")
        try server.enableAuthentication(password: Self.password)
        let subject = try EtcdSubject(server, more: tls + Self.credentials)
        #expect(try subject.read().record?.revision == revision)
        try subject.write("two", expected: revision)
        let token = try #require(try subject.read().token)
        let failure = subject.failure {
            _ = try $0.registry.wait(for: "leader", token: token, EtcdSubject.call(seconds: 0.3))
        }
        #expect(failure?.code == RQD_TIMEOUT)
    }

    @Test func `A server that can't be verified is not spoken to`() throws {
        let (authority, server) = try secured()
        let stranger = try CertificateAuthority()
        let identity = """
            "cert_file":"\(authority.client.certificate)","key_file":"\(authority.client.key)"
            """
        func outcome(_ members: String) throws -> CallFailure? {
            try EtcdSubject(server, more: ",\"tls\":{\(members),\(identity)}").failure {
                try $0.write("x", seconds: 5)
            }
        }
        let unknown = try outcome("\"ca_file\":\"\(stranger.certificate)\"")
        #expect(unknown?.code == RQD_PROTOCOL)
        #expect(unknown?.message.contains("certificate") == true, "\(unknown as Any)")
        let misnamed = try outcome(
            "\"ca_file\":\"\(authority.certificate)\",\"server_name\":\"other.test\"")
        #expect(misnamed?.code == RQD_PROTOCOL)
        #expect(misnamed?.message.contains("other.test") == true)
        for members in [
            "\"ca_file\":\"\(authority.certificate)\",\"server_name\":\"db.test\"",
            "\"insecure_skip_verify\":true", "\"InsecureSkipVerify\":true",
        ] {
            _ = try EtcdSubject(server, more: ",\"tls\":{\(members),\(identity)}").read()
        }
    }

    @Test func `An authority and certificates that are exchanged count for the next connection`()
        throws
    {
        let (authority, server) = try secured()
        let subject = try EtcdSubject(server, more: try tls(authority, "files"))
        let revision = try subject.write("one")
        server.stop()
        let other = try CertificateAuthority()
        try authority.become(other)
        try server.start()
        try subject.write("two", expected: revision)
    }

    @Test func `A server that wants a certificate refuses who has none`() throws {
        let (authority, server) = try secured()
        let subject = try EtcdSubject(
            server, more: ",\"tls\":{\"ca_file\":\"\(authority.certificate)\"}")
        let failure = subject.failure { _ = try $0.read(seconds: 5) }
        #expect(failure?.code == RQD_UNAVAILABLE)
        #expect(failure?.message.contains("certificate") == true, "\(failure as Any)")
    }

    @Test func `A wrong password is told, and shown nowhere`() throws {
        let server = try EtcdServer()
        try server.enableAuthentication(password: Self.password)
        let subject = try EtcdSubject(
            server, more: #","username":"rqlite","password":"hunter2""#)
        let failure = subject.failure { _ = try $0.read() }
        #expect(failure?.code == RQD_AUTH)
        #expect(failure?.message.contains("authentication failed, invalid user ID") == true)
        #expect(failure?.message.contains("hunter2") == false)
        let nobody = try EtcdSubject(server).failure { _ = try $0.read() }
        #expect(nobody?.code == RQD_AUTH)
        #expect(nobody?.message.contains("user name is empty") == true)
    }

    @Test func `What a user may not do is told`() throws {
        let server = try EtcdServer()
        try server.enableAuthentication(password: Self.password)
        let subject = try EtcdSubject(
            "{\"endpoints\":[\"\(server.url)\"]\(Self.credentials)}", key: "other")
        let failure = subject.failure { try $0.write("x") }
        #expect(failure?.code == RQD_AUTH)
        #expect(failure?.message.contains("writing /other/leader: ") == true)
        #expect(failure?.message.contains("permission denied") == true)
    }

    @Test func `A token that expired is renewed`() throws {
        var options = EtcdServer.Options()
        options.arguments = ["--auth-token-ttl=1"]
        let server = try EtcdServer(options)
        try server.enableAuthentication(password: Self.password)
        let subject = try EtcdSubject(server, more: Self.credentials)
        var revision = try subject.write("0")
        let token = try #require(try subject.read().token)
        // Longer than a token lives unused.
        let wait = subject.failure {
            _ = try $0.registry.wait(for: "leader", token: token, EtcdSubject.call(seconds: 2.5))
        }
        #expect(wait?.code == RQD_TIMEOUT)
        revision = try subject.write("1", expected: revision)
        // All tokens are gone with the process.
        server.stop()
        try server.start()
        try subject.write("2", expected: revision)
        #expect(try subject.read().record?.value == Array("2".utf8))
    }

    @Test func `Authentication may be turned on and off while it runs`() throws {
        let server = try EtcdServer()
        let subject = try EtcdSubject(server, more: Self.credentials)
        var revision = try subject.write("0")
        try server.enableAuthentication(password: Self.password)
        revision = try subject.write("1", expected: revision)
        try server.control(["auth", "disable"], user: "root:\(Self.password)")
        try subject.write("2", expected: revision)
    }
}
