import Foundation

/// TLS before a server that speaks plain text, `Tests/Doubles/tls_front.py`, running for one test. It reads
/// its certificate for each connection.
package final class TLSFront: Sendable {
    package let port: Int
    private let process: ServerProcess

    /// - Parameters:
    ///   - target: a port of 127.0.0.1.
    ///   - clients: the file of the authority of which clients must show a certificate; nil: none is asked for.
    package init(
        _ pair: CertificateAuthority.Pair, target: Int, clients authority: String? = nil
    ) throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Doubles/tls_front.py")
        process = try ServerProcess(
            ["python3", "-B", script.path, pair.certificate, pair.key, "\(target)"]
                + (authority.map { [$0] } ?? []),
            ready: "ready")
        let words = process.printed.split(whereSeparator: \.isWhitespace)
        guard words.count >= 2, let port = Int(words[1]) else {
            throw ServerProcess.Failure(description: "no port in \(process.printed)")
        }
        self.port = port
    }
}
