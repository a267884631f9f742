import Foundation

/// A certificate authority for one test, by openssl, in a directory of its own:
///
///     ca.pem                      the authority's certificate
///     cert.pem, key.pem           a server's, for the name `localhost` and 127.0.0.1
///     client.pem, client-key.pem  a client's, called `client`
package final class TestAuthority: Sendable {
    struct Failure: Error {
        let what: String
    }

    package let directory: String

    package init() throws {
        directory =
            FileManager.default.temporaryDirectory
            .appending(path: "rqd-authority-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
        try openssl(
            ["req", "-x509", "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=authority"]
                + Self.newKey + ["-days", "2"])
        try sign("localhost", "DNS:localhost,IP:127.0.0.1", "cert.pem", "key.pem")
        try sign("client", "DNS:client", "client.pem", "client-key.pem")
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            // What can't be removed is the temporary folder's.
        }
    }

    package func path(_ file: String) -> String { "\(directory)/\(file)" }

    private static let newKey = [
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
    ]

    private func sign(
        _ name: String, _ names: String, _ certificate: String, _ key: String
    ) throws {
        try openssl(
            ["req", "-keyout", key, "-out", "request.pem", "-subj", "/CN=\(name)"] + Self.newKey)
        try "subjectAltName=\(names)".write(
            toFile: path("names"), atomically: false, encoding: .utf8)
        try openssl([
            "x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
            "-CAcreateserial", "-out", certificate, "-extfile", "names", "-days", "2",
        ])
    }

    private func openssl(_ arguments: [String]) throws {
        let process = Process()
        let errors = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        process.currentDirectoryURL = URL(filePath: directory)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        try process.run()
        let output = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(what: String(decoding: output, as: UTF8.self))
        }
    }
}
