import Foundation
package import JSON
import Synchronization

/// A double of Consul, `Tests/Doubles/consul_double.py`, running for one test.
package final class ConsulDouble: Sendable {
    struct Failure: Error {
        let what: String
    }

    package let httpPort: Int
    /// 0 without an authority.
    package let httpsPort: Int
    private let process: ControlledProcess

    /// - Parameters:
    ///   - authority: it listens for TLS, too, with the certificate of this one's server.
    ///   - asksForCertificate: of clients that come with TLS, by the same authority.
    ///   - arguments: as the script documents them.
    package init(
        authority: CertificateAuthority? = nil, asksForCertificate: Bool = false,
        _ arguments: [String] = []
    ) throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Doubles/consul_double.py")
        // Without files of bytecode among the sources.
        var words = ["python3", "-B", script.path] + arguments
        if let authority {
            words += ["--tls", authority.server.certificate, authority.server.key]
            if asksForCertificate { words += ["--client-authority", authority.certificate] }
        }
        process = try ControlledProcess(words)
        let ports = try JSONValue(parsing: process.line())
        httpPort = Int(ports["http"]?.integer ?? 0)
        httpsPort = Int(ports["https"]?.integer ?? 0)
    }

    package var address: String { "127.0.0.1:\(httpPort)" }
    package var secureAddress: String { "127.0.0.1:\(httpsPort)" }

    /// Tells it something, as the script documents it: the member of a JSON object.
    @discardableResult
    package func control(
        _ name: String, _ value: JSONValue, times: Int? = nil
    ) throws -> JSONValue {
        var members = [JSONValue.Member(name, value)]
        if let times { members.append(.init("times", .integer(times))) }
        let answer = try JSONValue(
            parsing: process.exchange(Array(JSONValue.object(members).text().utf8)))
        if let error = answer["error"]?.string { throw Failure(what: error) }
        return answer
    }

    /// What it was asked that no documented API would be asked; empty, or the client is wrong.
    package func violations() throws -> [String] {
        try control("violations", .null).array?.compactMap(\.string) ?? []
    }

    /// `METHOD TARGET STATUS` of the requests since the last time.
    package func log() throws -> [String] {
        try (control("log", .null).array ?? []).map { request in
            let parts = [request["method"]?.string, request["target"]?.string]
            return (parts.map { $0 ?? "" } + [String(request["status"]?.integer ?? 0)])
                .joined(separator: " ")
        }
    }
}
