import NIOCore
import NIOEmbedded
import Service
import Synchronization
import Wire

@testable import HTTPAPI

/// Requests of clients, from their first byte on, and what comes back of the node. However its
/// bytes arrive, a request is the same; what is answered is HTTP.
///
///     offset  size  input
///          0     1  so many bytes, and one more, come at a time
///          1     1  length n of what the node answers with
///          2     n  an outcome, as a reply of another node has it; if it is none: done
///          …     …  the bytes of the connection
extension FuzzTarget {
    static let http = FuzzTarget(name: "http", largestInput: 8192) { bytes throws(Complaint) in
        guard bytes.count >= 2 else { return }
        let answer = NodeDouble.outcome(Array(bytes[2...].prefix(Int(bytes[1]))))
        let said = Array(bytes[2...].dropFirst(Int(bytes[1])))
        let (whole, inPieces) = try HTTPCheck.turn.withLock { (_) throws(Complaint) in
            (
                try HTTPCheck.converse(said, piece: max(said.count, 1), answer),
                try HTTPCheck.converse(said, piece: Int(bytes[0]) + 1, answer)
            )
        }
        try Complaint.unless(
            whole == inPieces, "requests \(whole) became \(inPieces) in pieces")
    } seeds: {
        HTTPCheck.samples.enumerated().map { number, request in
            let outcome = PeerMessageKind.reply.samples[
                number % PeerMessageKind.reply.samples.count]
            return FuzzSeed(
                "request-\(number)",
                [255, UInt8(clamping: outcome.count)] + outcome.prefix(255) + Array(request.utf8))
        }
    }
}

private enum HTTPCheck {
    static let samples = [
        "GET /status?pretty HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /readyz?sync&timeout=5s HTTP/1.1\r\nHost: h\r\n\r\nGET /nodes?ver=2&nonvoters HTTP/1.1\r\nHost: h\r\n\r\n",
        post(
            "/db/execute?transaction&timings",
            #"["CREATE TABLE t(a)", ["INSERT INTO t VALUES(?)", 1]]"#),
        post("/db/query?level=strong&associative&blob_array", #"[["SELECT :a", {"a": "x"}]]"#),
        post("/db/request?level=none&freshness=1s&freshness_strict", #"["SELECT 1"]"#),
        post("/db/execute?queue&wait", #"["INSERT INTO t VALUES(1)"]"#),
        "GET /db/query?q=SELECT%201&level=weak HTTP/1.1\r\nHost: h\r\nAccept: application/x-ndjson\r\n\r\n",
        "GET /db/backup?fmt=sql&compress HTTP/1.1\r\nHost: h\r\nAuthorization: Basic YTpi\r\n\r\n",
        post("/db/load", "BEGIN; COMMIT;"),
        "DELETE /remove HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{\"id\":\"3\"}",
        "POST /db/execute HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[\"a\"]\r\n0\r\n\r\n",
        "POST /db/execute HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n[\"a\"]",
        "OPTIONS /db/query HTTP/1.1\r\nHost: h\r\n\r\n", "GET /metrics HTTP/1.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\n",
    ]

    /// One input at a time, as the node notes what it was asked.
    static let turn = Mutex(())
    /// One for all inputs: what a connection leaves in it must not show in the next.
    private static let node = NodeDouble()
    private static let server = HTTPServer(
        HTTPServer.Identity(version: "v", advertisedAddress: "localhost:4001"), service: node,
        workshop: .inline, files: .inline, lookout: .inline)

    private static func post(_ target: String, _ body: String) -> String {
        "POST \(target) HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    /// - Returns: what the node was asked.
    static func converse(
        _ bytes: [UInt8], piece: Int, _ answer: Outcome
    ) throws(Complaint) -> [[UInt8]] {
        node.begin(answer)
        let channel = try EmbeddedChannel.connected(to: server)
        channel.feed(bytes, piece: piece)
        var first: [UInt8] = []
        while let part = try? channel.readOutbound(as: ByteBuffer.self) {
            if first.count < 5 { first += part.readableBytesView.prefix(5) }
        }
        _ = try? channel.finish(acceptAlreadyClosed: true)
        try Complaint.unless(
            first.isEmpty || first.starts(with: "HTTP/".utf8), "answered with \(first)")
        return node.asked
    }
}
