import Foundation
import Synchronization

/// One pod of the StatefulSet: the image's entry point as it stands, under the image's user, with a
/// host name, an address and a volume of its own. What a container engine would add, other roots and
/// control groups, is missing.
final class Pod: Sendable {
    let name: String
    private let network: PodNetwork
    private let image: PodImage
    private let volume: String
    private let arguments: [String]
    private let state = Mutex<(process: ChildProcess?, address: String)>((nil, ""))

    init(
        _ name: String, network: PodNetwork, image: PodImage, volumes: TestDirectory,
        arguments: [String]
    ) throws {
        self.name = name
        self.network = network
        self.image = image
        self.arguments = arguments
        volume = "\(volumes.path)/\(name)"
        try run("install", "-d", "-o", "1000", "-g", "1000", volume)
    }

    deinit { kill() }

    var address: String { state.withLock { $0.address } }
    var client: HTTPClient { HTTPClient(base: "http://\(address):4001") }
    var log: String { (try? String(contentsOfFile: "\(volume).log", encoding: .utf8)) ?? "" }

    /// On an address that it did not have before.
    func start(environment: [String] = []) throws {
        let address = try network.add(name)
        let child = try ChildProcess(
            ["ip", "netns", "exec", network.namespace(name), "unshare", "--uts", "sh", "-c"]
                + ["hostname \"$1\"; shift; exec \"$@\"", "sh", name]
                + ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--no-new-privs"]
                + ["env", "-i", "PATH=\(image.path)/bin:/usr/bin:/bin", "DATA_DIR=\(volume)/data"]
                + environment + [image.entryPoint] + arguments,
            output: "\(volume).log")
        state.withLock { $0 = (child, address) }
    }

    /// As a deleted pod ends: SIGTERM, and SIGKILL after the grace period, which it should not need.
    func delete() async throws {
        guard let process = state.withLock({ $0.process }) else { return }
        process.kill(SIGTERM)
        let status = try await eventually("pod \(name) ends", within: .seconds(10)) {
            process.exitStatus
        }
        guard status == 0 else {
            throw ChildProcess.Failure(description: "\(name) ended with \(status)\n\(log)")
        }
        try network.remove(name)
    }

    private func kill() {
        guard let process = state.withLock({ $0.process }), process.isRunning else { return }
        process.kill()
        process.waitForEnd()
    }

    /// The ID of the leader that a ready pod knows.
    func leader() async throws -> String? {
        let ready = try await client.get("/readyz", timeout: .seconds(2))
        guard ready.status == 200 else {
            throw UnexpectedStatus(status: ready.status, text: ready.text)
        }
        return try await client.get("/status", timeout: .seconds(2)).json()["store"]["leader"][
            "node_id"
        ].string
    }
}

/// What the image has, where every user can read it: the installation and the entry point.
final class PodImage: Sendable {
    let path: String
    private let directory: TestDirectory

    init() throws {
        directory = try TestDirectory()
        path = "\(directory.path)/usr"
        try run("chmod", "755", directory.path)
        try run("cp", "-a", Installation.prefix ?? "", path)
        try run(
            "install", "-m", "755",
            "\(ExamplePlugins.root.path)/packaging/docker/docker-entrypoint.sh", "\(path)/bin/")
    }

    var entryPoint: String { "\(path)/bin/docker-entrypoint.sh" }
}
