import Foundation
import Testing

/// The StatefulSet of `packaging/kubernetes` without Kubernetes: its arguments, the image's entry
/// point, and the network that its pods would have.
@Suite(
    .serialized,
    .enabled(if: Namespace.isPossible && Installation.hindrance == nil, "root and scripts/test"))
struct PodTests {
    @Test(arguments: ["dns", "dns-srv"])
    func `Promise 7: pods form a cluster, and find each other again when all have new addresses`(
        _ overlay: String
    ) async throws {
        let names = (0..<3).map { "rqlite-\($0)" }
        let network = try PodNetwork(names: names)
        let volumes = try TestDirectory()
        try run("chmod", "755", volumes.path)
        let image = try PodImage()
        let arguments = try Manifests.arguments(overlay: overlay)
        let pods = try names.map {
            try Pod($0, network: network, image: image, volumes: volumes, arguments: arguments)
        }
        do {
            try await live(pods)
        } catch {
            let logs = pods.map { "--- \($0.name)\n\($0.log.suffix(3000))" }
            Issue.record("\(overlay): \(error)\n\(logs.joined(separator: "\n"))")
        }
        withExtendedLifetime((network, volumes, image)) {}
    }

    private func live(_ pods: [Pod]) async throws {
        for pod in pods { try pod.start() }
        let leader = try await agreement(pods)
        _ = try await leader.client.execute(["CREATE TABLE t(v)", "INSERT INTO t VALUES(7)"])
        let members = try await leader.client.get("/nodes").json()
        for pod in pods {
            let name = "\(pod.name).\(PodNetwork.domain)"
            #expect(members[pod.name]["addr"].string == "\(name):4002")
            #expect(members[pod.name]["api_addr"].string == "http://\(name):4001")
        }
        try await expectProbesAnswered(leader)

        let before = pods.map(\.address)
        // As after a power cut of the whole site: none is left that knows where the others are now.
        for pod in pods { try await pod.delete() }
        for pod in pods.reversed() { try pod.start() }
        #expect(Set(before).isDisjoint(with: pods.map(\.address)))
        try await agreement(pods)
        for pod in pods {
            let rows = try await pod.client.rows("SELECT v FROM t", level: "linearizable")
            #expect(rows.first?[0].int == 7)
        }
        for pod in pods { try await pod.delete() }
    }

    private func expectProbesAnswered(_ pod: Pod) async throws {
        let set = try Manifests.document("base/statefulset.yaml")
        let container = set["spec"]["template"]["spec"]["containers"][0]
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let path = try #require(container[probe]["httpGet"]["path"].string)
            #expect(try await pod.client.get(path).status == 200, "\(probe)")
        }
    }

    /// Waits until all are ready and know the same leader.
    @discardableResult
    private func agreement(_ pods: [Pod]) async throws -> Pod {
        try await eventually("the pods agree on a leader", within: .seconds(30)) {
            var leaders: Set<String> = []
            for pod in pods { leaders.insert(try await pod.leader() ?? "") }
            guard leaders.count == 1 else { return nil }
            return pods.first { leaders.contains($0.name) }
        }
    }
}
