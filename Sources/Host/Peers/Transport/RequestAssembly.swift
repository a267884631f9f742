import Service
import Wire

/// Requests that arrive in parts over one connection, until they are whole. A value: it counts what was
/// asked for, and a peer that sends anything else breaks the protocol.
struct RequestAssembly {
    /// A part of an announced request.
    struct Part: Equatable, Sendable {
        var id: RequestID
        var bytes: [UInt8]
    }

    /// A request that shall come in parts.
    struct Announcement: Equatable, Sendable {
        var id: RequestID
        /// Of the whole.
        var byteCount: Int
    }

    /// What a part brought about.
    enum Progress: Equatable {
        /// Ask for so many bytes more; 0: for none now.
        case ask(Int)
        case whole([UInt8])
        /// Nobody waits for it any more.
        case unwanted
    }

    private struct Arriving {
        let byteCount: Int
        var bytes: [UInt8] = []
        /// There is memory for the whole.
        var isAdmitted = false
        /// Asked for and not come.
        var owed = 0
    }

    /// Of one request, in bytes.
    private let limit: Int
    private let mostRequests: Int
    private let window: Int
    private var arriving: [RequestID: Arriving] = [:]

    /// - Parameters:
    ///   - limit: bytes of one request.
    ///   - mostRequests: that may be arriving at a time.
    ///   - window: bytes of each that are asked for beforehand.
    init(limit: Int, mostRequests: Int, window: Int) {
        self.limit = limit
        self.mostRequests = mostRequests
        self.window = window
    }

    /// Whether anything of the request may still come.
    func contains(_ id: RequestID) -> Bool { arriving[id] != nil }

    /// Those that take memory, with what each takes.
    var admitted: [(id: RequestID, byteCount: Int)] {
        arriving.filter(\.value.isAdmitted).map { ($0.key, $0.value.byteCount) }
            .sorted { $0.id.rawValue < $1.id.rawValue }
    }

    /// A request will come. Nothing is asked for, and nothing taken, until it is admitted.
    mutating func announced(
        _ announcement: Announcement
    ) throws(FrameParser.Violation) {
        let (id, count) = (announcement.id, announcement.byteCount)
        guard count <= limit else { throw .tooLarge(length: count, limit: limit) }
        guard count > 0, arriving[id] == nil else {
            throw .malformed("request \(id.rawValue) is announced with \(count) bytes, or again")
        }
        guard arriving.count < mostRequests else {
            throw .malformed("more than \(mostRequests) requests are announced at a time")
        }
        arriving[id] = Arriving(byteCount: count)
    }

    /// There is memory for the whole request.
    /// - Returns: bytes to ask for; nil if nobody waits for it any more, and the memory is free.
    mutating func admit(_ id: RequestID) -> Int? {
        guard var request = arriving.removeValue(forKey: id) else { return nil }
        request.isAdmitted = true
        request.bytes.reserveCapacity(request.byteCount)
        request.owed = min(window, request.byteCount)
        arriving[id] = request
        return request.owed
    }

    /// Bytes of a request have come.
    mutating func received(_ part: Part) throws(FrameParser.Violation) -> Progress {
        // Of what was dropped here some may be on its way.
        guard let owed = arriving[part.id]?.owed else { return .unwanted }
        guard !part.bytes.isEmpty, part.bytes.count <= owed else {
            throw .malformed(
                "\(part.bytes.count) bytes of request \(part.id.rawValue) come, and "
                    + "\(owed) were asked for")
        }
        // Taken out, so that a change does not copy it.
        guard var request = arriving.removeValue(forKey: part.id) else { return .unwanted }
        request.bytes += part.bytes
        request.owed -= part.bytes.count
        guard request.bytes.count < request.byteCount else { return .whole(request.bytes) }
        let left = request.byteCount - request.bytes.count - request.owed
        let room = min(left, window - request.owed)
        // Not for each part: as often as half of the window is used up.
        let more = room * 2 >= window || room == left ? room : 0
        request.owed += more
        arriving[part.id] = request
        return .ask(more)
    }

    /// Nobody waits for it any more.
    /// - Returns: the memory that it took, in bytes; nil if it is none of those that are arriving.
    mutating func drop(_ id: RequestID) -> Int? {
        arriving.removeValue(forKey: id).map { $0.isAdmitted ? $0.byteCount : 0 }
    }
}
