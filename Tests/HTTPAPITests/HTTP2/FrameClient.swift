import JSON
import NIOCore
import NIOEmbedded
import NIOHPACK
import Telemetry
import Testing

@testable import HTTPAPI

/// A frame of HTTP/2 as it stands on the wire.
struct Frame: Equatable {
    enum Kind: UInt8 {
        case data, headers, priority, reset, settings, pushPromise, ping, goAway, windowUpdate
        case continuation
    }

    static let endStream: UInt8 = 0x1
    static let acknowledges: UInt8 = 0x1
    static let endHeaders: UInt8 = 0x4

    var kind: UInt8
    var flags: UInt8 = 0
    var stream: UInt32 = 0
    var payload: [UInt8] = []

    init(_ kind: Kind, _ flags: UInt8 = 0, _ stream: UInt32 = 0, _ payload: [UInt8] = []) {
        self.kind = kind.rawValue
        self.flags = flags
        self.stream = stream
        self.payload = payload
    }

    /// - Parameter bytes: loses the frame that was taken.
    init?(taking bytes: inout ByteBuffer) {
        guard let length = bytes.getBytes(at: bytes.readerIndex, length: 3) else { return nil }
        let count = Int(length[0]) << 16 | Int(length[1]) << 8 | Int(length[2])
        guard bytes.readableBytes >= 9 + count, bytes.readBytes(length: 3) != nil,
            let kind = bytes.readInteger(as: UInt8.self),
            let flags = bytes.readInteger(as: UInt8.self),
            let stream = bytes.readInteger(as: UInt32.self),
            let payload = bytes.readBytes(length: count)
        else { return nil }
        self.kind = kind
        self.flags = flags
        self.stream = stream
        self.payload = payload
    }

    var bytes: [UInt8] {
        let count = payload.count
        return [UInt8(count >> 16), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF), kind, flags]
            + Self.bytes(stream) + payload
    }

    static func bytes(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    }

    func isA(_ kind: Kind) -> Bool { self.kind == kind.rawValue }

    /// A number in the payload.
    func number(at place: Int) -> UInt32 {
        payload[place..<(place + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// A client that speaks HTTP/2 frame by frame, also such as no client should send.
final class FrameClient {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    /// What came back on one stream.
    struct StreamAnswer: Equatable {
        var status: String?
        var interim: [String] = []
        var fields: [String: String] = [:]
        var body: [UInt8] = []
        var isWhole = false
        /// Of RST_STREAM.
        var resetCode: UInt32?

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    let client: Client
    private var encoder = HPACKEncoder(allocator: ByteBufferAllocator())
    private var decoder = HPACKDecoder(allocator: ByteBufferAllocator())
    private var received = ByteBuffer()
    /// All frames that came, on streams or not.
    private(set) var frames: [Frame] = []
    private(set) var streams: [UInt32: StreamAnswer] = [:]

    /// - Parameter window: bytes that each stream may send before the client asks for more.
    init(_ client: Client, window: UInt32? = nil, greets: Bool = true) throws {
        self.client = client
        guard greets else { return }
        let settings = window.map { [0, 4] + Frame.bytes($0) } ?? []
        try send(Self.preface + Frame(.settings, 0, 0, settings).bytes)
        try send(Frame(.settings, Frame.acknowledges))
    }

    var channel: EmbeddedChannel { client.channel }

    func send(_ bytes: [UInt8]) throws {
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        channel.embeddedEventLoop.run()
        try receive()
    }

    func send(_ frames: Frame...) throws { try send(frames.flatMap(\.bytes)) }

    func advance(_ time: TimeAmount = .milliseconds(1)) throws {
        channel.embeddedEventLoop.advanceTime(by: time)
        try receive()
    }

    private func receive() throws {
        while let part = try channel.readOutbound(as: ByteBuffer.self) {
            received.writeImmutableBuffer(part)
        }
        while let frame = Frame(taking: &received) {
            frames.append(frame)
            try take(frame)
        }
    }

    private func take(_ frame: Frame) throws {
        guard frame.stream > 0 else { return }
        var answer = streams[frame.stream] ?? StreamAnswer()
        if frame.isA(.headers) {
            var block = ByteBuffer(bytes: frame.payload)
            let fields = try decoder.decodeHeaders(from: &block)
            let status = try #require(fields.first(name: ":status"))
            if status.hasPrefix("1") {
                answer.interim.append(status)
            } else {
                answer.status = status
                for (name, value, _) in fields { answer.fields[name] = value }
            }
        } else if frame.isA(.data) {
            answer.body += frame.payload
        } else if frame.isA(.reset) {
            answer.resetCode = frame.number(at: 0)
        }
        if frame.isA(.headers) || frame.isA(.data), frame.flags & Frame.endStream != 0 {
            answer.isWhole = true
        }
        streams[frame.stream] = answer
    }

    /// What the server has counted under a name.
    func counted(_ name: String) -> JSONValue? {
        JSONValue.object(client.metrics.snapshot())["http"]?[name]
    }

    // MARK: Requests

    func head(
        _ stream: UInt32, _ fields: [(String, String)], ends: Bool = true
    ) throws -> Frame {
        var block = ByteBuffer()
        try encoder.encode(headers: HPACKHeaders(fields), to: &block)
        return Frame(
            .headers, Frame.endHeaders | (ends ? Frame.endStream : 0), stream,
            Array(block.readableBytesView))
    }

    func head(
        _ stream: UInt32, _ method: String, _ path: String, _ fields: [(String, String)] = [],
        ends: Bool = true
    ) throws -> Frame {
        try head(
            stream,
            [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)]
                + fields, ends: ends)
    }

    @discardableResult
    func request(
        _ stream: UInt32, _ method: String, _ path: String, _ fields: [(String, String)] = [],
        body: String? = nil
    ) throws -> StreamAnswer {
        let head = try head(stream, method, path, fields, ends: body == nil)
        if let body {
            try send(head, Frame(.data, Frame.endStream, stream, Array(body.utf8)))
        } else {
            try send(head)
        }
        return streams[stream] ?? StreamAnswer()
    }

    func openWindow(_ stream: UInt32, _ bytes: UInt32) throws {
        try send(Frame(.windowUpdate, 0, stream, Frame.bytes(bytes)))
    }

    func reset(_ stream: UInt32) -> Frame { Frame(.reset, 0, stream, Frame.bytes(8)) }

    /// The codes of all GOAWAY that came.
    var goAways: [UInt32] { frames.filter { $0.isA(.goAway) }.map { $0.number(at: 4) } }
}
