import Raft
import Service
import Telemetry

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
        if let elapsed = node.elapsed {
            output.member("time")
            output.real(elapsed.inSeconds)
            text("time_s", elapsed.goText)
        }
        text("error", node.error)
        output.endObject()
    }
}
