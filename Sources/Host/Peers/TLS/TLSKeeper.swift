import Glibc
package import NIOCore
import NIOSSL
import Synchronization
import Telemetry

/// Keeps what TLS needs, as the files last were when they could be used. Handlers of new connections
/// take what is newest; connections that there are go on. Thread-safe.
package final class TLSKeeper: Sendable {
    private enum Source: Sendable {
        case files(TLSFiles, TLSPolicy)
        case secret(path: String, protocols: [String])
    }

    private struct Kept: Sendable {
        var server: NIOSSLContext?
        var client: NIOSSLContext
        var facts: [CertificateFacts]
    }

    private let source: Source
    private let kept: Mutex<Kept>

    /// - Throws: `TLSFailure`.
    package init(_ files: TLSFiles, _ policy: TLSPolicy) throws {
        source = .files(files, policy)
        kept = Mutex(try Self.read(source))
    }

    /// By a secret in place of certificates, see `ClusterSecret`.
    /// - Throws: `TLSFailure`.
    package init(secretFile path: String, protocols: [String]) throws {
        source = .secret(path: path, protocols: protocols)
        kept = Mutex(try Self.read(source))
    }

    private static func read(_ source: Source) throws(TLSFailure) -> Kept {
        let material: TLSMaterial
        switch source {
        case .files(let files, let policy):
            material = try TLSMaterial(files, policy, at: .now())
        case .secret(let path, let protocols):
            material = try TLSMaterial(
                ClusterSecret.parse(try text(path), path: path), protocols: protocols)
        }
        return Kept(server: material.server, client: material.client, facts: material.facts)
    }

    private static func text(_ path: String) throws(TLSFailure) -> String {
        guard let file = fopen(path, "re") else {
            let text = String(cString: strerror(errno))
            throw TLSFailure("open \(path): \(text.prefix(1).lowercased())\(text.dropFirst())")
        }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        guard count < bytes.count else { throw TLSFailure("\(path): larger than 4096 bytes") }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// All of the files, or nothing: then what was read before stays.
    /// - Throws: `TLSFailure`.
    package func reload() throws {
        let new = try Self.read(source)
        kept.withLock { $0 = new }
    }

    /// The files that it is made of.
    package var paths: [String] {
        switch source {
        case .files(let files, _): files.paths
        case .secret(let path, _): [path]
        }
    }

    /// Of the certificates that count now; none with a secret.
    package var facts: [CertificateFacts] { kept.withLock { $0.facts } }

    /// For a connection that was accepted, on its event loop; in their order.
    /// - Throws: `TLSFailure` without a certificate to show.
    package func acceptingHandlers() throws -> [any ChannelHandler] {
        guard let context = kept.withLock({ $0.server }) else {
            throw TLSFailure("there is no certificate to show")
        }
        let handler = NIOSSLServerHandler(context: context)
        guard case .files(_, let policy) = source, let name = policy.clientCommonName else {
            return [handler]
        }
        return [handler, PeerCheck(.commonName(name))]
    }

    /// For a connection to a host, on its event loop; in their order.
    /// - Parameter host: a name or an address, without a port.
    package func dialingHandlers(host: String) throws -> [any ChannelHandler] {
        let context = kept.withLock { $0.client }
        guard case .files(_, let policy) = source else {
            return [try NIOSSLClientHandler(context: context, serverHostname: nil)]
        }
        let name = policy.serverName ?? host
        // Addresses are no names to be asked for (RFC 6066 §3).
        let handler = try NIOSSLClientHandler(
            context: context, serverHostname: Self.isAddress(name) ? nil : name)
        return policy.verifiesServers ? [handler, PeerCheck(.host(name))] : [handler]
    }

    /// Why the other end must not speak as a node, by the certificate that it has shown; nil: it may.
    /// On the channel's event loop, once hands are shaken.
    package func objection(to node: String, on channel: any Channel) -> String? {
        guard case .files(_, let policy) = source,
            let facts = CertificateFacts(ofPeerOn: channel)
        else { return nil }
        if facts.isFor(node: node) { return nil }
        if facts.nodes.isEmpty {
            return policy.verifiesNodes
                ? "its certificate names no node, and -node-verify-id asks for that" : nil
        }
        let names = facts.nodes.map { "\"\($0)\"" }.joined(separator: ", ")
        return "its certificate is for node \(names), and not for node \"\(node)\""
    }

    private static func isAddress(_ host: String) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 16)
        return inet_pton(AF_INET, host, &bytes) == 1 || inet_pton(AF_INET6, host, &bytes) == 1
    }
}
