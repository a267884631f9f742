import Foundation
import Testing

/// The guide's promises about containers: the image's entry point, under its user, each "container"
/// with a host name, an address and a volume of its own, and every command line the same.
@Suite(
    .serialized,
    .enabled(if: Namespace.isPossible && Installation.hindrance == nil, "root and scripts/test"))
struct GuidePromiseContainerTests {
    private static let names = (0..<3).map { "rqlite-\($0)" }

    @Test func `Promise 4: containers are launched alike, with a list and a number`() async throws {
        let network = try PodNetwork(names: Self.names)
        let list = Self.names.map { "http://\($0).\(PodNetwork.domain):4001" }
        try await expectCluster(
            in: network, ["-bootstrap-expect", "3", "-join", list.joined(separator: ",")])
    }

    @Test(arguments: RegistryServer.Kind.allCases)
    func `Promises 11 and 14: containers are launched alike, with a registry and nothing else`(
        kind: RegistryServer.Kind
    ) async throws {
        let network = try PodNetwork(names: Self.names)
        let registry = try RegistryServer.start(kind, host: network.hostAddress)
        try await expectCluster(
            in: network,
            ["-disco-mode=\(registry.mode)", "-disco-config=\(registry.configuration)"])
    }

    private func expectCluster(in network: PodNetwork, _ arguments: [String]) async throws {
        let volumes = try TestDirectory()
        try run("chmod", "755", volumes.path)
        let image = try PodImage()
        let pods = try Self.names.map {
            try Pod($0, network: network, image: image, volumes: volumes, arguments: arguments)
        }
        for pod in pods { try pod.start() }
        do {
            try await eventually("all three are one cluster", within: .seconds(30)) {
                for pod in pods {
                    guard try await pod.leader() != nil,
                        try await pod.client.get("/nodes").json().members == Self.names
                    else { return nil as Bool? }
                }
                return true
            }
        } catch {
            Issue.record("\(error)\n\(pods.map(\.log).joined(separator: "\n---\n"))")
        }
        for pod in pods { try await pod.delete() }
        withExtendedLifetime((network, volumes, image)) {}
    }
}
