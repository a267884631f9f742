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

    /// Resolves a name on the calling thread, and takes the first of its addresses that is this machine's: one that
    /// other machines reach before others, and of these an IPv4 one.
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
            let known = memory?.addresses(of: host) ?? []
            let last = known.first { !$0.contains(":") } ?? known.first
            if code == EAI_AGAIN, let last { return try open(last, port, address) }
            throw TransportError(
                .noSuchHost, address: address.rawValue,
                cause: String(cString: gai_strerror(code)))
        }
        defer { freeaddrinfo(first) }
        let (descriptor, numbers) = try listening(at: ordered(first), address)
        return (descriptor, numbers ?? host)
    }

    /// As rqlite has it: who asks at 127.0.0.1 for what listens on localhost finds it, also where the system names
    /// ::1 before it. But what other machines can't reach comes last: Debian's file of hosts has the machine's own name at
    /// 127.0.1.1 also where all nodes know each other by IPv6.
    static func ordered(_ first: UnsafeMutablePointer<addrinfo>) -> [addrinfo] {
        let all = sequence(first: first) { $0.pointee.ai_next }.map { $0.pointee }
        let places = [all.filter { !isNearAlone($0) }, all.filter(isNearAlone)]
        return places.flatMap { infos in
            infos.filter { $0.ai_family == AF_INET } + infos.filter { $0.ai_family != AF_INET }
        }
    }

    /// An address of loopback, or of IPv6 within one link (RFC 4291 §2.5.6), which others would need an interface for.
    private static func isNearAlone(_ info: addrinfo) -> Bool {
        guard let host = numbers(info) else { return false }
        return HostPort(host: host, port: 0).isLoopback || host.hasPrefix("fe80:")
    }

    /// At the first of these that is this machine's.
    /// - Returns: also its numbers.
    static func listening(
        at infos: [addrinfo], _ address: PeerAddress
    ) throws(TransportError) -> (descriptor: Int32, numbers: String?) {
        var code = EADDRNOTAVAIL
        for info in infos {
            let descriptor = socket(
                info.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            if descriptor >= 0, listens(descriptor, info) { return (descriptor, numbers(info)) }
            code = errno
            if descriptor >= 0 { close(descriptor) }
            // A name may have addresses of other machines, and of a family that the system lacks.
            guard code == EADDRNOTAVAIL || code == EAFNOSUPPORT else { break }
        }
        throw failure(code, address)
    }

    private static func listens(_ descriptor: Int32, _ info: addrinfo) -> Bool {
        var yes: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        return setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, size) == 0
            && bind(descriptor, info.ai_addr, info.ai_addrlen) == 0
            // Only now nobody else can have the port: two may bind it before either listens.
            && listen(descriptor, backlog) == 0
    }

    private static func numbers(_ info: addrinfo) -> String? {
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let code = getnameinfo(
            info.ai_addr, info.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
        guard code == 0 else { return nil }
        return String(
            decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func failure(_ code: Int32, _ address: PeerAddress) -> TransportError {
        code == EADDRNOTAVAIL
            ? TransportError(
                .invalidAddress, address: address.rawValue,
                cause: "no network interface of this machine has the address")
            : TransportError(errno: code, address: address.rawValue)
    }
}
