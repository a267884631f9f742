import Foundation
import HarnessBackends
import JSON
import KubernetesPlugin
import PluginABI
import PluginSupport
import ServerTesting
import Testing

/// Lists of the mode `kubernetes`: what counts, what is refused, and what Kubernetes replaces.
@Suite struct KubernetesResolverTests {
    private let subject: KubernetesSubject

    init() throws { subject = try KubernetesSubject() }

    @Test func `Endpoints of the service count, ready or not, but those that serve no more`() throws
    {
        try subject.tell(
            "slice", "a", "rqlite", "http=4001,raft=4002", "10.0.0.1", "10.0.0.2!notready",
            "10.0.0.3!terminating", "10.0.0.4!terminating!serving")
        try subject.tell("slice", "b", "rqlite", "raft=5002,http=5001", "2001:db8::1")
        try subject.tell("slice", "c", "rqlite", "-")
        try subject.tell("slice", "d", "other", "raft=1", "10.0.0.9")
        try subject.tell("slice", "elsewhere/a", "rqlite", "raft=1", "10.0.0.8")
        #expect(
            try subject.resolver(["service": "rqlite", "port_name": "raft"]).found() == [
                "10.0.0.1 4002", "10.0.0.2 4002", "10.0.0.4 4002", "2001:db8::1 5002",
            ])
        #expect(
            try subject.resolver(["service": "rqlite", "port": 7]).found() == [
                "10.0.0.1 7", "10.0.0.2 7", "10.0.0.4 7", "2001:db8::1 7",
            ])
        #expect(try subject.resolver(["service": "other"]).found() == ["10.0.0.9 0"])
        #expect(
            try subject.resolver(["service": "rqlite", "namespace": "elsewhere"]).found() == [
                "10.0.0.8 0"
            ])
        #expect(
            try subject.resolver(["selector": "kubernetes.io/service-name in (other,third)"])
                .found() == ["10.0.0.9 0"])
        #expect(try subject.resolver(["service": "nobody"]).found().isEmpty)
    }

    @Test func `A port that no slice has is told, with those that there are`() throws {
        try subject.tell("slice", "a", "rqlite", "http=4001,other=1", "10.0.0.1")
        let resolver = try subject.resolver(["service": "rqlite", "port_name": "raft"])
        let failure = resolver.failure()
        #expect(failure?.code == RQD_PROTOCOL)
        #expect(
            failure?.message.hasSuffix("has a port named \"raft\"; there are http, other") == true,
            "\(failure?.message ?? "")")
        // One that has it is enough.
        try subject.tell("slice", "b", "rqlite", "raft=4002", "10.0.0.2")
        #expect(try resolver.found() == ["10.0.0.2 4002"])
    }

    @Test func `More endpoints than an answer may have addresses are not kept`() throws {
        for slice in 1...12 {
            _ = try subject.server.command(
                ["slice", "s\(slice)", "rqlite", "-"] + (1...100).map { "10.0.\(slice).\($0)" })
        }
        #expect(try subject.resolver().found().count == Int(RQD_MAX_ADDRESSES) + 1)
    }

    @Test func `A list of many slices comes in pages, and anew when its state is gone`() throws {
        for number in 1...50 {
            try subject.tell(
                "slice", "s\(100 + number)", "rqlite", "raft=4002", "10.0.0.\(number)")
        }
        let expected = (1...50).map { "10.0.0.\($0) 4002" }
        let resolver = try subject.resolver(["service": "rqlite", "port_name": "raft"])
        #expect(try resolver.found() == expected)
        #expect(subject.server.requestCount == 3)
    }

    @Test func `A token that was replaced is read again, and one that is not accepted is told`()
        throws
    {
        try subject.tell("slice", "a", "rqlite", "-", "10.0.0.1")
        let resolver = try subject.resolver()
        #expect(try resolver.found() == ["10.0.0.1 0"])
        try subject.tell("token", "second-token")
        var failure = resolver.failure()
        #expect(failure?.code == RQD_AUTH)
        #expect(failure?.message.contains("status 401, the token is not accepted") == true)
        #expect(failure?.message.contains("first-token") == false)
        #expect(resolver.describe()["last_error"]?.string == failure?.message)
        try subject.write("second-token\n", to: "token")
        #expect(try resolver.found() == ["10.0.0.1 0"])
        #expect(resolver.describe()["last_error"] == nil)
        try FileManager.default.removeItem(atPath: "\(subject.account)/token")
        failure = resolver.failure()
        #expect(failure?.code == RQD_AUTH)
        #expect(failure?.message.contains("\(subject.account)/token: No such file") == true)
    }

    @Test func `A role that is missing is named`() throws {
        try subject.tell("forbid", "list")
        let resolver = try subject.resolver()
        let failure = resolver.failure()
        #expect(failure?.code == RQD_AUTH)
        #expect(
            failure?.message.contains(
                "status 403, the service account needs a role with get, list and watch on "
                    + "endpointslices of discovery.k8s.io") == true)
        try subject.tell("allow", "list")
        #expect(try resolver.found().isEmpty)
    }

    @Test(arguments: [
        #"{"kind":"Status","code":200}"#, "[]", "<html>", "",
        #"{"kind":"EndpointSliceList","items":[]}"#,
        #"{"kind":"EndpointSliceList","metadata":{"resourceVersion":"1"},"items":[7]}"#,
        #"{"kind":"EndpointSliceList","metadata":{"resourceVersion":"1"},"items":[{"addressType":"IPv4","endpoints":[{}]}]}"#,
    ])
    func `What is no list of slices is refused`(text: String) throws {
        let server = try FakeHTTPServer { _, _ in HTTPResponse(200, json: text) }
        defer { server.goDown() }
        let resolver = try subject.resolver([
            "service": "rqlite", "server": .string(server.url),
        ])
        #expect(resolver.failure()?.code == RQD_PROTOCOL)
    }

    @Test func `A list without an end is given up`() throws {
        let server = try FakeHTTPServer { _, _ in
            HTTPResponse(
                200,
                json:
                    #"{"kind":"EndpointSliceList","metadata":{"resourceVersion":"1","continue":"x"}}"#
            )
        }
        defer { server.goDown() }
        let resolver = try subject.resolver([
            "service": "rqlite", "server": .string(server.url),
        ])
        let failure = resolver.failure()
        #expect(failure?.code == RQD_PROTOCOL)
        #expect(failure?.message.contains("more than 2000 EndpointSlices") == true)
        #expect(server.requestCount == 100)
    }

    @Test func `In a pod server, namespace, token and authority are found, also after a rotation`()
        throws
    {
        let (first, second) = try (CertificateAuthority(), CertificateAuthority())
        let pair = CertificateAuthority.Pair(
            certificate: "\(subject.account)/tls.pem", key: "\(subject.account)/tls.key")
        func show(_ authority: CertificateAuthority) throws {
            try subject.write(
                String(contentsOfFile: authority.server.certificate, encoding: .utf8),
                to: "tls.pem")
            try subject.write(
                String(contentsOfFile: authority.server.key, encoding: .utf8), to: "tls.key")
        }
        func trust(_ authority: CertificateAuthority) throws {
            try subject.write(
                String(contentsOfFile: authority.certificate, encoding: .utf8), to: "ca.crt")
        }
        try show(first)
        try trust(first)
        try subject.tell("slice", "a", "rqlite", "-", "10.0.0.1")
        let front = try TLSFront(pair, target: Int(subject.server.port))
        let resolver = try subject.resolver(
            ["service": "rqlite", "server": ""],
            environment: [
                "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                "KUBERNETES_SERVICE_PORT": "\(front.port)",
            ])
        #expect(try resolver.found() == ["10.0.0.1 0"])
        try show(second)
        try subject.tell("hang-up")
        // Connections that are open go on; new ones are met by the other authority.
        subject.server.goDown()
        try subject.server.comeUp()
        var failure = resolver.failure()
        if failure?.code != RQD_PROTOCOL { failure = resolver.failure() }
        #expect(failure?.code == RQD_PROTOCOL)
        try trust(second)
        #expect(try resolver.found() == ["10.0.0.1 0"])
    }

    @Test func `Without a namespace anywhere the start says so`() throws {
        try FileManager.default.removeItem(atPath: "\(subject.account)/namespace")
        let failure = #expect(throws: CallFailure.self) { try subject.resolver() }
        #expect(failure?.code == RQD_CONFIG)
        #expect(
            failure?.message.contains("given where there is no service account: ") == true)
        #expect(try subject.resolver(["service": "a", "namespace": "b"]).found().isEmpty)
    }
}
