import Addresses
import Glibc
package import PeerProtocol
package import Raft
import Synchronization

/// A TCP port, or a Unix socket, that this process holds and nobody is served on yet. A node takes its ports before it
/// touches its disk: one that can't have them must leave nothing behind. Connections that come
/// meanwhile wait in the kernel until a `Listener` takes over.
package final class ReservedPort: Sendable {
    /// As the operator gave it.
    package let address: PeerAddress
    /// Nil once a listener has it.
    private let descriptor: Mutex<Int32?>
    /// Of a Unix socket.
    let file: SocketFile?
    /// What the name led to, where a name was given; nil otherwise.
    package let resolved: KnownNames.Line?

    /// Resolves a name on the calling thread, and takes its first address.
    /// - Parameters:
    ///   - address: `host:port`, IPv6 in brackets; no host means all interfaces, port 0 one that is
    ///     free.
    ///   - memory: where a name's address is looked for while no name server answers.
    /// - Throws: `TransportError` with the address and, as its cause, why it can't be had.
    package init(
        _ address: PeerAddress, memory: KnownNames? = nil
    ) throws(TransportError) {
        self.address = address
        file = nil
        let target = try HostPort(address)
        let opened: Int32
        if target.host.isEmpty {
            // The IPv6 wildcard takes IPv4 too, but a kernel may lack IPv6.
            do throws(TransportError) {
                opened = try Self.open("::", target.port, address).descriptor
            } catch {
                opened = try Self.open("0.0.0.0", target.port, address).descriptor
            }
            resolved = nil
        } else {
            let open = try Self.open(target.host, target.port, address, memory)
            opened = open.descriptor
            let isName = target.host != open.host
            resolved =
                isName ? KnownNames.Line(host: target.host, addresses: [open.host]) : nil
        }
        descriptor = Mutex(opened)
    }

    /// A Unix socket.
    /// - Parameters:
    ///   - path: of its file. What a process left there that has ended is taken over.
    ///   - mode: the file's permission bits.
    /// - Throws: `TransportError` with `unix:` and the path, and why it can't be had.
    package init(socket path: String, mode: UInt16) throws(TransportError) {
        let (opened, file) = try SocketFile.open(path, mode: mode, backlog: Self.backlog)
        address = PeerAddress("unix:\(path)")
        resolved = nil
        self.file = file
        descriptor = Mutex(opened)
    }

    deinit {
        guard let descriptor = take() else { return }
        close(descriptor)
        file?.remove()
    }

    /// The port that was bound, also where any free one was asked for; nil once a listener has it, and
    /// for a Unix socket.
    package var boundPort: Int? {
        guard file == nil else { return nil }
        return descriptor.withLock { descriptor in
            guard let descriptor else { return nil }
            var address = sockaddr_storage()
            var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
            return withUnsafeMutableBytes(of: &address) { bytes in
                guard let base = bytes.baseAddress else { return nil }
                let generic = base.assumingMemoryBound(to: sockaddr.self)
                guard getsockname(descriptor, generic, &size) == 0 else { return nil }
                // Of IPv4 and IPv6 alike: two bytes behind the family, the higher one first.
                return Int(bytes[2]) << 8 | Int(bytes[3])
            }
        }
    }

    /// Gives the bound and listening socket away; nil if it was given already.
    func take() -> Int32? {
        descriptor.withLock { descriptor in
            defer { descriptor = nil }
            return descriptor
        }
    }

    /// Connections that may wait to be accepted.
    static let backlog: Int32 = 1024

    /// - Returns: also the address in numbers.
    private static func open(
        _ host: String, _ port: UInt16, _ address: PeerAddress, _ memory: KnownNames? = nil
    ) throws(TransportError) -> (descriptor: Int32, host: String) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, "\(port)", &hints, &found)
        guard code == 0, let first = found else {
            if code == EAI_AGAIN, let last = memory?.addresses(of: host).first {
                return try open(last, port, address)
            }
            throw TransportError(
                .noSuchHost, address: address.rawValue,
                cause: String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(first) }
        let descriptor = socket(
            first.pointee.ai_family,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure(address) }
        var yes: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        guard setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, size) == 0,
            bind(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0,
            // Only now nobody else can have the port: two may bind it before either listens.
            listen(descriptor, backlog) == 0
        else {
            let failure = failure(address)
            close(descriptor)
            throw failure
        }
        return (descriptor, numbers(first.pointee) ?? host)
    }

    private static func numbers(_ info: addrinfo) -> String? {
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let code = getnameinfo(
            info.ai_addr, info.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
        guard code == 0 else { return nil }
        return String(
            decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func failure(_ address: PeerAddress) -> TransportError {
        errno == EADDRNOTAVAIL
            ? TransportError(
                .invalidAddress, address: address.rawValue,
                cause: "no network interface of this machine has the address")
            : TransportError(errno: errno, address: address.rawValue)
    }
}
