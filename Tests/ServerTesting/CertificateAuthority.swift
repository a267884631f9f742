import Foundation

/// Certificates for one test, made by openssl in a temporary folder: an authority, a server at
/// 127.0.0.1 that is called `db.test`, and a client.
package final class CertificateAuthority: Sendable {
    /// Paths of PEM files.
    package struct Pair: Sendable {
        package let certificate: String
        package let key: String

        package init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    package let certificate: String
    package let server: Pair
    package let client: Pair
    private let folder: String

    package init() throws {
        folder =
            FileManager.default.temporaryDirectory
            .appending(path: "rqd-ca-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        certificate = "\(folder)/ca.pem"
        server = Pair(certificate: "\(folder)/server.pem", key: "\(folder)/server.key")
        client = Pair(certificate: "\(folder)/client.pem", key: "\(folder)/client.key")
        try Program.run(
            Self.request(key: "\(folder)/ca.key", name: "Test authority") + [
                "-x509", "-days", "2", "-out", certificate,
            ])
        // etcd's gateway comes to etcd as a client, with the server's certificate.
        try sign(
            server, name: "db.test",
            "subjectAltName=DNS:db.test,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        // With users, the gateway refuses clients whose certificate has a common name.
        try sign(client, name: nil, "extendedKeyUsage=clientAuth\n")
    }

    /// Another server's pair of this authority.
    /// - Parameters:
    ///   - names: as in `subjectAltName`: `DNS:a,IP:127.0.0.1`.
    ///   - days: how long it is valid; 0 is over at once.
    ///   - commonName: of its subject; nil: the file's name.
    package func pair(
        _ file: String, names: String, days: Int = 2, commonName: String? = nil
    ) throws -> Pair {
        let pair = Pair(certificate: "\(folder)/\(file).pem", key: "\(folder)/\(file).key")
        try sign(
            pair, name: commonName ?? file,
            "subjectAltName=\(names)\nextendedKeyUsage=serverAuth,clientAuth\n", days: days)
        return pair
    }

    /// Puts the files of another authority in the place of these, each in one step.
    package func become(_ other: CertificateAuthority) throws {
        for (from, to) in [
            (other.certificate, certificate), (other.server.key, server.key),
            (other.server.certificate, server.certificate), (other.client.key, client.key),
            (other.client.certificate, client.certificate),
        ] {
            try Data(contentsOf: URL(filePath: from)).write(to: URL(filePath: to), options: .atomic)
        }
    }

    deinit {
        // What can't be removed is the temporary folder's.
        try? FileManager.default.removeItem(atPath: folder)
    }

    private func sign(_ pair: Pair, name: String?, _ extensions: String, days: Int = 2) throws {
        let request = "\(pair.certificate).csr"
        let file = "\(pair.certificate).ext"
        try extensions.write(toFile: file, atomically: false, encoding: .utf8)
        try Program.run(Self.request(key: pair.key, name: name) + ["-out", request])
        try Program.run([
            "openssl", "x509", "-req", "-in", request, "-CA", certificate, "-CAkey",
            "\(folder)/ca.key", "-CAcreateserial", "-days", "\(days)", "-extfile", file, "-out",
            pair.certificate,
        ])
    }

    /// - Parameter name: the common name.
    private static func request(key: String, name: String?) -> [String] {
        [
            "openssl", "req", "-utf8", "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", key, "-subj", name.map { "/CN=\($0)" } ?? "/O=client",
        ]
    }
}
