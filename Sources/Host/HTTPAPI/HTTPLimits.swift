package import NIOCore

/// What one client connection may make the server hold or wait for.
package struct HTTPLimits: Sendable {
    /// Bytes of all header fields of one request.
    package var headerBytes = 64 * 1024
    /// Header fields of one request.
    package var headerFields = 128
    /// Bytes of a request body that carries statements.
    package var bodyBytes = 256 << 20
    /// Bytes of a body that carries a name or nothing.
    package var smallBodyBytes = 64 * 1024
    /// Unanswered requests of one connection at which reading from it pauses. What one read has
    /// brought in is still answered.
    package var pipelinedRequests = 128
    /// A connection that neither sends nor takes a byte for this long, while it is not waiting
    /// for us, is closed.
    package var idleTimeout = TimeAmount.minutes(5)
    /// After a refusal in the middle of a request, how long the rest of it is taken and dropped, so
    /// that the client gets to read the refusal.
    package var lingerTimeout = TimeAmount.seconds(2)
    /// How long a server that stops waits for clients which keep a connection without a request.
    package var drainPatience = TimeAmount.milliseconds(300)
    /// How long it waits for requests under way.
    package var drainLimit = TimeAmount.seconds(5)
    /// Memory for answers that a connection keeps while it is idle.
    package var retainedBufferBytes = 16 * 1024

    package init() {}
}
