import Foundation
package import JSON
import Synchronization

/// A double of Consul, `Tests/Doubles/consul_double.py`, running for one test.
package final class ConsulDouble: Sendable {
    struct Failure: Error {
        let what: String
    }

    /// The child, its controls, and what it said after the last line that was taken.
    private struct Channel {
        let process: Process
        let input: Pipe
        let output: Pipe
        var unread = Data()

        mutating func line() throws -> JSONValue {
            while true {
                if let end = unread.firstIndex(of: 0x0A) {
                    let line = [UInt8](unread[..<end])
                    unread = Data(unread[(end + 1)...])
                    return try JSONValue(parsing: line)
                }
                let data = output.fileHandleForReading.availableData
                guard !data.isEmpty else { throw Failure(what: "the double has ended") }
                unread += data
            }
        }
    }

    package let httpPort: Int
    /// 0 without `--tls`.
    package let httpsPort: Int
    private let channel: Mutex<Channel>

    /// - Parameter arguments: as the script documents them.
    package init(_ arguments: [String] = []) throws {
        let script = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Doubles/consul_double.py")
        let process = Process()
        let input = Pipe()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        // Without files of bytecode among the sources.
        process.arguments = ["python3", "-B", script.path] + arguments
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        var channel = Channel(process: process, input: input, output: output)
        let ports = try channel.line()
        httpPort = Int(ports["http"]?.integer ?? 0)
        httpsPort = Int(ports["https"]?.integer ?? 0)
        self.channel = Mutex(channel)
    }

    deinit {
        channel.withLock { channel in
            // It ends with its input.
            channel.input.fileHandleForWriting.closeFile()
            channel.process.waitUntilExit()
        }
    }

    package var address: String { "127.0.0.1:\(httpPort)" }
    package var secureAddress: String { "localhost:\(httpsPort)" }

    /// Tells it something, as the script documents it: the member of a JSON object.
    @discardableResult
    package func control(_ name: String, _ value: JSONValue, times: Int? = nil) throws -> JSONValue
    {
        var members = [JSONValue.Member(name, value)]
        if let times { members.append(.init("times", .integer(times))) }
        let line = Data("\(JSONValue.object(members).text())\n".utf8)
        let answer = try channel.withLock { channel in
            try channel.input.fileHandleForWriting.write(contentsOf: line)
            return try channel.line()
        }
        if let error = answer["error"]?.string { throw Failure(what: error) }
        return answer
    }

    /// What it was asked that no documented API would be asked; empty, or the client is wrong.
    package func violations() throws -> [String] {
        try control("violations", .null).array?.compactMap(\.string) ?? []
    }

    /// `METHOD TARGET STATUS` of the requests since the last time.
    package func log() throws -> [String] {
        try (control("log", .null).array ?? []).map { request in
            let parts = [request["method"]?.string, request["target"]?.string]
            return (parts.map { $0 ?? "" } + [String(request["status"]?.integer ?? 0)])
                .joined(separator: " ")
        }
    }
}
