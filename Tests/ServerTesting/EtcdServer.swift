import Foundation
import Synchronization

/// A real etcd of one member, on loopback ports of its own unless it is told otherwise, with its data
/// in a temporary folder.
package final class EtcdServer: Sendable {
    package struct Options: Sendable {
        /// Then it speaks TLS, and wants a certificate of this authority from every client.
        package var authority: CertificateAuthority?
        /// Where clients reach it; nil: a free port of the loopback interface.
        package var address: (host: String, port: UInt16)?
        /// Of etcd's command line.
        package var arguments: [String] = []

        package init() {}
    }

    /// Nil where the programs are.
    package static let hindrance: String? =
        ["etcd", "etcdctl", "openssl"].first { program in
            !["/usr/bin", "/usr/local/bin"].contains {
                access("\($0)/\(program)", X_OK) == 0
            }
        }.map { "\($0) is not installed" }

    package let port: UInt16
    private let host: String
    private let peerPort: UInt16
    private let options: Options
    private let folder: String
    private let process = Mutex<ServerProcess?>(nil)

    package init(_ options: Options = Options()) throws {
        self.options = options
        folder =
            FileManager.default.temporaryDirectory
            .appending(path: "rqd-etcd-\(UUID().uuidString.prefix(8))").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let ports = try FreePorts.take(2).map { UInt16($0) }
        (host, port) = options.address ?? ("127.0.0.1", ports[0])
        peerPort = ports[1]
        try start()
    }

    deinit {
        process.withLock { $0?.end(SIGKILL) }
        // What can't be removed is the temporary folder's.
        try? FileManager.default.removeItem(atPath: folder)
    }

    package var url: String {
        "\(options.authority == nil ? "http" : "https")://\(host):\(port)"
    }

    /// Ready to serve when this returns; on the same ports as before.
    package func start() throws {
        var words = [
            "etcd", "--name=t", "--data-dir=\(folder)/data", "--logger=zap",
            "--log-outputs=stderr", "--listen-client-urls=\(url)", "--advertise-client-urls=\(url)",
            "--listen-peer-urls=http://127.0.0.1:\(peerPort)",
            "--initial-advertise-peer-urls=http://127.0.0.1:\(peerPort)",
            "--initial-cluster=t=http://127.0.0.1:\(peerPort)",
        ]
        if let authority = options.authority {
            words += [
                "--cert-file=\(authority.server.certificate)",
                "--key-file=\(authority.server.key)", "--trusted-ca-file=\(authority.certificate)",
                "--client-cert-auth=true",
            ]
        }
        let started = try ServerProcess(
            words + options.arguments, ready: "serving client traffic")
        process.withLock { $0 = started }
    }

    package func stop() {
        process.withLock {
            $0?.end(SIGKILL)
            $0 = nil
        }
    }

    /// It accepts, and answers nothing, until `resume`.
    package func pause() { process.withLock { $0?.pause() } }

    package func resume() { process.withLock { $0?.resume() } }

    /// All records and users are gone. Stopped before; `start` comes next.
    package func wipe() throws {
        try FileManager.default.removeItem(atPath: "\(folder)/data")
    }

    /// Runs etcd's own client.
    /// - Parameter user: "name:password".
    @discardableResult
    package func control(_ words: [String], user: String? = nil) throws -> String {
        var all = ["env", "ETCDCTL_API=3", "etcdctl", "--endpoints=\(url)"]
        if let authority = options.authority {
            all += [
                "--cacert=\(authority.certificate)", "--cert=\(authority.client.certificate)",
                "--key=\(authority.client.key)",
            ]
        }
        if let user { all.append("--user=\(user)") }
        return try Program.run(all + words)
    }

    /// From now on only users may come in: `root` with that password, who may do everything, and
    /// `rqlite`, who may do what he likes below `/rqlite/`.
    package func enableAuthentication(password: String) throws {
        try control(["user", "add", "root:\(password)"])
        try control(["user", "grant-role", "root", "root"])
        try control(["role", "add", "disco"])
        try control(["role", "grant-permission", "--prefix=true", "disco", "readwrite", "/rqlite/"])
        try control(["user", "add", "rqlite:\(password)"])
        try control(["user", "grant-role", "rqlite", "disco"])
        try control(["auth", "enable"])
    }
}
