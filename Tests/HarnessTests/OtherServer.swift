import HarnessBackends

/// A server that the harness under test did not start.
final class OtherServer {
    private let server: DocumentServer

    init() throws { server = try DocumentServer() }

    deinit { server.stop() }

    var url: String { server.url }

    /// Whether no record is left.
    var isEmpty: Bool { server.recordCount == 0 }
}
