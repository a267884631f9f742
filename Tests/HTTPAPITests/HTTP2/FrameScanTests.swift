import NIOCore
import Testing

@testable import HTTPAPI

/// Where frames begin and end.
@Suite struct FrameScanTests {
    private static let head = Frame(.headers, 0, 1, Array(repeating: 1, count: 300))
    private static let rest = Frame(.continuation, Frame.endHeaders, 1, [1, 2])
    private static let goAway = Frame(.goAway, 0, 0, Array(repeating: 0, count: 8))

    @Test(arguments: [1, 2, 7, 9, 10, 1000])
    func `Frames are followed in pieces of any size`(size: Int) {
        var scan = FrameScan(skipping: 3)
        var bytes = [0, 0, 0] + Frame(.settings).bytes + Self.head.bytes
        let headEnd = bytes.count
        bytes += Self.rest.bytes + Self.goAway.bytes
        var found = 0
        var place = 0
        while place < bytes.count {
            let piece = bytes[place..<min(place + size, bytes.count)]
            if scan.follow(ByteBuffer(bytes: piece).readableBytesView, lookingFor: .goAway) {
                found += 1
            }
            place += size
            if place < headEnd, place > 3 + 9 + 9 { #expect(scan.isMidHead && scan.isMidFrame) }
        }
        #expect(found == 1)
        #expect(!scan.isMidFrame)
        #expect(!scan.isMidHead)
    }

    @Test func `A head is open until its last frame has come`() {
        var scan = FrameScan()
        scan.follow(ByteBuffer(bytes: Self.head.bytes).readableBytesView)
        #expect(scan.isMidHead)
        #expect(!scan.isMidFrame)
        let last = Self.rest.bytes
        scan.follow(ByteBuffer(bytes: last.dropLast()).readableBytesView)
        #expect(scan.isMidHead)
        scan.follow(ByteBuffer(bytes: last.suffix(1)).readableBytesView)
        #expect(!scan.isMidHead)
    }

    @Test func `A payload is not looked at`() {
        var scan = FrameScan()
        let data = Frame(.data, 0, 1, Self.goAway.bytes)
        let isFound = scan.follow(
            ByteBuffer(bytes: data.bytes).readableBytesView, lookingFor: .goAway)
        #expect(!isFound)
    }
}
