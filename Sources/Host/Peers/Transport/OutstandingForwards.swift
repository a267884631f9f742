import NIOCore
import PeerProtocol
import Service
import Wire

/// The requests that were written to one connection and are not answered to their end, each under
/// its number, and what is still to be said of them. An answer comes whole, or in parts: then it may
/// take as long as it takes, but what was asked for comes within the request's time.
struct OutstandingForwards {
    /// A request that was written.
    struct Request {
        var id: RequestID
        var sink: any ReplySink
        /// For the next that is to come.
        var deadline: NIODeadline
        /// From asking to getting.
        var patience: TimeAmount
        /// The request itself, and who takes it back, while not all of it was written: the other node
        /// can't have done anything then.
        var unwritten: (request: ClientRequest, unsent: ForwardLink.Unsent?)?
        /// Bytes of an answer in parts that were asked for and have not come; nil: no part came yet.
        fileprivate var owed: Int?

        init(id: RequestID, sink: any ReplySink, arrival: NIODeadline, patience: TimeAmount) {
            self.id = id
            self.sink = sink
            self.patience = patience
            deadline = arrival + patience
        }

        /// More is asked for, or some of it has come.
        fileprivate mutating func owe(_ bytes: Int) {
            let before = owed ?? ResultWindow.bytes
            let (after, overflow) = before.addingReportingOverflow(bytes)
            owed = overflow ? .max : after
            if after <= 0 {
                deadline = .distantFuture
            } else if bytes < 0 || before <= 0 {
                deadline = .now() + patience
            }
        }
    }

    /// What is said of a request that was written.
    enum Word: Equatable {
        case demand(UInt64, bytes: Int)
        case recall(UInt64)
    }

    /// What a reply is.
    enum Receipt {
        case expected(Request)
        /// More than was asked for: the answer ends with this.
        case unasked(Request)
        /// Nobody waits for it.
        case unknown
    }

    private struct Name: Hashable {
        let sink: ObjectIdentifier
        let id: RequestID

        init(_ id: RequestID, _ sink: any ReplySink) {
            self.id = id
            self.sink = ObjectIdentifier(sink)
        }
    }

    private var requests: [UInt64: Request] = [:]
    /// The numbers of answers that come in parts.
    private var streams: [Name: UInt64] = [:]
    private var lastNumber: UInt64 = 0
    /// Not written yet.
    private var words: [Word] = []
    /// Those that are written piece by piece.
    private var uploads = RequestUploads()

    var isEmpty: Bool { requests.isEmpty }
    var hasWords: Bool { !words.isEmpty }

    /// - Returns: the number of the request.
    mutating func add(_ request: Request) -> UInt64 {
        lastNumber += 1
        requests[lastNumber] = request
        return lastNumber
    }

    mutating func takeWords() -> [Word] {
        defer { words = [] }
        return words
    }

    /// The connection is gone, and with it all that was to be said.
    mutating func takeAll() -> [Request] {
        defer {
            requests = [:]
            streams = [:]
            words = []
            uploads = RequestUploads()
        }
        return requests.sorted { $0.key < $1.key }.map(\.value)
    }

    // MARK: Large requests

    /// Bytes of requests that are not written.
    var uploadingBytes: Int { uploads.byteCount }

    /// - Parameter frame: the request under its number, as a frame. It is dropped if nobody waits for
    ///   the answer any more.
    mutating func upload(_ number: UInt64, _ frame: ByteBuffer) {
        if requests[number] != nil { uploads.add(number, frame) }
    }

    /// See `RequestUploads.granted`.
    mutating func granted(_ number: UInt64, _ bytes: Int) { uploads.granted(number, bytes) }

    /// What is to be written next of large requests; it counts as written from here on.
    mutating func nextPiece(atMost limit: Int, inParts: Bool) -> RequestUploads.Piece? {
        let piece = uploads.next(atMost: limit, inParts: inParts)
        switch piece {
        case .part(let number, _, isLast: true), .frame(let number, _):
            requests[number]?.unwritten = nil
        case .part, .announcement, nil: break
        }
        return piece
    }

    // MARK: Answers in parts

    mutating func demand(_ demands: [PartDemand], of sink: any ReplySink) {
        guard !streams.isEmpty else { return }
        for demand in demands {
            guard let number = streams[Name(demand.id, sink)] else { continue }
            requests[number]?.owe(demand.bytes)
            words.append(.demand(number, bytes: demand.bytes))
        }
    }

    /// Nobody waits for these any more.
    mutating func recall(_ ids: Set<RequestID>, of sink: any ReplySink) {
        let gone = requests.filter { $0.value.sink === sink && ids.contains($0.value.id) }
        for number in gone.keys.sorted() {
            end(number)
            words.append(.recall(number))
        }
    }

    /// What has not come in time; it is recalled.
    mutating func takeLate(at now: NIODeadline) -> [Request] {
        let late = requests.filter { $0.value.deadline < now }.keys.sorted()
        return late.compactMap { number in
            words.append(.recall(number))
            return end(number)
        }
    }

    mutating func receive(_ reply: Reply) -> Receipt {
        let number = reply.id.rawValue
        guard case .part(let part) = reply.outcome, !part.isLast else {
            return end(number).map { .expected($0) } ?? .unknown
        }
        guard var request = requests[number] else { return .unknown }
        if let owed = request.owed, owed <= 0 {
            words.append(.recall(number))
            end(number)
            return .unasked(request)
        }
        if request.owed == nil { streams[Name(request.id, request.sink)] = number }
        request.owe(-part.byteCount)
        requests[number] = request
        return .expected(request)
    }

    @discardableResult
    private mutating func end(_ number: UInt64) -> Request? {
        guard let ended = requests.removeValue(forKey: number) else { return nil }
        uploads.end(number)
        if ended.owed != nil { streams[Name(ended.id, ended.sink)] = nil }
        return ended
    }
}
