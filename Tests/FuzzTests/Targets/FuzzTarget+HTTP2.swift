import NIOCore
import NIOEmbedded
import Service
import Synchronization

@testable import HTTPAPI

/// What a client of HTTP/2 sends behind the preface. Whatever it is, frames come back, none behind one
/// that ends the connection, and nothing of it is left when it is gone. What is asked when all comes at
/// once is also asked when it comes in pieces: never does the end of a connection add a request.
///
///     offset  size  input
///          0     1  so many bytes, and one more, come at a time
///          1     1  length n of what the node answers with
///          2     n  an outcome, as a reply of another node has it; if it is none: done
///          …     …  frames, each so:
///
///     offset  size  frame
///          0     1  kind; 255: what follows the length goes to the wire as it stands
///          1     1  flags
///          2     1  stream
///          3     1  length m
///          4     m  payload, or as much of it as there is
extension FuzzTarget {
    static let http2 = FuzzTarget(name: "http2", largestInput: 8192) { bytes throws(Complaint) in
        guard bytes.count >= 2 else { return }
        let answer = NodeDouble.outcome(Array(bytes[2...].prefix(Int(bytes[1]))))
        let said = HTTP2Check.wire(bytes[2...].dropFirst(Int(bytes[1])))
        let (whole, inPieces) = try HTTP2Check.turn.withLock { (_) throws(Complaint) in
            (
                try HTTP2Check.converse(said, piece: said.count, answer),
                try HTTP2Check.converse(said, piece: Int(bytes[0]) + 1, answer)
            )
        }
        var rest = inPieces
        for request in whole {
            guard let place = rest.firstIndex(of: request) else {
                throw Complaint("requests \(whole) became \(inPieces) in pieces")
            }
            rest.remove(at: place)
        }
    } seeds: {
        HTTP2Check.samples.enumerated().map { number, frames in
            let outcome = PeerMessageKind.reply.samples[
                number % PeerMessageKind.reply.samples.count]
            return FuzzSeed(
                "connection-\(number)",
                [63, UInt8(clamping: outcome.count)] + outcome.prefix(255) + frames.joined())
        }
    }
}

private enum HTTP2Check {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    private static let goAway: UInt8 = 7
    private static let settings: UInt8 = 4

    /// One input at a time, as the node notes what it was asked.
    static let turn = Mutex(())
    private static let node = NodeDouble()
    /// One for all inputs: what a connection leaves in it shows behind the next.
    private static let server = HTTPServer(
        HTTPServer.Identity(version: "v", advertisedAddress: "localhost:4001"), service: node,
        workshop: .inline, files: .inline, lookout: .inline)

    /// The frames of an input, behind the preface.
    static func wire(_ input: ArraySlice<UInt8>) -> [UInt8] {
        var bytes = preface
        var rest = input
        while rest.count >= 4 {
            let head = Array(rest.prefix(4))
            let payload = rest.dropFirst(4).prefix(Int(head[3]))
            rest = rest.dropFirst(4 + payload.count)
            if head[0] != 255 {
                bytes += [0, 0, UInt8(payload.count), head[0], head[1], 0, 0, 0, head[2]]
            }
            bytes += payload
        }
        return bytes
    }

    /// - Returns: what the node was asked.
    static func converse(
        _ bytes: [UInt8], piece: Int, _ answer: Outcome
    ) throws(Complaint) -> [[UInt8]] {
        node.begin(answer)
        let channel = try EmbeddedChannel.connected(to: server)
        channel.feed(bytes, piece: piece)
        var output = ByteBuffer()
        while let part = try? channel.readOutbound(as: ByteBuffer.self) {
            output.writeImmutableBuffer(part)
        }
        try check(output)
        _ = try? channel.finish(acceptAlreadyClosed: true)
        channel.embeddedEventLoop.run()
        let budgets = server.budgets
        try Complaint.unless(
            budgets.connections.inUse == 0 && budgets.requests.inUse == 0
                && budgets.bodyBytes.inUse == 0,
            "a connection that is gone holds \(budgets.connections.inUse) connections, "
                + "\(budgets.requests.inUse) requests and \(budgets.bodyBytes.inUse) bytes")
        return node.asked
    }

