/// Takes replies on behalf of many requests: an event loop's HTTP connections, or a connection to
/// another node. `deliver` may be called from any thread; it must hand the batch over at once and
/// never block.
package protocol ReplySink: AnyObject, Sendable {
    func deliver(_ replies: [Reply])

    /// Speaks for another node, which waits no longer than each request's `timeout` for a reply,
    /// and for each further part that it asked for.
    var isRemote: Bool { get }

    /// Takes answers in parts, and asks for them.
    var takesParts: Bool { get }
}

extension ReplySink {
    package var isRemote: Bool { false }
    package var takesParts: Bool { false }
}

/// So many more bytes of an answer in parts are wanted.
package struct PartDemand: Equatable, Sendable {
    /// Of the request.
    package var id: RequestID
    /// As `ResultPart.byteCount` counts them; at most a window is ever open.
    package var bytes: Int

    package init(id: RequestID, bytes: Int) {
        self.id = id
        self.bytes = bytes
    }
}

/// What a node offers to those who speak for clients. Batches cross threads, not requests: callers
/// gather what arrives in one turn of their event loop and submit it together.
package protocol NodeService: Sendable {
    /// Never blocks. Every request is answered exactly once through `sink`: by one reply, or by
    /// parts until their end.
    func submit(_ requests: [ClientRequest], replyTo sink: any ReplySink)

    /// Nobody waits for the replies to these any more: what only reads may end early. Each request
    /// is answered all the same. Never blocks; unknown and finished requests are ignored. May be
    /// called from any thread, after the request was submitted.
    func cancel(_ requests: [RequestID], replyTo sink: any ReplySink)

    /// The sink has taken parts and wants more. Never blocks; what is not under way is ignored. May
    /// be called from any thread.
    func demand(_ demands: [PartDemand], replyTo sink: any ReplySink)
}

extension NodeService {
    /// Everything is carried out to its end.
    package func cancel(_ requests: [RequestID], replyTo sink: any ReplySink) {}

    /// Nothing is answered in parts.
    package func demand(_ demands: [PartDemand], replyTo sink: any ReplySink) {}
}
