import Foundation
package import JSON

/// A storage of objects for one test: `Tests/Doubles/s3_server.py`, which is moto's S3, or
/// `Tests/Doubles/gcs_double.py`, both in the Python environment that `scripts/test` makes.
package final class StorageDouble: Sendable {
    package enum Kind: String, Sendable {
        case s3 = "s3_server.py"
        case gcs = "gcs_double.py"
    }

    struct Failure: Error {
        let what: String
    }

    /// What it said of itself: port, bucket, keys.
    package let announced: JSONValue
    private let process: ControlledProcess

    package init(_ kind: Kind) throws {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let python = tests.deletingLastPathComponent().appending(path: ".build/python/bin/python3")
        guard FileManager.default.isExecutableFile(atPath: python.path) else {
            throw Failure(what: "\(python.path) is missing: scripts/test makes it")
        }
        let script = tests.appending(path: "Doubles/\(kind.rawValue)")
        // Without files of bytecode among the sources.
        process = try ControlledProcess([python.path, "-B", script.path])
        announced = try JSONValue(parsing: process.line())
    }

    package var url: String { "http://127.0.0.1:\(announced["port"]?.integer ?? 0)" }

    /// Tells it something, as the script documents it.
    @discardableResult
    package func control(_ members: [JSONValue.Member]) throws -> JSONValue {
        let answer = try JSONValue(
            parsing: process.exchange(Array(JSONValue.object(members).text().utf8)))
        if let error = answer["error"]?.string { throw Failure(what: error) }
        return answer
    }

    /// What becomes of the next requests of a kind, as the script has it.
    package func spoil(_ kind: String, _ faults: [String]) throws {
        let list = JSONValue.array(faults.map { .string($0) })
        try control([.init("faults", .object([.init(kind, list)]))])
    }

    /// Objects whose uploads in parts were begun, and neither completed nor taken back.
    package func unfinished() throws -> [String] {
        (try control([.init("uploads", .null)]).array ?? []).compactMap(\.string)
    }

    /// How many requests of a kind of uploads there were.
    package func requests(_ kind: String) throws -> Int {
        Int(try control([.init("requests", .null)])[kind]?.integer ?? 0)
    }

    package struct Object: Equatable, Sendable {
        package var key: String
        package var metadata: JSONValue
        package var size: Int64
    }

    package func objects() throws -> [Object] {
        (try control([.init("objects", .null)]).array ?? []).map {
            Object(
                key: $0["key"]?.string ?? "", metadata: $0["metadata"] ?? .null,
                size: $0["size"]?.integer ?? -1)
        }
    }
}
