import NIOCore
import NIOHTTP2

/// The limits, as those know them who make frames of bytes: what goes beyond ends the connection, by
/// `GOAWAY`.
extension HTTPLimits {
    // One connection that speaks HTTP/2. It is told that it has as many streams as `pipelinedRequests`
    // says; all but the first count among `connections`. These are the same for all servers: what each
    // connection keeps is not larger for them.

    /// Streams that are served beyond those that were announced: of a client that did not know yet, and
    /// in place of those that it has reset, which are over for it before they are here.
    static let surplusStreams = 128
    /// Streams that were reset here, and of which more may come without harm.
    static let rememberedStreams = 1024
    /// Streams that are refused in one turn of the event loop: each takes memory until that is over.
    static let refusedStreams = 1024
    /// Bytes of a stream that may have come and are not taken yet.
    static let streamWindow = 256 * 1024
    /// Bytes of all streams that may be on their way.
    static let sessionWindow = 1 << 20
    /// Bytes of answers that a stream has written and the connection has not taken, at which no more
    /// is made.
    static let streamOutput = 64 * 1024
    /// Streams that a client resets within `conductWindow`, before the connection ends; also those
    /// that are reset because a frame did not fit.
    static let resetStreams = 200
    /// PING, SETTINGS and PRIORITY frames within `conductWindow`.
    static let controlFrames = 600
    static let conductWindow = TimeAmount.seconds(30)
    /// Answers to PING and SETTINGS that wait for a client that takes nothing.
    static let waitingControlFrames = 1000

    /// Bytes that each field of a list counts beside its own (RFC 9113 §6.5.2).
    private static let fieldOverhead = 32
    /// The least that every end must take as one frame (RFC 9113 §4.2).
    private static let frameBytes = 1 << 14

    /// Those beyond are refused (RFC 9113 §5.1.2).
    var servedStreams: Int { pipelinedRequests + Self.surplusStreams }

    /// Those beyond end the connection. What is refused counts until it is reset.
    private var countableStreams: Int { servedStreams + Self.refusedStreams }

    var ofSessions: NIOHTTP2Handler.ConnectionConfiguration {
        // What of it is too much is told as in HTTP/1.1, unless it is by this much.
        let list = headerBytes + targetBytes + headerFields * Self.fieldOverhead
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.initialSettings = [
            // `HTTP2Greeting` announces another.
            HTTP2Setting(parameter: .maxConcurrentStreams, value: countableStreams),
            HTTP2Setting(parameter: .maxHeaderListSize, value: list),
        ]
        configuration.maximumSequentialContinuationFrames = list / Self.frameBytes + 1
        configuration.maximumRecentlyResetStreams = Self.rememberedStreams
        configuration.maximumBufferedControlFrames = Self.waitingControlFrames
        configuration.maximumConnectionGlitches = Self.resetStreams
        configuration.targetWindowSize = Self.sessionWindow
        configuration.controlFrameRateLimit.maximumCount = Self.controlFrames
        configuration.controlFrameRateLimit.windowLength = Self.conductWindow
        return configuration
    }

    var ofStreams: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.targetWindowSize = Self.streamWindow
        configuration.outboundBufferSizeHighWatermark = Self.streamOutput
        configuration.outboundBufferSizeLowWatermark = Self.streamOutput / 2
        configuration.streamResetFrameRateLimit.maximumCount = Self.resetStreams
        configuration.streamResetFrameRateLimit.windowLength = Self.conductWindow
        configuration.streamErrorRateLimit.maximumCount = Self.resetStreams
        configuration.streamErrorRateLimit.windowLength = Self.conductWindow
        return configuration
    }
}
