import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Looks up one name on a thread of its own. NIO's resolver queues all lookups of an event loop
/// behind each other, so that one name whose servers are silent would hold up the dialing of every
/// other node.
final class NameResolver: Resolver, Sendable {
    struct Failure: Error {
        /// What `getaddrinfo` returned.
        var code: Int32
        var text: String
    }

    /// A resolver gives up after seconds; so many lookups at once mean that something is wrong.
    private static let maxLookups = 64
    private static let lookups = Atomic<Int>(0)

    private let v4: EventLoopPromise<[SocketAddress]>
    private let v6: EventLoopPromise<[SocketAddress]>

    init(loop: any EventLoop) {
        v4 = loop.makePromise()
        v6 = loop.makePromise()
    }

    /// Both families come from one lookup, which the query for IPv6 starts: it is made first.
    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        start { [self] in resolve(host: host, port: port) }
        return v6.futureResult
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        v4.futureResult
    }

    func cancelQueries() {}

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private func start(_ body: @escaping @Sendable () -> Void) {
        guard Self.lookups.add(1, ordering: .relaxed).newValue <= Self.maxLookups else {
            Self.lookups.subtract(1, ordering: .relaxed)
            return fail(Failure(code: EAI_AGAIN, text: "too many name lookups are under way"))
        }
        let work = Unmanaged.passRetained(
            Work {
                body()
                Self.lookups.subtract(1, ordering: .relaxed)
            })
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument {
                    Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                }
                return nil
            }, work.toOpaque())
        guard code == 0 else {
            work.release()
            Self.lookups.subtract(1, ordering: .relaxed)
            return fail(Failure(code: EAI_SYSTEM, text: "no thread for a name lookup"))
        }
        pthread_detach(thread)
    }

    private func resolve(host: String, port: Int) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_protocol = Int32(IPPROTO_TCP)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0 else {
            return fail(Failure(code: code, text: String(cString: gai_strerror(code))))
        }
        var found4: [SocketAddress] = []
        var found6: [SocketAddress] = []
        var next = list
        while let info = next?.pointee {
            next = info.ai_next
            guard let address = UnsafeRawPointer(info.ai_addr) else { continue }
            if info.ai_family == AF_INET {
                let value = address.loadUnaligned(as: sockaddr_in.self)
                found4.append(SocketAddress(value, host: host))
            } else if info.ai_family == AF_INET6 {
                let value = address.loadUnaligned(as: sockaddr_in6.self)
                found6.append(SocketAddress(value, host: host))
            }
        }
        v6.succeed(found6)
        v4.succeed(found4)
    }

    private func fail(_ failure: Failure) {
        v6.fail(failure)
        v4.fail(failure)
    }
}
