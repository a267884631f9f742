package import NIOCore

/// What clients may make the server hold or wait for.
package struct HTTPLimits: Sendable {
    // One request.

    /// Bytes of all header fields of one request.
    package var headerBytes = 64 * 1024
    /// Bytes of what is asked for: path and query string.
    package var targetBytes = 64 * 1024
    /// Bytes that the framing of a chunked body may have beyond its chunks: their lines with all that
    /// stands in them, of which nothing is used. Each part that comes may have `chunkLineBytes` more.
    package var framingBytes = 64 * 1024
    /// See `framingBytes`.
    package var chunkLineBytes = 32
    /// Header fields of one request.
    package var headerFields = 128
    /// Bytes of a request body that carries statements.
    package var bodyBytes = 256 << 20
    /// What the statements of a body may be.
    package var statements = StatementLimits()
    /// Bytes of a body that is a database or a dump, as it is sent. It is kept in a file, whose disk
    /// is the bound.
    package var loadBytes = Int.max
    /// Bytes of such a body that may have come and are not in the file yet.
    package var uploadWindow = 512 * 1024
    /// Bytes of a body whose statements are only shown again, twice and with escapes.
    package var shownBodyBytes = 4 << 20
    /// Bytes of a body that carries a name or nothing.
    package var smallBodyBytes = 64 * 1024
    /// Bytes up to which a body is read on the event loop; a larger one elsewhere, so that others
    /// don't wait.
    package var inlineBodyBytes = 64 * 1024
    /// Bytes up to which an answer is made at once; a larger one in slices of about this size, while
    /// the client takes it.
    package var sliceBytes = 128 * 1024

    /// Between two slices of an answer: the other connections of the event loop have it.
    package var slicePause = TimeAmount.microseconds(50)

    // One connection.

    /// Unanswered requests of one connection at which reading from it pauses, and no more begin. What
    /// one read has brought in beyond waits for its place.
    package var pipelinedRequests = 128
    /// Bytes of bodies of unanswered requests at which reading from a connection pauses.
    package var connectionBodyBytes = 64 << 20
    /// How slow a client may be.
    var pace = HTTPPaceLimits()
    /// After a refusal in the middle of a request, how long the rest of it is taken and dropped, so
    /// that the client gets to read the refusal.
    package var lingerTimeout = TimeAmount.seconds(2)
    /// Memory for answers that a connection keeps while it is idle.
    package var retainedBufferBytes = 16 * 1024

    // The process.

    /// Connections that may ask for anything.
    package var connections = 16_384
    /// Streams of HTTP/2 but the first of each connection; nil: they count among `connections`.
    package private(set) var furtherStreams: Int?
    /// Connections beyond, which may only look at the node: `/readyz`, `/status`, `/debug/vars`.
    package var observerConnections = 64
    /// How long one of these may take for its head, or do nothing.
    package var observerPatience = TimeAmount.seconds(5)
    /// Requests that the node has not answered yet.
    package var requestsInFlight = 16_384
    /// Bytes of request bodies, and of heads, that are being received or not answered yet. What a request
    /// holds of either up to `uncountedBytes` is covered by the bound on requests.
    package var bodyBytesInFlight = 1 << 30
    /// Bodies that are kept in files at a time: each of them takes as much room on the disk as
    /// its database has.
    package var uploads = 8
    /// Bytes of answers that wait for their clients to take them.
    package var answerBytesInFlight = 2 << 30
    /// How long clients must keep to their shares of these behind the last refusal of one that has next to
    /// nothing: see `Pressure`.
    var sharePatience = Pressure.patience
    /// Heads, bodies and answers up to this size are not counted.
    package var uncountedBytes = 16 * 1024
    /// Answers of a connection that wait for an earlier one, or for its client, and of which small ones are
    /// not counted. Behind them only those up to `freeAnswerBytes` are not: else a connection would hold 2 MiB
    /// that nobody knows of.
    package var uncountedAnswers = 4
    /// See `uncountedAnswers`.
    package var freeAnswerBytes = 1024

    // The end of the server.

    /// How long a server that stops waits for clients which keep a connection without a request.
    package var drainPatience = TimeAmount.milliseconds(300)
    /// How long it waits for requests under way.
    package var drainLimit = TimeAmount.seconds(5)

    package init() {}

    /// For a process that takes so many connections of clients at most. Of these some are left for the ones that
    /// may only look at the node, and as many to tell others why they are refused: else these would be closed
    /// without a word, and nobody would have to make room.
    package init(clientConnections: Int) {
        let spare = min(2 * observerConnections, clientConnections / 4)
        let most = connections
        connections = max(1, min(most, clientConnections - spare))
        // They take no descriptors.
        if connections < most { furtherStreams = most }
    }

    /// For a connection that may only look at the node.
    var forObservers: HTTPLimits {
        var limits = self
        limits.pace.head = min(pace.head, .nanoseconds(observerPatience.nanoseconds))
        limits.pace.idle = min(pace.idle, .nanoseconds(observerPatience.nanoseconds))
        return limits
    }
}
