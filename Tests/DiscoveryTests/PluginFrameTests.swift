import Testing
import Time
import Wire

@testable import Discovery

/// The frames between a node and the process of a plugin.
@Suite struct PluginFrameTests {
    private static let order = PluginOrder(
        path: "/p.so", mode: "m", key: "k", nodeID: "1", instance: "m-1", raftAddress: "a:1",
        apiURL: "http://a:2", hostVersion: "1.2")
    private static let address = DiscoveredAddress(
        host: "2001:db8::1", port: 65535, priority: 1, weight: 2, timeToLive: .seconds(30),
        source: "é")

    static let contents: [PluginFrame.Content] = [
        .config([]), .config([1, 2, 0]), .start(order),
        .call(.resolve, deadline: MonotonicTime(nanoseconds: .max)),
        .call(.read(name: "leader"), deadline: MonotonicTime(nanoseconds: 1)),
        .call(.write(name: "n", expected: [], value: [7]), deadline: MonotonicTime(nanoseconds: 2)),
        .call(.erase(name: "n", expected: [1]), deadline: MonotonicTime(nanoseconds: 3)),
        .call(.list(prefix: ""), deadline: MonotonicTime(nanoseconds: 4)),
        .call(.wait(name: "", token: [0]), deadline: MonotonicTime(nanoseconds: 5)),
        .call(.describe, deadline: MonotonicTime(nanoseconds: 6)),
        .call(
            .update(
                PluginNode(
                    flags: [.joined, .leads], nodeID: "1", raftAddress: "a:1",
                    apiURL: "http://a:2", health: "é"), changed: .leads),
            deadline: MonotonicTime(nanoseconds: 7)),
        .cancel, .stop, .address(address),
        .record(RegistryRecord(name: "n", value: [1], revision: [2, 3])), .token([9]),
        .text("{}"), .message("no"), .violation("x"), .returned(-1), .log(2, "line"),
        .loaded(PluginIdentity(id: "i", version: "1", vendor: "", license: "MIT")),
        .failed(code: 3, "why"),
    ]

    @Test(arguments: contents)
    func `A frame comes back as it was`(_ content: PluginFrame.Content) throws {
        let frame = PluginFrame(call: 1 << 40, content: content)
        let bytes = frame.encoded
        #expect(Int(bytes[0]) | Int(bytes[1]) << 8 == bytes.count - 4)
        #expect(try PluginFrame(decoding: Array(bytes[4...])) == frame)
    }

    @Test(arguments: contents)
    func `A frame that is cut or too long is refused`(_ content: PluginFrame.Content) {
        let bytes = Array(PluginFrame(call: 1, content: content).encoded[4...])
        for count in 0..<bytes.count {
            #expect(throws: WireError.self) { try PluginFrame(decoding: Array(bytes[..<count])) }
        }
        #expect(throws: WireError.trailingBytes(1)) { try PluginFrame(decoding: bytes + [0]) }
    }

    /// Every byte of every frame takes other values: each is decoded or refused, and none traps.
    @Test func `No changed byte does harm`() {
        for content in Self.contents {
            let bytes = Array(PluginFrame(call: 1, content: content).encoded[4...])
            for position in bytes.indices {
                for value: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] {
                    var changed = bytes
                    changed[position] = value
                    _ = try? PluginFrame(decoding: changed)
                }
            }
        }
    }

    @Test func `An unknown kind is named`() {
        #expect(throws: WireError.invalid(field: "kind of frame", value: 99)) {
            try PluginFrame(decoding: [1, 0, 0, 0, 0, 0, 0, 0, 99])
        }
    }
}
