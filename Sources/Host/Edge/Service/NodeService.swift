/// Takes replies on behalf of many requests: an event loop's HTTP connections, or a connection to
/// another node. `deliver` may be called from any thread; it must hand the batch over at once and
/// never block.
package protocol ReplySink: AnyObject, Sendable {
    func deliver(_ replies: [Reply])

    /// Speaks for another node, which waits no longer than each request's `timeout`.
    var isRemote: Bool { get }
}

extension ReplySink {
    package var isRemote: Bool { false }
}

/// What a node offers to those who speak for clients. Batches cross threads, not requests: callers
/// gather what arrives in one turn of their event loop and submit it together.
package protocol NodeService: Sendable {
    /// Never blocks. Every request is answered exactly once through `sink`.
    func submit(_ requests: [ClientRequest], replyTo sink: any ReplySink)

    /// Nobody waits for the replies to these any more: what only reads may end early. Each request
    /// is answered all the same. Never blocks; unknown and finished requests are ignored. May be
    /// called from any thread, after the request was submitted.
    func cancel(_ requests: [RequestID], replyTo sink: any ReplySink)
}

extension NodeService {
    /// Everything is carried out to its end.
    package func cancel(_ requests: [RequestID], replyTo sink: any ReplySink) {}
}
