import Foundation

/// Sends the requests of a transcript and writes down what is answered. A request is
///
///     leader|follower|both METHOD TARGET
///     | Header-Field: value
///     > a line of the body
///     < NAME                   the body is what was kept under the name
///     = NAME                   the body of the answer is kept
///
/// Its answer is the status with the type of the content, the header fields that clients match on, and
/// the body. What differs from run to run has a name: addresses, times, indexes. `both` asks the leader
/// and then a follower; where they answer alike this stands once.
final class ConformancePlayer {
    private let nodes: [Daemon]
    private var kept: [String: Data] = [:]

    /// The first leads.
    init(_ nodes: [Daemon]) { self.nodes = nodes }

    private static let shown = [
        "Location", "Allow", "Retry-After", "X-Rqlite-Served-By", "X-Rqlited-Error",
        "X-Rqlited-Commit", "ETag", "Idempotency-Replayed", "Accept-Ranges", "Content-Range",
        "X-Rqlite-Raft-Index", "X-Content-Type-Options", "Content-Encoding",
    ]

    func answers(to commands: [String]) throws -> [String] {
        var lines: [String] = []
        var rest = commands[...]
        while let head = rest.popFirst() {
            let more = rest.prefix { Self.marks.contains($0.prefix(1)) }
            rest = rest.dropFirst(more.count)
            lines += try answer(head, Array(more))
        }
        return lines
    }

    private static let marks: Set<Substring> = ["|", ">", "<", "="]

    private func answer(_ head: String, _ more: [String]) throws -> [String] {
        let words = head.split(separator: " ", maxSplits: 2).map(String.init)
        guard words.count == 3 else { return ["no request: \(head)"] }
        switch words[0] {
        case "leader": return try send(words[1], words[2], more, to: nodes[0])
        case "follower": return try send(words[1], words[2], more, to: nodes[1])
        case "both":
            let first = try send(words[1], words[2], more, to: nodes[0])
            let second = try send(words[1], words[2], more, to: nodes[1])
            return first == second ? first : ["leader"] + first + ["follower"] + second
        default: return ["nobody is called \(words[0])"]
        }
    }

    private func send(
        _ method: String, _ target: String, _ more: [String], to node: Daemon
    ) throws -> [String] {
        let headers = more.filter { $0.hasPrefix("|") }.map { String($0.dropFirst(2)) }
        let text = more.filter { $0.hasPrefix(">") }.map { $0.dropFirst(2) }
        var body = text.isEmpty ? nil : Data(text.joined(separator: "\n").utf8)
        if let name = more.first(where: { $0.hasPrefix("<") })?.dropFirst(2) {
            body = kept[String(name)]
        }
        let wire = try HTTPWire(host: node.host, port: node.httpPort, timeout: 60)
        let answer = try wire.send(method, target, headers: headers, body)
        if let name = more.first(where: { $0.hasPrefix("=") })?.dropFirst(2) {
            kept[String(name)] = answer.body
        }
        var lines = ["\(answer.status) \(answer.headers["content-type"] ?? "")"]
        for name in Self.shown {
            if let value = answer.headers[name.lowercased()] { lines.append("\(name): \(value)") }
        }
        lines += Self.lines(of: answer.body)
        // A blank line would end the block.
        return lines.map { masked($0) }.map { $0.isEmpty ? "(blank)" : trimmed($0) }
    }

    /// The lines of a text, each with the mark of its end; of other bytes what they are.
    private static func lines(of body: Data) -> [String] {
        if body.starts(with: Data("SQLite format 3\0".utf8)) {
            return ["(a database in mode \(body[body.startIndex + 18]))"]
        }
        if body.starts(with: [0x1F, 0x8B]) { return ["(gzip)"] }
        guard let text = String(data: body, encoding: .utf8) else { return ["(bytes)"] }
        guard !text.isEmpty else { return [] }
        let ended = text.hasSuffix("\n")
        let lines = (ended ? text.dropLast() : text[...])
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        return ended ? lines : lines.dropLast() + [(lines.last ?? "") + "¶"]
    }

    private func trimmed(_ line: String) -> String {
        line.hasSuffix(" ") ? String(line.dropLast()) : line
    }

    private func masked(_ line: String) -> String {
        var line = line
        for node in nodes {
            line = line.replacing("\(node.host):\(node.httpPort)", with: "http-\(node.id)")
                .replacing("\(node.host):\(node.raftPort)", with: "raft-\(node.id)")
        }
        return line.replacing(/"time":[ ]?[0-9.e-]+/, with: #""time":T"#)
            .replacing(/"time_s":[ ]?"[^"]+"/, with: #""time_s":"T""#)
            .replacing(
                /"(raft_index|sequence_number|done_at|index|wanted_index|applied_index)":[ ]?[0-9]+/
            ) { match in
                "\"\(match.output.1)\":N"
            }
            .replacing(/(X-Rqlite-Raft-Index: )[0-9]+/) { "\($0.output.1)N" }
            .replacing(/"version":[ ]?"[^"]*"/, with: #""version":"V""#)
            .replacing(/[0-9a-f]{32}-[0-9]+-[0-9]+/, with: "TOKEN")
            .replacing(/reach each other: [^"]*/, with: "reach each other: …")
            .replacing(/ETag: "[^"]+"/, with: "ETag: (a strong tag)")
            .replacing(/(index|applied) [0-9]+/) { "\($0.output.1) N" }
    }
}