    private static func check(_ output: ByteBuffer) throws(Complaint) {
        var output = output
        var isFirst = true
        var isOver = false
        while let length = output.readBytes(length: 3) {
            let count = Int(length[0]) << 16 | Int(length[1]) << 8 | Int(length[2])
            guard let head = output.readBytes(length: 6),
                let payload = output.readBytes(length: count)
            else { throw Complaint("the last frame is cut off") }
            try Complaint.unless(
                count <= 16_384 && head[0] <= 9, "a frame \(head) of \(count) bytes")
            try Complaint.unless(!isFirst || head[0] == settings, "the first frame is \(head)")
            try Complaint.unless(!isOver, "\(head) behind the last word")
            isFirst = false
            isOver = head[0] == goAway && payload[4...].prefix(4) != [0, 0, 0, 0]
        }
        try Complaint.unless(output.readableBytes == 0, "the last frame is cut off")
    }

    // MARK: Samples

    private static let endStream: UInt8 = 0x1
    private static let endHeaders: UInt8 = 0x4
    private static let padded: UInt8 = 0x8

    private static func frame(
        _ kind: UInt8, _ flags: UInt8 = 0, _ stream: UInt8 = 0, _ payload: [UInt8] = []
    ) -> [UInt8] {
        [kind, flags, stream, UInt8(payload.count)] + payload
    }

    /// Fields as RFC 7541 has them, without Huffman's code: indexed, or literal with an indexed name.
    private static func fields(
        _ method: UInt8, _ path: String, _ more: [(String, String)] = []
    ) -> [UInt8] {
        func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
        return [method, 0x86, 0x44] + text(path) + [0x41] + text("h")
            + more.flatMap { [0x40] + text($0.0) + text($0.1) }
    }

    private static let get: UInt8 = 0x82
    private static let post: UInt8 = 0x83
    private static let hello = frame(4)
    private static let agreed = frame(4, 1)

    private static func request(_ stream: UInt8, _ path: String) -> [UInt8] {
        frame(1, endHeaders | endStream, stream, fields(get, path))
    }

    private static func command(_ stream: UInt8, _ path: String, _ body: String) -> [UInt8] {
        frame(1, endHeaders, stream, fields(post, path, [("content-type", "application/json")]))
            + frame(0, endStream, stream, Array(body.utf8))
    }

    static let samples: [[[UInt8]]] = [
        [hello, agreed, request(1, "/status?pretty"), request(3, "/readyz?sync&timeout=5s")],
        [
            hello, command(1, "/db/execute?transaction", #"["CREATE TABLE t(a)"]"#),
            command(3, "/db/query?level=strong", #"[["SELECT :a", {"a": "x"}]]"#),
            command(5, "/db/execute?queue&wait", #"["INSERT INTO t VALUES(1)"]"#),
        ],
        // A body in pieces and with padding, a head in two frames, fields behind the body.
        [
            hello, frame(1, 0, 1, fields(post, "/db/request")),
            frame(9, endHeaders, 1, [0x40, 1, 0x61, 1, 0x62]),
            frame(0, padded, 1, [2, 0x5B, 0x22, 0x61, 0, 0]), frame(0, 0, 1, [0x22, 0x5D]),
            frame(1, endHeaders | endStream, 1, [0x40, 1, 0x63, 1, 0x64]),
        ],
        // Windows, priorities, a ping, a reset, and a client that goes.
        [
            frame(4, 0, 0, [0, 4, 0, 0, 0, 10, 0, 5, 0, 0, 0x40, 0]), request(1, "/metrics"),
            frame(2, 0, 1, [0, 0, 0, 0, 16]), frame(8, 0, 1, [0, 1, 0, 0]),
            frame(8, 0, 0, [0, 1, 0, 0]), frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]),
            request(3, "/db/backup"), frame(3, 0, 3, [0, 0, 0, 8]),
            frame(7, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]),
        ],
        // The table of fields: the second head names what the first brought.
        [
            hello, request(1, "/nodes?ver=2"),
            frame(1, endHeaders | endStream, 3, [0x82, 0x86, 0xBF, 0xBE]),
        ],
        // What is no frame, of an unknown kind, too short, or out of place.
        [hello, frame(255, 0, 0, Array("GET / HTTP/1.1\r\n\r\n".utf8))],
        [hello, frame(20, 0, 1, [1, 2, 3]), request(1, "/openapi.json"), frame(6, 0, 0, [1])],
        [frame(0, 0, 1, [1]), hello],
        (0..<120).map { request($0 * 2 + 1, "/nowhere") },
    ]
}
