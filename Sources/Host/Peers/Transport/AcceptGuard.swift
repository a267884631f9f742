import Glibc
import NIOCore
import NIOPosix
import PeerProtocol

/// Keeps a listener going when a connection can't be accepted for lack of descriptors or memory: it
/// pauses, where the kernel would else report the waiting connection again and again, and lets go of
/// a reserve descriptor to accept that connection and close it, so that its client hears at once.
/// Installed on the listening channel.
final class AcceptGuard: ChannelInboundHandler {
    typealias InboundIn = any Channel

    /// Connections turned away per pause at most.
    private static let maxTurnedAway = 64

    private let pause: TimeAmount
    private let failed: @Sendable (TransportError) -> Void
    /// Nil when none could be had, or while it is lent.
    private var reserve: Int32?
    private var isPausing = false

    /// - Parameters:
    ///   - pause: after a failure, before the next connection is accepted.
    ///   - failed: called once per pause.
    init(pause: TimeAmount, failed: @escaping @Sendable (TransportError) -> Void) {
        self.pause = pause
        self.failed = failed
        reserve = Self.openReserve()
    }

    /// NIO closes the listener itself for what makes it useless (EBADF and the like), and leaves it
    /// open for the rest.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let code = (error as? IOError)?.errnoCode else {
            return context.fireErrorCaught(error)
        }
        switch code {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM:
            if code == EMFILE || code == ENFILE { turnAway(context) }
            guard !isPausing else { return }
            isPausing = true
            // Not by holding back reads: one is pending, and the listener would go on with it.
            try? context.channel.syncOptions?.setOption(.autoRead, value: false)
            failed(
                TransportError(
                    .other, address: context.channel.localText,
                    cause: "can't accept a connection: \(String(cString: strerror(code)))"))
            context.eventLoop.assumeIsolated().scheduleTask(in: pause) {
                self.isPausing = false
                if self.reserve == nil { self.reserve = Self.openReserve() }
                try? context.channel.syncOptions?.setOption(.autoRead, value: true)
            }
        default: context.fireErrorCaught(error)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if let reserve { close(reserve) }
        reserve = nil
    }

    /// Accepts with the reserve's descriptor what waits, one after the other, and closes it.
    private func turnAway(_ context: ChannelHandlerContext) {
        guard let reserve else { return }
        close(reserve)
        self.reserve = nil
        // A listener that doesn't show its descriptor only pauses.
        _ = try? context.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { listener in
            for _ in 0..<Self.maxTurnedAway {
                let accepted = accept(listener, nil, nil)
                guard accepted >= 0 else { break }
                close(accepted)
            }
        }
        self.reserve = Self.openReserve()
    }

    private static func openReserve() -> Int32? {
        let descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC)
        return descriptor < 0 ? nil : descriptor
    }
}
