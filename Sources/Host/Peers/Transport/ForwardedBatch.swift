import Service
import Wire

/// What one read of a connection for forwarded requests brought. What is said of a request always
/// comes after it, and of nothing twice that could be taken for something else; so the order among
/// the kinds is not kept.
struct ForwardedBatch: Sendable {
    var requests: [ClientRequest] = []
    var demands: [PartDemand] = []
    /// Nobody waits for these any more.
    var recalls: [RequestID] = []
    /// Of requests that come in parts, in the order in which they came.
    var announcements: [RequestAssembly.Announcement] = []
    var parts: [RequestAssembly.Part] = []

    /// Frames of later versions are left out.
    @Sendable static func decode(_ batch: FrameBatch) throws -> ForwardedBatch {
        var decoded = ForwardedBatch()
        decoded.requests.reserveCapacity(batch.frames.count)
        for frame in batch.frames {
            var reader = batch.reader(of: frame)
            switch frame.kind {
            case .clientRequest: decoded.requests.append(try ClientRequest(from: &reader))
            case .demand:
                let id = RequestID(try reader.read())
                let bytes = Int(try reader.read(UInt32.self))
                decoded.demands.append(PartDemand(id: id, bytes: bytes))
            case .recall: decoded.recalls.append(RequestID(try reader.read()))
            case .announcement:
                let id = RequestID(try reader.read())
                let bytes = Int(try reader.read(UInt32.self))
                decoded.announcements.append(.init(id: id, byteCount: bytes))
            case .requestPart:
                let id = RequestID(try reader.read())
                let bytes = try reader.readRaw(reader.remaining)
                decoded.parts.append(.init(id: id, bytes: bytes))
            default: break
            }
        }
        return decoded
    }
}
