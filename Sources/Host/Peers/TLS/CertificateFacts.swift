import Glibc
import NIOSSL
package import Telemetry

/// What operators must know of a certificate.
package struct CertificateFacts: Equatable, Sendable {
    /// The file it is in.
    package let path: String
    package let begins: WallTime
    package let ends: WallTime
    /// Its Subject Alternative Names: DNS names and addresses.
    package let names: [String]
    /// The IDs of the nodes that it is for, see `NodeName`; none: it doesn't say.
    package let nodes: [String]
    /// Of its subject; nil if there is none.
    package let commonName: String?

    init(_ certificate: NIOSSLCertificate, path: String) {
        self.path = path
        begins = WallTime(seconds: Int64(certificate.notValidBefore))
        ends = WallTime(seconds: Int64(certificate.notValidAfter))
        commonName = (try? certificate.toDERBytes()).flatMap(SubjectName.commonName)
        var names: [String] = []
        var nodes: [String] = []
        for name in certificate._subjectAlternativeNames() {
            let bytes = Array(name.contents)
            switch name.nameType {
            case .dnsName: names.append(String(decoding: bytes, as: UTF8.self))
            case .ipAddress: names.append(Self.address(bytes))
            case .uri:
                let uri = String(decoding: bytes, as: UTF8.self)
                if let id = NodeName.id(inURI: uri) { nodes.append(id) }
            default: break
            }
        }
        self.names = names
        self.nodes = nodes
    }

    private static func address(_ bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        guard bytes.count == 4 || bytes.count == 16,
            inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil
        else { return "an address of \(bytes.count) bytes" }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    }

    /// As the certificates' are written here; nil: it is a name.
    private static func canonicalAddress(_ host: String) -> String? {
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            if inet_pton(family, host, &bytes) == 1 { return address(bytes) }
        }
        return nil
    }

    /// Whether it is for the host, a name or an address, as those check who dial it (RFC 6125 §6.4).
    package func isValid(for host: String) -> Bool {
        if let address = Self.canonicalAddress(host) { return names.contains(address) }
        var host = host.lowercased()
        // The root's dot, which no certificate has.
        if host.hasSuffix(".") { host.removeLast() }
        return names.contains { name in
            let name = name.lowercased()
            if name == host { return true }
            guard name.hasPrefix("*."), let dot = host.firstIndex(of: ".") else { return false }
            return host[dot...] == name.dropFirst()
        }
    }

    /// Whether it names the node, by the bytes of its ID.
    package func isFor(node id: String) -> Bool {
        nodes.contains { $0.utf8.elementsEqual(id.utf8) }
    }

    /// Whole days until it ends, below 0 when it has.
    package func daysLeft(at now: WallTime) -> Int64 {
        let seconds = ends.seconds - now.seconds
        return seconds >= 0 ? seconds / 86_400 : -1
    }

    /// From when on its end is a warning.
    package static let warningDays: Int64 = 30
}
