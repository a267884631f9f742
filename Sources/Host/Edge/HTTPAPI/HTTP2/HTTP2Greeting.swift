import NIOCore

/// Stands before what makes frames of bytes until the client's settings have come, and lets the limits
/// that this side has announced count from then on, not from when the client says that it knows them:
/// its first requests are on their way by then, and their heads would be bounded by 16 KiB. The limits
/// give more than those that count before, so a client that doesn't know them keeps them.
///
/// How many streams there may be it announces itself: for what is behind, a stream beyond is the end of
/// the connection, also if the client could not know.
///
/// For that, what is behind takes two announcements for sent, and the first for acknowledged. Only one
/// of them goes out; when the client acknowledges that, it is the second.
final class HTTP2Greeting: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// What a frame begins with: u24 length | u8 kind | u8 flags | u32 stream.
    private static let frameHeader = 9
    private static let settings: UInt8 = 4
    private static let acknowledgement: [UInt8] = [0, 0, 0, settings, 1, 0, 0, 0, 0]
    /// A setting is u16 what | u32 value; of this one the value is how many streams may be open.
    private static let settingSize = 6
    private static let concurrentStreams: UInt16 = 3
    /// No frame is larger, before others are allowed (RFC 9113 §6.5.2).
    private static let largestFrame = 1 << 14

    private var bytes = ByteBuffer()
    private var isOver = false
    private var announcements = 0
    private let streams: UInt32

    /// - Parameter streams: how many may be open.
    init(streams: Int) { self.streams = UInt32(streams) }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        announcements += 1
        switch announcements {
        case 1:
            guard case .byteBuffer(let frame) = unwrapOutboundIn(data) else {
                preconditionFailure("the first frame of a connection is in no buffer")
            }
            context.write(wrapOutboundOut(.byteBuffer(announcing(frame))), promise: promise)
        case 2: promise?.succeed()
        default: context.write(data, promise: promise)
        }
    }

    /// A frame of settings, with the number of streams that holds.
    private func announcing(_ frame: ByteBuffer) -> ByteBuffer {
        var frame = frame
        var place = frame.readerIndex + Self.frameHeader
        while place + Self.settingSize <= frame.writerIndex {
            if frame.getInteger(at: place, as: UInt16.self) == Self.concurrentStreams {
                frame.setInteger(streams, at: place + 2)
            }
            place += Self.settingSize
        }
        return frame
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var new = unwrapInboundIn(data)
        bytes.writeBuffer(&new)
        guard !isOver, let length = lengthOfBeginning, bytes.readableBytes >= length else { return }
        isOver = true
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }

    /// Of the preface and the first frame; nil: more must come to tell.
    private var lengthOfBeginning: Int? {
        let start = bytes.readerIndex + HTTPOpening.preface.utf8CodeUnitCount
        guard let header = bytes.getBytes(at: start, length: Self.frameHeader) else { return nil }
        let payload = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
        let isSettings = header[3] == Self.settings && payload <= Self.largestFrame
        // Whatever else it is, it ends the connection.
        return HTTPOpening.preface.utf8CodeUnitCount + (isSettings ? Self.frameHeader + payload : 0)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        guard isOver, let length = lengthOfBeginning,
            let beginning = bytes.readSlice(length: length)
        else { return }
        context.fireChannelRead(wrapInboundOut(beginning))
        if length > HTTPOpening.preface.utf8CodeUnitCount {
            context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: Self.acknowledgement)))
        }
        if bytes.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(bytes)) }
        context.fireChannelReadComplete()
    }
}
