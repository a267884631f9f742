import Gzip
import Service
import Telemetry
import Wire

/// The body of a large answer, made slice by slice while the client takes it: of a result that is
/// there, or of parts that come by and by and are asked for as they are used up.
///
/// `@unchecked Sendable`: it is made on one thread, handed over, and then used by the event loop of
/// its connection alone.
final class AnswerSource: @unchecked Sendable {
    private enum Body {
        case whole(ResultDocument)
        case parts(StreamedDocument)
        case content(StreamedContent)
        /// The rest can't be had.
        case lost
    }

    private var body: Body
    /// Memory that the rows take until the last of them is written, and what packs them.
    private let share: Share?
    /// Bytes of `share`, without what packs.
    private var covered = ResultWindow.bytes
    /// Bytes of parts that were used up and not asked for anew.
    private var unasked = 0
    /// Makes a gzip stream of what goes out.
    private var packer: AnswerPacker?
    /// Whose answer it is, where more of it is to be asked for.
    var request: RequestID?
    /// Takes the time, in seconds since 1970, when the last byte has been handed over.
    var timeOfEnd: Gauge?

    init(_ document: ResultDocument, holding share: Share?) {
        body = .whole(document)
        self.share = share
    }

    /// - Parameter bytes: so many are taken of the share.
    init(
        _ document: StreamedDocument, holding share: Share, of bytes: Int = ResultWindow.bytes
    ) {
        body = .parts(document)
        self.share = share
        covered = bytes
    }

    /// - Parameter share: `ResultWindow.bytes` are taken of it.
    init(_ content: StreamedContent, holding share: Share) {
        body = .content(content)
        self.share = share
    }

    /// What goes out from here on is packed by gzip; before the first of it.
    /// - Returns: false: there is no room for what packs it, and it goes out as it is.
    func pack() -> Bool {
        guard share?.grow(by: AnswerPacker.bytes) == nil else { return false }
        packer = AnswerPacker()
        return true
    }

    /// About `size` bytes more, packed where that is asked for. Fails when the rows are damaged.
    func next(_ size: Int) throws -> (bytes: [UInt8], slice: HTTPSlice) {
        let (bytes, slice) = try plain(size)
        guard let packer else { return (bytes, slice) }
        return (try packer.add(bytes, isLast: slice == .last), slice)
    }

    private func plain(_ size: Int) throws(WireError) -> (bytes: [UInt8], slice: HTTPSlice) {
        switch body {
        case .whole(var document):
            // Leaves `document` the only owner of its memory.
            body = .lost
            let isLast = try document.advance(until: size)
            let bytes = document.takeBytes()
            body = .whole(document)
            return (bytes, isLast ? .last : .more)
        case .parts(var document):
            body = .lost
            let slice = try document.advance(until: size)
            let bytes = document.takeBytes()
            unasked += document.takeUsedUp()
            guard cover(document.heldBytes) else { return (bytes, .failed) }
            body = .parts(document)
            return (bytes, slice)
        case .content(var content):
            body = .lost
            let slice = try content.advance(until: size)
            unasked += content.takeUsedUp()
            let bytes = content.takeBytes()
            body = .content(content)
            if slice == .last { timeOfEnd?.set(Int(WallTime.now().seconds)) }
            return (bytes, slice)
        case .lost: return ([], .failed)
        }
    }

    /// A row may be larger than what parts are ahead.
    private func cover(_ bytes: Int) -> Bool {
        guard bytes > covered, let share else { return true }
        guard share.grow(by: bytes - covered) == nil else { return false }
        covered = bytes
        return true
    }

    func feed(_ part: ResultPart) {
        switch body {
        case .parts(var document):
            body = .lost
            document.feed(part)
            body = .parts(document)
        case .content(var content):
            body = .lost
            content.feed(part)
            body = .content(content)
        case .whole, .lost: break
        }
    }

    /// No more parts come, and the last was not there.
    func fail() { body = .lost }

    /// How much more is to be asked for now, if it is worth it.
    func takeDemand() -> Int? {
        guard unasked >= ResultWindow.demandBytes else { return nil }
        defer { unasked = 0 }
        return unasked
    }
}
