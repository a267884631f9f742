import Foundation
import HarnessBackends
import JSON

/// The modes that ask a server over HTTP, on the loopback interface, with the servers that
/// `disco-harness` brings along.
extension DiscoveryMode {
    /// A JSON document names the nodes.
    static let http = DiscoveryMode(name: "http", hindrance: { nil }) { nodes in
        let server = try DocumentServer()
        let keeper = Backed(server)
        @Sendable func surroundings(_ places: [Place]) throws -> Surroundings {
            let list = places.map { place -> JSONValue in
                ["host": .string(place.host), "port": .integer(place.raftPort)]
            }
            let document = JSONValue.object([.init("nodes", .array(list))])
            _ = try server.command(["put", "/rqlite", document.text()])
            let configuration: JSONValue = [
                "url": .string("\(server.url)/rqlite"), "pointer": "/nodes",
                "host_pointer": "/host", "port_pointer": "/port", "interval": "1s",
            ]
            return Surroundings(
                places: places,
                arguments: ["-disco-mode=http", "-disco-config", configuration.text()],
                keptAlive: [keeper])
        }
        var first = try surroundings(Place.onLoopback(nodes))
        first.move = { try surroundings(Place.onOwnLoopbackAddresses(nodes)) }
        return first
    }

    /// A slice for each node, as each has another port, and a token that is needed.
    static let kubernetes = DiscoveryMode(name: "kubernetes", hindrance: { nil }) { nodes in
        let server = try KubernetesAPIServer()
        let keeper = Backed(server)
        let directory = try TestDirectory()
        let token = "\(directory.path)/token"
        try "token-of-the-pods\n".write(toFile: token, atomically: true, encoding: .utf8)
        _ = try server.command(["token", "token-of-the-pods"])
        let configuration: JSONValue = [
            "server": .string(server.url), "namespace": "db", "service": "rqlite",
            "port_name": "raft", "token_file": .string(token),
        ]
        @Sendable func surroundings(_ places: [Place]) throws -> Surroundings {
            for (number, place) in places.enumerated() {
                _ = try server.command([
                    "slice", "db/rqlite-\(number)", "rqlite",
                    "http=\(place.httpPort),raft=\(place.raftPort)", "\(place.host)!notready",
                ])
            }
            return Surroundings(
                places: places,
                arguments: ["-disco-mode=kubernetes", "-disco-config", configuration.text()],
                keptAlive: [keeper, directory])
        }
        var first = try surroundings(Place.onLoopback(nodes))
        first.move = { try surroundings(Place.onOwnLoopbackAddresses(nodes)) }
        return first
    }

    /// Registrations, and a token that is needed.
    static let nomad = DiscoveryMode(name: "nomad", hindrance: { nil }) { nodes in
        let server = try NomadServer()
        let keeper = Backed(server)
        _ = try server.command(["token", "token-of-the-task"])
        let configuration: JSONValue = [
            "address": .string(server.url), "service": "rqlite-raft", "token": "token-of-the-task",
        ]
        @Sendable func surroundings(_ places: [Place]) throws -> Surroundings {
            for (number, place) in places.enumerated() {
                _ = try server.command([
                    "register", "\(number)", "rqlite-raft", place.host, "\(place.raftPort)",
                ])
            }
            return Surroundings(
                places: places,
                arguments: ["-disco-mode=nomad", "-disco-config", configuration.text()],
                keptAlive: [keeper])
        }
        var first = try surroundings(Place.onLoopback(nodes))
        first.move = { try surroundings(Place.onOwnLoopbackAddresses(nodes)) }
        return first
    }
}

/// Keeps a server, and stops it in the end.
final class Backed: Sendable {
    private let server: any Backend

    init(_ server: any Backend) { self.server = server }

    deinit { server.stop() }
}
