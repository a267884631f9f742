import Glibc
import Time
import Wire

@testable import Discovery

/// What a plugin's process and the node say to each other: one frame behind its length, and the
/// whole as a stream.
extension FuzzTarget {
    static let pluginFrames = FuzzTarget(name: "plugin-frames", largestInput: 8192) {
        bytes throws(Complaint) in
        try RoundTrip.check(whole: Array(bytes.dropFirst(4))) { (b) throws(WireError) in
            try PluginFrame(decoding: b)
        } encode: {
            Array($0.encoded.dropFirst(4))
        }
        try stream(bytes)
    } seeds: {
        let node = PluginNode(
            flags: PluginNode.Flags(rawValue: 3), nodeID: "1", raftAddress: "h:4002",
            apiURL: "http://h:4001", health: "ok")
        let requests: [PluginRequest] = [
            .resolve, .read(name: "leader"), .write(name: "leader", expected: [1], value: [2, 3]),
            .erase(name: "nodes/1", expected: [1]), .list(prefix: "nodes/"),
            .wait(name: "leader", token: [9]), .describe,
            .update(node, changed: PluginNode.Flags(rawValue: 1)),
        ]
        let contents: [PluginFrame.Content] =
            [
                .config(Array("{}".utf8)),
                .start(
                    PluginOrder(
                        path: "/p.so", mode: "m", key: "k", nodeID: "1", instance: "i",
                        raftAddress: "h:4002", apiURL: "http://h:4001", hostVersion: "1.0")),
                .cancel, .stop,
                .address(
                    DiscoveredAddress(
                        host: "h", port: 4002, priority: 1, weight: 2, timeToLive: .seconds(30),
                        source: "s")),
                .record(RegistryRecord(name: "leader", value: [1], revision: [2])),
                .token([1, 2]), .text("t"), .message("m"), .violation("v"), .returned(-1),
                .log(2, "l"),
                .loaded(PluginIdentity(id: "i", version: "v", vendor: "", license: "MIT")),
                .failed(code: 5, "f"),
            ] + requests.map { .call($0, deadline: .init(nanoseconds: 1_000_000)) }
        let frames = contents.map { PluginFrame(call: 7, content: $0).encoded }
        return frames.enumerated().map { FuzzSeed("frame-\($0)", $1) }
            + [FuzzSeed("stream", frames.flatMap(\.self))]
    }

    /// Receiving ends by an error, at the end at the latest.
    private static func stream(_ bytes: [UInt8]) throws(Complaint) {
        do throws(PluginError) {
            let (channel, other) = try PluginChannel.pair()
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes {
                    send(other, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                guard count > 0 else { break }
                sent += count
            }
            close(other)
            for _ in 0...bytes.count / 13 {
                do throws(PluginChannel.Failure) { _ = try channel.receive() } catch { return }
            }
        } catch {
            throw Complaint("\(error)")
        }
        throw Complaint("more frames than \(bytes.count) bytes can hold")
    }
}
