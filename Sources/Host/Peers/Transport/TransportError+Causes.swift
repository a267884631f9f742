import Glibc
import NIOCore
import NIOPosix
import PeerProtocol

/// Puts the errors of sockets, resolver and parser into words.
extension TransportError {
    init(_ error: any Error, address: String) {
        switch error {
        case let error as TransportError:
            self = error
        case let error as NIOConnectionError:
            self.init(connecting: error, address: address)
        case let error as IOError:
            self.init(errno: error.errnoCode, address: address)
        case let error as NameFailure:
            self.init(error, address: address)
        case ChannelError.connectTimeout(let time):
            self = .timedOut(address, after: time)
        case ChannelError.eof, ChannelError.ioOnClosedChannel, ChannelError.alreadyClosed,
            ChannelError.inputClosed, ChannelError.outputClosed:
            self.init(.connectionLost, address: address, cause: "the connection was closed")
        case let error as FrameParser.Violation:
            self.init(error, address: address)
        default:
            self.init(.other, address: address, cause: String(describing: error))
        }
    }

    private init(_ failure: NameFailure, address: String) {
        switch failure.kind {
        case .unknown: self.init(.noSuchHost, address: address, cause: "no such host")
        case .failed(let text):
            self.init(
                .noSuchHost, address: address, cause: "the name can't be resolved: \(text)")
        case .waiting(let time):
            self.init(
                .timedOut, address: address,
                cause: "waiting for DNS: no answer about the name for \(Self.text(of: time))")
        }
    }

    private static func text(of time: TimeAmount) -> String {
        let milliseconds = time.nanoseconds / 1_000_000
        return milliseconds % 1000 == 0 || milliseconds > 10_000
            ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
    }

    static func timedOut(_ address: String, after time: TimeAmount) -> TransportError {
        TransportError(
            .timedOut, address: address, cause: "timed out after \(text(of: time))")
    }

    static func shutDown(_ address: String) -> TransportError {
        TransportError(.shutDown, address: address, cause: "this node is stopping")
    }

    /// The failures of all addresses of a name, each kind once.
    private init(connecting error: NIOConnectionError, address: String) {
        let failures = error.connectionErrors.map { TransportError($0.error, address: address) }
        if let first = failures.first {
            var causes: [String] = []
            for failure in failures where !causes.contains(failure.cause) {
                causes.append(failure.cause)
            }
            self.init(first.reason, address: address, cause: causes.joined(separator: ", "))
        } else if let lookup = error.dnsAError ?? error.dnsAAAAError {
            self.init(lookup, address: address)
        } else {
            self.init(.noSuchHost, address: address, cause: "the name has no address")
        }
    }

    init(errno code: CInt, address: String) {
        switch code {
        case ECONNREFUSED:
            self.init(.connectionRefused, address: address, cause: "connection refused")
        case EHOSTUNREACH:
            self.init(.unreachable, address: address, cause: "no route to host")
        case ENETUNREACH:
            self.init(.unreachable, address: address, cause: "network is unreachable")
        case ETIMEDOUT:
            self.init(
                .timedOut, address: address, cause: "timed out: the other end does not answer")
        case ECONNRESET, EPIPE:
            self.init(
                .connectionLost, address: address,
                cause: "the connection was reset by the other end")
        case EADDRINUSE:
            self.init(.other, address: address, cause: "the address is in use by another process")
        default:
            self.init(.other, address: address, cause: String(cString: strerror(code)))
        }
    }

    private init(_ violation: FrameParser.Violation, address: String) {
        switch violation {
        case .tooLarge(let length, let limit):
            self.init(
                .tooLarge, address: address,
                cause: "a frame of \(length) bytes is over the limit of \(limit)")
        case .checksum:
            self.init(
                .corrupted, address: address,
                cause: "a frame was damaged on the way: its checksum is wrong")
        case .malformed(let what):
            self.init(.corrupted, address: address, cause: "protocol violation: \(what)")
        }
    }
}
