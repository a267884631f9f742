import NIOCore
import NIOPosix
import Service
import Synchronization
import Wire

/// How requests are written: small ones together and in their order, large ones piece by piece beside
/// them. All on the link's event loop.
extension ForwardLink {
    /// Few bytes, and without them what fills the connection may never end: they don't wait.
    func say(_ words: [OutstandingForwards.Word], on channel: any Channel) {
        guard !words.isEmpty else { return }
        var writer = ByteWriter(reserving: words.count * 32)
        for word in words {
            switch word {
            case .demand(let number, let bytes):
                writer.writeFrame(.demand) {
                    $0.write(number)
                    $0.write(UInt32(clamping: bytes))
                }
            case .recall(let number): writer.writeFrame(.recall) { $0.write(number) }
            }
        }
        channel.writeAndFlush(ByteBuffer(bytes: writer.bytes), promise: nil)
    }

    func write(on channel: any Channel) {
        guard !state.withLock(\.isEncoding) else { return }
        say(state.withLock { $0.outstanding.takeWords() }, on: channel)
        var hasWritten = false
        while channel.isWritable {
            var numbered = state.withLock { takeNumbered(&$0) }
            guard !numbered.isEmpty else { break }
            let large = numbered.filter(isLarge)
            for (number, request) in large { prepare(number, request) }
            if !large.isEmpty { numbered.removeAll(where: isLarge) }
            guard !numbered.isEmpty else { continue }
            let size = numbered.reduce(0) { $0 + $1.1.approximateSize }
            guard size <= transport.limits.largeFrameBytes else {
                encodeElsewhere(numbered, for: channel)
                break
            }
            channel.write(Self.encoded(numbered), promise: nil)
            hasWritten = true
        }
        if hasWritten { channel.flush() }
        writePieces(on: channel)
    }

    private func isLarge(_ numbered: (UInt64, ClientRequest)) -> Bool { isLarge(numbered.1) }

    func isLarge(_ request: ClientRequest) -> Bool {
        request.approximateSize > transport.limits.wholeRequestBytes
    }

    /// A large request is encoded beside the loop, and then goes out piece by piece; others may
    /// overtake it.
    private func prepare(_ number: UInt64, _ request: ClientRequest) {
        let size = request.approximateSize
        state.withLock { $0.preparingBytes += size }
        transport.codec.submit { [self] _ in
            let frame = Self.encoded([(number, request)])
            loop.execute { [self] in
                let channel = state.withLock { state -> (any Channel)? in
                    state.preparingBytes -= size
                    // On another connection it has no number: who waits for it has been told.
                    state.outstanding.upload(number, frame)
                    if case .connected(let channel) = state.phase { return channel }
                    return nil
                }
                if let channel { writePieces(on: channel) }
            }
        }
    }

    /// As little at a time as lets others get between soon.
    func writePieces(on channel: any Channel) {
        let limits = transport.limits
        var hasWritten = false
        while channel.isWritable {
            let piece = state.withLock { state -> RequestUploads.Piece? in
                guard let takesParts = state.takesParts, state.unwrittenBytes < limits.backlogBytes
                else { return nil }
                return state.outstanding.nextPiece(
                    atMost: limits.requestPartBytes, inParts: takesParts)
            }
            guard let piece else { break }
            hasWritten = true
            var bytes = ByteBuffer()
            if case .frame(_, let whole) = piece {
                bytes = whole
            } else {
                var writer = ByteWriter(reserving: limits.requestPartBytes + 64)
                writer.write(piece)
                bytes = ByteBuffer(bytes: writer.bytes)
            }
            let count = bytes.readableBytes
            state.withLock { $0.unwrittenBytes += count }
            let written = loop.makePromise(of: Void.self)
            written.futureResult.whenComplete { [self] _ in wrote(count, on: channel) }
            channel.write(bytes, promise: written)
        }
        if hasWritten { channel.flush() }
    }

    private func wrote(_ count: Int, on channel: any Channel) {
        let isCurrent = state.withLock { state -> Bool in
            guard case .connected(let current) = state.phase, current === channel else {
                return false
            }
            state.unwrittenBytes -= count
            return true
        }
        // Not from inside the connection's own write.
        if isCurrent { loop.execute { self.writePieces(on: channel) } }
    }

    /// The other node takes requests in parts, or has had the time to say so.
    func learned(takesParts: Bool, on channel: any Channel) {
        let isNews = state.withLock { state -> Bool in
            guard case .connected(let current) = state.phase, current === channel,
                state.takesParts == nil
            else { return false }
            state.takesParts = takesParts
            return true
        }
        if isNews { writePieces(on: channel) }
    }

    /// The loop also carries what keeps the leader: it has no time for megabytes.
    private func encodeElsewhere(
        _ numbered: [(UInt64, ClientRequest)], for channel: any Channel
    ) {
        state.withLock { $0.isEncoding = true }
        transport.codec.submit { [self] _ in
            let bytes = Self.encoded(numbered)
            loop.execute { [self] in
                state.withLock { $0.isEncoding = false }
                // On another connection they would be sent twice: who waits for them has been told.
                channel.writeAndFlush(bytes, promise: nil)
                flush()
            }
        }
    }

    private static func encoded(_ numbered: [(UInt64, ClientRequest)]) -> ByteBuffer {
        var writer = ByteWriter(reserving: numbered.count * 512)
        for (number, request) in numbered {
            writer.writeFrame(.clientRequest) {
                request.encode(into: &$0, id: RequestID(number))
            }
        }
        return ByteBuffer(bytes: writer.bytes)
    }

    /// Moves batches from the queue to what is outstanding, about as much as one write shall hold.
    private func takeNumbered(_ state: inout State) -> [(UInt64, ClientRequest)] {
        var numbered: [(UInt64, ClientRequest)] = []
        var taken = 0
        var bytes = 0
        for batch in state.queue {
            guard bytes < transport.limits.writeBatchBytes else { break }
            for request in batch.requests {
                var open = OutstandingForwards.Request(
                    id: request.id, sink: batch.sink, arrival: batch.arrival,
                    patience: patience(of: request))
                if isLarge(request) { open.unwritten = (request, batch.unsent) }
                let number = state.outstanding.add(open)
                numbered.append((number, request))
            }
            bytes += batch.size
            taken += 1
        }
        state.queue.removeFirst(taken)
        state.queuedBytes -= bytes
        return numbered
    }
}
