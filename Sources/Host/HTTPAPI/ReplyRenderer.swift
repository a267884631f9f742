import NIOHTTP1
import Raft
import Service
import Telemetry
import Wire

/// Turns what the node replied into an answer on the wire.
struct ReplyRenderer: Sendable {
    let advertisedAddress: String
    let counters: HTTPCounters

    func render(_ reply: Reply, to pending: PendingReply) -> Response {
        switch reply.outcome {
        case .results(let result):
            return results(result, of: reply, to: pending)
        case .done:
            var response = Response(.ok)
            response.servedBy = server(of: reply)
            return response
        case .nodes(let nodes):
            var asList = false
            if case .nodes(asList: true) = pending.kind { asList = true }
            return Response(
                .ok, .json,
                body: NodeDocument.render(nodes, asList: asList, pretty: pending.format.pretty))
        case .leader(let node):
            return Response(
                .ok, .json, body: NodeDocument.render(node, pretty: pending.format.pretty))
        case .readiness(let readiness):
            let lines = ReadinessText.lines(
                for: readiness, sync: pending.kind == .readiness(sync: true))
            return Response(
                ReadinessText.isReady(readiness) ? .ok : .serviceUnavailable, .text,
                body: Array(lines.utf8))
        case .failed(let error):
            return failure(error, to: pending)
        }
    }

    private func server(of reply: Reply) -> String {
        reply.servedBy?.rawValue ?? advertisedAddress
    }

    private func results(
        _ result: CommandResult, of reply: Reply, to pending: PendingReply
    ) -> Response {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.estimatedSize(of: result))
        do throws(WireError) {
            let body = try ResultDocument.render(
                result, pending.format, elapsed: pending.elapsed, continuing: bytes)
            var response = Response(.ok, .json, body: body)
            if result.error == nil { response.servedBy = server(of: reply) }
            return response
        } catch {
            return .plain(
                .internalServerError, "the rows of the result are damaged: \(error.description)")
        }
    }

    /// Spares most answers a second allocation.
    private static func estimatedSize(of result: CommandResult) -> Int {
        var size = 64
        for statement in result.statements {
            if case .rows(let rows) = statement.outcome {
                size += 64 + 32 * rows.columns.count + rows.cells.count + rows.cells.count / 4
            } else {
                size += 64
            }
        }
        return size
    }

    private func failure(_ error: ServiceError, to pending: PendingReply) -> Response {
        if case .noLeader = error { counters.leaderNotFound.add() }
        if case .readiness = pending.kind, case .noLeader = error {
            let lines = ReadinessText.lines(for: .noLeader(waitingFor: ""), sync: false)
            return Response(.serviceUnavailable, .text, body: Array(lines.utf8))
        }
        switch ErrorTable.answer(to: pending, failedBy: error) {
        case .plain(let status, let text): return .plain(status, text)
        case .redirect(let location):
            var response = Response.redirect(.movedPermanently, to: location)
            if pending.kind == .command { response.content = .json }
            return response
        case .envelope(let text):
            let result = CommandResult([], error: text)
            return results(result, of: Reply(id: RequestID(0), outcome: .done), to: pending)
        }
    }
}

/// The answers of `/nodes` and `GET /leader`.
enum NodeDocument {
    static func render(_ nodes: [NodeDescription], asList: Bool, pretty: Bool) -> [UInt8] {
        let sorted = nodes.sorted {
            $0.id.rawValue.utf8.lexicographicallyPrecedes($1.id.rawValue.utf8)
        }
        var output = JSONOutput(continuing: [], pretty: pretty)
        output.beginObject()
        if asList {
            output.member("nodes")
            output.beginArray()
        }
        for node in sorted {
            if asList { output.element() } else { output.member(text: node.id.rawValue) }
            write(node, to: &output)
        }
        if asList { output.endArray() }
        output.endObject()
        return output.bytes
    }

    static func render(_ node: NodeDescription, pretty: Bool) -> [UInt8] {
        var output = JSONOutput(continuing: [], pretty: pretty)
        write(node, to: &output)
        return output.bytes
    }

    private static func write(_ node: NodeDescription, to output: inout JSONOutput) {
        func text(_ name: StaticString, _ text: String?) {
            guard let text, !text.isEmpty else { return }
            output.member(name)
            output.text(text)
        }
        func flag(_ name: StaticString, _ value: Bool) {
            output.member(name)
            output.bool(value)
        }
        output.beginObject()
        text("id", node.id.rawValue)
        text("api_addr", node.apiURL)
        text("addr", node.address.rawValue)
        output.member("version")
        output.text(node.version)
        flag("voter", node.isVoter)
        flag("reachable", node.isReachable)
        flag("leader", node.isLeader)
        if let elapsed = node.elapsed, elapsed != .zero {
            output.member("time")
            output.real(elapsed.inSeconds)
            text("time_s", elapsed.goText)
        }
        text("error", node.error)
        output.endObject()
    }
}
