import Service
import Wire

/// What one read of a connection for forwarded requests brought to who dialed. The order among the kinds
/// is not kept: they are about different requests, or say nothing of each other.
struct ForwardedAnswers: Sendable {
    var replies: [Reply] = []
    /// So much more of a request that goes in parts is wanted.
    var grants: [(number: UInt64, bytes: Int)] = []
    /// The other node takes requests in parts.
    var isWelcome = false

    /// Frames of later versions are left out.
    @Sendable static func decode(_ batch: FrameBatch) throws -> ForwardedAnswers {
        var decoded = ForwardedAnswers()
        decoded.replies.reserveCapacity(batch.frames.count)
        for frame in batch.frames {
            var reader = batch.reader(of: frame)
            switch frame.kind {
            case .reply: decoded.replies.append(try Reply(from: &reader))
            case .grant:
                let number: UInt64 = try reader.read()
                decoded.grants.append((number, Int(try reader.read(UInt32.self))))
            case .welcome: decoded.isWelcome = true
            default: break
            }
        }
        return decoded
    }
}
