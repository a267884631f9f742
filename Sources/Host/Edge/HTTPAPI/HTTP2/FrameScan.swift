import NIOCore

/// Follows the frames of HTTP/2 as their bytes pass in one direction. It looks at nothing but where a
/// frame begins and ends, and what kind it is (RFC 9113 §4.1):
///
///     u24 length | u8 kind | u8 flags | u1 reserved | u31 stream | payload, of that length
struct FrameScan: Equatable {
    /// Those that matter here; others are skipped.
    enum Kind: UInt8 {
        case headers = 1
        case goAway = 7
        case continuation = 9
    }

    private static let headerSize = 9
    /// Of HEADERS and CONTINUATION: the last of a head's frames.
    private static let endHeaders: UInt8 = 0x4

    /// Bytes that come before the next frame: the rest of a payload, or of what stands before all.
    private var rest: Int
    /// Of a frame's first nine bytes, those that have come.
    private var start: [UInt8] = []
    /// A head has begun, and not all of its frames have come.
    private var isHeadOpen = false

    /// - Parameter skipped: bytes that come before the first frame.
    init(skipping skipped: Int = 0) { rest = skipped }

    /// A frame has begun, or the bytes before the first, and more of it must come.
    var isMidFrame: Bool { rest > 0 || !start.isEmpty }

    /// Some of a request's head has come, and not all.
    var isMidHead: Bool { isHeadOpen }

    /// - Returns: whether a frame of that kind began.
    @discardableResult
    mutating func follow(_ bytes: ByteBufferView, lookingFor kind: Kind? = nil) -> Bool {
        var isFound = false
        var bytes = bytes
        while !bytes.isEmpty {
            if rest > 0 {
                let skipped = min(rest, bytes.count)
                bytes = bytes.dropFirst(skipped)
                rest -= skipped
                if rest == 0 { endFrame() }
                continue
            }
            let count = min(Self.headerSize - start.count, bytes.count)
            start += bytes.prefix(count)
            bytes = bytes.dropFirst(count)
            guard start.count == Self.headerSize else { break }
            if let kind, start[3] == kind.rawValue { isFound = true }
            rest = Int(start[0]) << 16 | Int(start[1]) << 8 | Int(start[2])
            beginFrame()
            if rest == 0 { endFrame() }
        }
        return isFound
    }

    private mutating func beginFrame() {
        guard let kind = Kind(rawValue: start[3]) else { return }
        if kind != .goAway { isHeadOpen = true }
    }

    private mutating func endFrame() {
        defer { start.removeAll(keepingCapacity: true) }
        guard start.count == Self.headerSize, let kind = Kind(rawValue: start[3]) else { return }
        if kind != .goAway, start[4] & Self.endHeaders != 0 { isHeadOpen = false }
    }
}
