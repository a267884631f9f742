import Foundation
import JSON
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOPosix
import Raft
import Service
import Synchronization
import Telemetry
import Testing
import Wire

@testable import HTTPAPI

/// A node that answers as a test says, or keeps what it is asked until the test answers.
final class FakeNode: NodeService {
    private struct State {
        var batches: [[ClientRequest]] = []
        var cancelled: [[RequestID]] = []
        var demands: [PartDemand] = []
        /// Of each batch, whom the replies go to.
        var sinks: [any ReplySink] = []
    }

    private let state = Mutex(State())
    private let answer: @Sendable (ClientRequest) -> Outcome?
    let servedBy: PeerAddress?

    init(servedBy: PeerAddress? = nil, _ answer: @escaping @Sendable (ClientRequest) -> Outcome?) {
        self.servedBy = servedBy
        self.answer = answer
    }

    func submit(_ requests: [ClientRequest], replyTo sink: any ReplySink) {
        state.withLock {
            $0.batches.append(requests)
            $0.sinks.append(sink)
        }
        let replies = requests.compactMap { request in
            answer(request).map { Reply(id: request.id, outcome: $0, servedBy: servedBy) }
        }
        if !replies.isEmpty { sink.deliver(replies) }
    }

    func cancel(_ requests: [RequestID], replyTo sink: any ReplySink) {
        state.withLock { $0.cancelled.append(requests) }
    }

    func demand(_ demands: [PartDemand], replyTo sink: any ReplySink) {
        state.withLock { $0.demands += demands }
    }

    var demands: [PartDemand] { state.withLock { $0.demands } }
    var cancelled: [RequestID] { cancellations.flatMap(\.self) }
    /// By the calls that it came with.
    var cancellations: [[RequestID]] { state.withLock { $0.cancelled } }
    var batches: [[ClientRequest]] { state.withLock { $0.batches } }
    var requests: [ClientRequest] { batches.flatMap(\.self) }

    func deliver(_ replies: [Reply]) {
        state.withLock { $0.sinks.last }?.deliver(replies)
    }

    /// To who submitted a certain batch.
    func deliver(to batch: Int, _ replies: [Reply]) {
        state.withLock { $0.sinks[batch] }.deliver(replies)
    }

    /// The statements of the last request.
    var lastCommand: Command? {
        guard case .command(let command, _)? = requests.last?.operation else { return nil }
        return command
    }

    var lastOptions: ReadOptions? {
        guard case .command(_, let options)? = requests.last?.operation else { return nil }
        return options
    }
}

/// An answer as it stood on the wire.
struct Answer: Equatable {
    var status: Int
    var headers: [String: String]
    var body: String
}

/// A server with one client connection, without a network.
final class Client {
    let node: FakeNode
    let metrics = MetricRegistry()
    let channel: EmbeddedChannel
    let server: HTTPServer
    private var received: [UInt8] = []

    init(
        _ node: FakeNode, documents: Documents = Documents(), limits: HTTPLimits = HTTPLimits(),
        allowOrigin: String? = nil, door: HTTPDoor = HTTPDoor(),
        loads: LoadsDouble = LoadsDouble { _ in .unfit("no loader") },
        workshop: HTTPWorkshop = .inline, files: HTTPWorkshop? = nil,
        lookout: HTTPWorkshop = .inline,
        queue: WriteQueueSettings = WriteQueueSettings(), hasLeader: Bool = true
    ) throws {
        self.node = node
        channel = EmbeddedChannel()
        server = HTTPServer(
            HTTPServer.Identity(
                version: "v10.2.7", advertisedAddress: "localhost:4001", allowOrigin: allowOrigin),
            service: node, documents: documents, metrics: metrics, door: door,
            limits: limits, workshop: workshop, files: files ?? workshop, lookout: lookout,
            loads: { loads.begin() },
            queue: HTTPServer.Queue(
                queue, start: 100, on: channel.embeddedEventLoop, hasLeader: { hasLeader }))
        // As of a connection that was accepted, which has one from the beginning.
        channel.remoteAddress = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        try server.configure(channel).wait()
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    /// Another client of the same server.
    /// - Parameters:
    ///   - sharesLoop: both are on one event loop.
    ///   - address: where it comes from, if not from this machine.
    init(beside other: Client, sharesLoop: Bool = false, from address: String? = nil) throws {
        node = other.node
        server = other.server
        channel =
            sharesLoop ? EmbeddedChannel(loop: other.channel.embeddedEventLoop) : EmbeddedChannel()
        channel.remoteAddress = try SocketAddress(ipAddress: address ?? "127.0.0.1", port: 2)
        try server.configure(channel).wait()
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 2)).wait()
    }

    convenience init(answering outcome: Outcome, documents: Documents = Documents()) throws {
        try self.init(FakeNode { _ in outcome }, documents: documents)
    }

    func send(_ text: String) throws {
        try channel.writeInbound(ByteBuffer(string: text))
        channel.embeddedEventLoop.run()
    }

    /// The text that came back since the last call.
    func output() throws -> String {
        while let part = try channel.readOutbound(as: ByteBuffer.self) {
            received.append(contentsOf: part.readableBytesView)
        }
        defer { received = [] }
        return String(decoding: received, as: UTF8.self)
    }

    func request(
        _ method: String, _ target: String, headers: [String] = [], body: String? = nil
    ) throws -> Answer {
        var text = "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n"
        for header in headers { text += header + "\r\n" }
        if let body {
            text += "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        } else {
            text += "\r\n"
        }
        try send(text)
        return try #require(Self.answers(in: output()).first, "no answer to \(method) \(target)")
    }

    func get(_ target: String) throws -> Answer { try request("GET", target) }
    func post(_ target: String, _ body: String) throws -> Answer {
        try request("POST", target, body: body)
    }

    static func answers(in text: String) -> [Answer] {
        var answers: [Answer] = []
        var rest = Substring(text)
        while let end = rest.range(of: "\r\n\r\n") {
            let lines = rest[..<end.lowerBound].components(separatedBy: "\r\n")
            var headers: [String: String] = [:]
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
            }
            let length = Int(headers["content-length"] ?? "0") ?? 0
            let after = rest[end.upperBound...].utf8
            let status = Int(lines[0].split(separator: " ")[1]) ?? 0
            answers.append(
                Answer(
                    status: status, headers: headers, body: String(Substring(after.prefix(length))))
            )
            rest = Substring(after.dropFirst(length))
        }
        return answers
    }
}

extension CommandResult {
    static let oneInsert = CommandResult([
        StatementResult(.changed(lastInsertID: 1, rowsAffected: 1))
    ])
}
