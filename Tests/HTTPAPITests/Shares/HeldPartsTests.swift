import NIOCore
import NIOHTTP1
import Testing

@testable import HTTPAPI

/// What waits for a verdict: how it is kept, and what it counts.
@Suite struct HeldPartsTests {
    private let budget = Budget(1 << 20)

    private func makeHeld() -> HeldParts { HeldParts(countedIn: Share(of: budget, for: nil)) }

    private static func head(_ uri: String) -> HTTPServerRequestPart {
        .head(HTTPRequestHead(version: .http1_1, method: .POST, uri: uri))
    }

    @Test func `Parts of a body are kept together, without the buffers that they came in`() throws {
        var held = makeHeld()
        let read = ByteBuffer(repeating: 7, count: 1 << 16)
        for place in 0..<100 {
            let part = try #require(read.getSlice(at: place, length: 1))
            #expect(held.append(.body(part)) == nil)
        }
        guard case .body(let bytes)? = held.popFirst() else {
            Issue.record("there is no body")
            return
        }
        #expect(bytes.readableBytes == 100)
        #expect(bytes.storageCapacity < 1 << 12)
        #expect(held.popFirst() == nil)
    }

    @Test func `All comes out in its order`() {
        var held = makeHeld()
        let bodies = ["a", "b", "c"].map { HTTPServerRequestPart.body(ByteBuffer(string: $0)) }
        let parts = [bodies[0], bodies[1], .end(nil), Self.head("/1"), bodies[2]]
        for part in parts { #expect(held.append(part) == nil) }
        let expected: [HTTPServerRequestPart] = [
            .body(ByteBuffer(string: "ab")), .end(nil), Self.head("/1"), bodies[2],
        ]
        for part in expected { #expect(held.popFirst() == part) }
        #expect(held.popFirst() == nil)
        #expect(budget.inUse == 0)
    }

    @Test func `What is taken out counts no longer, and neither does what is dropped`() {
        var held = makeHeld()
        #expect(held.append(.body(ByteBuffer(repeating: 7, count: 1000))) == nil)
        #expect(held.append(.end(nil)) == nil)
        #expect(budget.inUse > 1000)
        _ = held.popFirst()
        #expect(budget.inUse > 0 && budget.inUse < 1000)
        #expect(held.append(.body(ByteBuffer(repeating: 7, count: 2000))) == nil)
        #expect(held.append(.body(ByteBuffer(repeating: 7, count: 1 << 20))) == .ofNode)
        held.drop()
        #expect(held.isDropped)
        #expect(budget.inUse == 0)
        #expect(held.append(.body(ByteBuffer(repeating: 7, count: 1 << 20))) == nil)
        #expect(held.popFirst() == nil)
    }
}
