import Glibc
import Synchronization
import Wire

/// One end of the stream between a node and the process that runs a plugin for it: whole frames in
/// and out. Sending may block until the other side reads, so it is done on plugin threads only.
///
/// Frames may be sent from any thread; one thread receives.
final class PluginChannel: Sendable {
    enum Failure: Error, Equatable, CustomStringConvertible {
        /// The other side is gone.
        case closed
        case malformed(WireError)

        var description: String {
            switch self {
            case .closed: "the connection was closed"
            case .malformed(let error): "it sent a malformed frame: \(error)"
            }
        }
    }

    private let descriptor: Int32
    /// Keeps frames of several threads apart.
    private let sending = Mutex(())

    /// Takes the descriptor over.
    init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Two ends, close-on-exec; the second is the caller's to pass on and close.
    static func pair() throws(PluginError) -> (PluginChannel, other: Int32) {
        var descriptors: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &descriptors) == 0 else {
            throw PluginError(
                .internal, "no sockets for a plugin's process: \(String(cString: strerror(errno)))")
        }
        return (PluginChannel(owning: descriptors[0]), descriptors[1])
    }

    /// False when the other side is gone: `receive` then says so too.
    @discardableResult
    func send(_ content: PluginFrame.Content, call: UInt64 = 0) -> Bool {
        let bytes = PluginFrame(call: call, content: content).encoded
        return sending.withLock { _ in
            bytes.withUnsafeBytes { buffer in
                var rest = buffer[...]
                while !rest.isEmpty {
                    let count = Glibc.send(
                        descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count,
                        Int32(MSG_NOSIGNAL))
                    if count < 0, errno == EINTR { continue }
                    guard count > 0 else { return false }
                    rest = rest.dropFirst(count)
                }
                return true
            }
        }
    }

    /// Blocks until a frame is there.
    func receive() throws(Failure) -> PluginFrame {
        let length = try read(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        guard PluginFrame.lengthRange.contains(length) else {
            throw .malformed(.invalid(field: "length", value: UInt64(length)))
        }
        let body = try read(length)
        do throws(WireError) {
            return try PluginFrame(decoding: body)
        } catch {
            throw .malformed(error)
        }
    }

    /// Makes both sides see the end of the stream.
    func shutDown() { _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR)) }

    private func read(_ count: Int) throws(Failure) -> [UInt8] {
        var filled = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while filled < count, let base = buffer.baseAddress {
                let got = recv(descriptor, base + filled, count - filled, 0)
                if got < 0, errno == EINTR { continue }
                guard got > 0 else { break }
                filled += got
            }
            initialized = filled
        }
        guard filled == count else { throw .closed }
        return bytes
    }
}
