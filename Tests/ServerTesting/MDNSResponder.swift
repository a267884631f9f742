import Foundation
import JSON

/// A responder for multicast DNS, `Tests/Doubles/mdns_responder.py`, running for one test, with a service of
/// the test's own.
package final class MDNSResponder: Sendable {
    package struct Instance: Sendable {
        package var name: String
        package var target: String
        package var port: Int
        package var addresses: [String]

        package init(_ name: String, target: String, port: Int, addresses: [String]) {
            self.name = name
            self.target = target
            self.port = port
            self.addresses = addresses
        }
    }

    /// As in `_rqlite._tcp`.
    package let service: String
    private let path: String
    private let process: ServerProcess

    /// - Parameters:
    ///   - interface: where it listens: `lo`.
    ///   - prefix: what comes before the program.
    ///   - isSparse: it answers what was asked for and nothing else.
    package init(
        interface: String, prefix: [String] = [], isSparse: Bool = false
    ) throws {
        service = "_rq\(UUID().uuidString.prefix(8).lowercased())._tcp"
        path =
            FileManager.default.temporaryDirectory
            .appending(path: "rqd-mdns-\(UUID().uuidString.prefix(8))").path
        try Self.document(service, []).write(toFile: path, atomically: true, encoding: .utf8)
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Doubles/mdns_responder.py")
        process = try ServerProcess(
            prefix + ["python3", "-B", script.path, interface, path]
                + (isSparse ? ["--sparse"] : []),
            ready: "ready")
    }

    deinit { unlink(path) }

    /// From now on.
    package func announce(_ instances: [Instance]) throws {
        try Self.document(service, instances).write(
            toFile: path, atomically: true, encoding: .utf8)
    }

    /// What it was asked that it should not be asked.
    package var violations: [String] {
        process.printed.split(separator: "\n").filter { $0.hasPrefix("violation") }
            .map(String.init)
    }

    private static func document(_ service: String, _ instances: [Instance]) -> String {
        let list = instances.map { instance -> JSONValue in
            [
                "name": .string(instance.name), "target": .string(instance.target),
                "port": .integer(instance.port),
                "addresses": .array(instance.addresses.map { .string($0) }),
            ]
        }
        return JSONValue.object([
            .init("service", .string(service)), .init("instances", .array(list)),
        ]).text()
    }
}
