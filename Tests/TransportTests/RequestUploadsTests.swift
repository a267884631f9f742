import NIOCore
import Service
import Testing

@testable import Transport

/// Large requests on their way out, and in, as values.
@Suite struct RequestUploadsTests {
    private func frame(_ size: Int) -> ByteBuffer {
        ByteBuffer(bytes: (0..<Frame.headerSize + size).map { UInt8($0 & 255) })
    }

    @Test func `Uploads take turns, as far as they are asked for`() {
        var uploads = RequestUploads()
        uploads.add(1, frame(25))
        uploads.add(2, frame(10))
        let announced = (0..<3).map { _ in uploads.next(atMost: 10, inParts: true) }
        #expect(announced == [.announcement(1, bytes: 25), .announcement(2, bytes: 10), nil])
        uploads.granted(1, 12)
        uploads.granted(2, 1 << 40)
        uploads.granted(3, 5)
        var sizes: [[Int]] = []
        var sent: [UInt64: [UInt8]] = [:]
        while case .part(let number, let part, let isLast)? = uploads.next(
            atMost: 10, inParts: true)
        {
            sizes.append([Int(number), part.readableBytes, isLast ? 1 : 0])
            sent[number, default: []] += Array(part.readableBytesView)
        }
        #expect(sizes == [[1, 10, 0], [2, 10, 1], [1, 2, 0]])
        #expect(sent[2] == Array(frame(10).readableBytesView.dropFirst(Frame.headerSize)))
        #expect(uploads.byteCount == 13)
        uploads.granted(1, 13)
        uploads.end(1)
        let rest = uploads.next(atMost: 10, inParts: true)
        #expect(rest == nil && uploads.byteCount == 0)
    }

    @Test func `Credit before the announcement, or less than none, counts for nothing`() {
        var uploads = RequestUploads()
        uploads.add(1, frame(5))
        uploads.granted(1, 100)
        let first = uploads.next(atMost: 10, inParts: true)
        #expect(first == .announcement(1, bytes: 5))
        uploads.granted(1, -7)
        let second = uploads.next(atMost: 10, inParts: true)
        #expect(second == nil)
    }

    @Test func `To a node that takes no parts goes the frame as it is`() {
        var uploads = RequestUploads()
        uploads.add(1, frame(5))
        let pieces = (0..<2).map { _ in uploads.next(atMost: 10, inParts: false) }
        #expect(pieces == [.frame(1, frame(5)), nil] && uploads.byteCount == 0)
    }

    @Test(arguments: [1, 7, 16, 40, 1000])
    func `A request arrives whole, and never is more owed than the window`(window: Int) throws {
        var assembly = RequestAssembly(limit: 1000, mostRequests: 2, window: window)
        var uploads = RequestUploads()
        uploads.add(5, frame(1000))
        guard case .announcement(let number, let count)? = uploads.next(atMost: 13, inParts: true)
        else {
            Issue.record("it is not announced")
            return
        }
        let id = RequestID(number)
        try assembly.announced(.init(id: id, byteCount: count))
        var owed = assembly.admit(id) ?? 0
        #expect(owed > 0)
        uploads.granted(5, owed)
        var whole: [UInt8] = []
        while whole.isEmpty {
            #expect(owed <= window)
            guard case .part(_, let part, _)? = uploads.next(atMost: 13, inParts: true) else {
                Issue.record("nothing may be sent, and \(owed) are owed")
                return
            }
            owed -= part.readableBytes
            switch try assembly.received(.init(id: id, bytes: Array(part.readableBytesView))) {
            case .ask(let more):
                owed += more
                if more > 0 { uploads.granted(5, more) }
            case .whole(let bytes): whole = bytes
            case .unwanted: Issue.record("it is wanted")
            }
        }
        #expect(whole == Array(frame(1000).readableBytesView.dropFirst(Frame.headerSize)))
        #expect(!assembly.contains(id))
    }

    @Test func `Nothing of a request is taken before it is admitted, nor after it is dropped`()
        throws
    {
        var assembly = RequestAssembly(limit: 10, mostRequests: 1, window: 10)
        let id = RequestID(1)
        try assembly.announced(.init(id: id, byteCount: 10))
        #expect(throws: FrameParser.Violation.self) {
            try assembly.announced(.init(id: RequestID(2), byteCount: 1))
        }
        let (dropped, admitted) = (assembly.drop(id), assembly.admit(id))
        #expect(dropped == 0 && admitted == nil)
        let late = try assembly.received(.init(id: id, bytes: [1]))
        #expect(late == .unwanted)
        try assembly.announced(.init(id: id, byteCount: 10))
        #expect(throws: FrameParser.Violation.self) {
            _ = try assembly.received(.init(id: id, bytes: [1]))
        }
    }
}
