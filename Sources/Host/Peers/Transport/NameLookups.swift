import Glibc
package import NIOCore
import NIOPosix
import Synchronization
import Threads

/// Why a name has no addresses.
package struct NameFailure: Error, Equatable, Sendable {
    /// What went wrong.
    package enum Kind: Equatable, Sendable {
        /// The name doesn't exist, or has no address.
        case unknown
        /// Those who should know could not be asked; in words.
        case failed(String)
        /// Nobody answered yet, in so much time.
        case waiting(TimeAmount)
    }

    /// What went wrong; the text for people says the same.
    package var kind: Kind

    package init(_ kind: Kind) { self.kind = kind }
}

/// Looks names up for the dialer: one lookup per name at a time, each on a thread of its own, for it
/// blocks, for longer than a dial may take where name servers are slow. So what it finds is kept
/// whenever it comes, and the next dial has it at once. While name servers are silent or fail, the
/// addresses that were found last are used, those of an earlier run too (`KnownNames`).
final class NameLookups: Sendable {
    /// Blocks; the ports of what it returns mean nothing.
    typealias Lookup = @Sendable (String) -> Result<[SocketAddress], NameFailure>

    private struct Waiter {
        var number: UInt64
        var promise: EventLoopPromise<[SocketAddress]>
        /// What an earlier run found is no answer.
        var wantsNews = false
    }

    private struct Name {
        /// Since when a lookup is under way.
        var since: NIODeadline?
        var waiters: [Waiter] = []
        /// What was found last.
        var found: [SocketAddress] = []
        /// That was found in an earlier run, and not again in this one.
        var isOld = false
        /// As it is remembered for the next run.
        var remembered: [String] = []
        /// Until then what was found is used without another lookup.
        var freshUntil = NIODeadline.uptimeNanoseconds(0)
        /// A failure that came when nobody waited any more: it is told to who asks next.
        var lateFailure: NameFailure?
        var lastUse = NIODeadline.now()
    }

    private struct State {
        var names: [String: Name] = [:]
        var lastWaiter: UInt64 = 0
        var lookups = 0
    }

    private let limits: TransportLimits
    private let lookup: Lookup
    private let memory: KnownNames?
    private let state: Mutex<State>

    /// - Parameter memory: of former runs, and for the next.
    init(
        limits: TransportLimits, memory: KnownNames? = nil,
        lookup: @escaping Lookup = NameLookups.system
    ) {
        self.limits = limits
        self.lookup = lookup
        self.memory = memory
        state = Mutex(State(names: Self.names(in: memory, limit: limits.maxNames)))
    }

    private static func names(in memory: KnownNames?, limit: Int) -> [String: Name] {
        var names: [String: Name] = [:]
        for line in (memory?.lines() ?? []).suffix(limit) {
            var name = Name()
            name.found = line.addresses.compactMap { text in
                do { return try SocketAddress(ipAddress: text, port: 0) } catch { return nil }
            }
            name.isOld = true
            name.remembered = line.addresses
            names[line.host] = name
        }
        return names
    }

    /// Names that are being looked up, with the time since they have been, sorted by name.
    var pending: [(name: String, elapsed: TimeAmount)] {
        let now = NIODeadline.now()
        return state.withLock { state in
            state.names.compactMap { name, entry in entry.since.map { (name, now - $0) } }
        }.sorted { $0.name < $1.name }
    }

    /// The name's addresses, without a port. Fails with `NameFailure`, after `time` at the latest.
    func resolve(
        _ host: String, on loop: any EventLoop, within time: TimeAmount
    ) -> EventLoopFuture<[SocketAddress]> {
        let promise = loop.makePromise(of: [SocketAddress].self)
        let now = NIODeadline.now()
        let (patience, number, mustStart) = state.withLock { state -> (TimeAmount, UInt64, Bool) in
            var name = known(host, &state)
            name.lastUse = now
            defer { state.names[host] = name }
            if !name.found.isEmpty, now < name.freshUntil {
                promise.succeed(name.found)
                return (.zero, 0, false)
            }
            let mustStart = begin(&name, &state, now)
            if let failure = name.lateFailure {
                name.lateFailure = nil
                promise.fail(failure)
                return (.zero, 0, mustStart)
            }
            state.lastWaiter += 1
            name.waiters.append(Waiter(number: state.lastWaiter, promise: promise))
            let patience = name.found.isEmpty ? time : min(time, limits.nameGrace)
            return (patience, state.lastWaiter, mustStart)
        }
        if mustStart { start(host) }
        if number > 0 {
            let timer = loop.scheduleTask(in: patience) { self.giveUp(number, on: host) }
            promise.futureResult.whenComplete { _ in timer.cancel() }
        }
        return promise.futureResult
    }

    /// What the name's servers say now, whenever they say it. Fails with `NameFailure`.
    func lookUp(_ host: String, on loop: any EventLoop) -> EventLoopFuture<[SocketAddress]> {
        let promise = loop.makePromise(of: [SocketAddress].self)
        let now = NIODeadline.now()
        let mustStart = state.withLock { state -> Bool in
            var name = known(host, &state)
            name.lastUse = now
            defer { state.names[host] = name }
            let mustStart = begin(&name, &state, now)
            if name.since == nil {
                promise.fail(NameFailure(.failed("too many names are being looked up")))
            } else {
                name.lateFailure = nil
                state.lastWaiter += 1
                name.waiters.append(
                    Waiter(number: state.lastWaiter, promise: promise, wantsNews: true))
            }
            return mustStart
        }
        if mustStart { start(host) }
        return promise.futureResult
    }

    /// What was found for the name leads nowhere: it is looked up again before it is used again.
    func suspect(_ host: String) {
        state.withLock { $0.names[host]?.freshUntil = .uptimeNanoseconds(0) }
    }

    /// What is known of the name. One that is new makes room for itself: what was used least lately goes, of
    /// those that nobody waits for.
    private func known(_ host: String, _ state: inout State) -> Name {
        if let name = state.names[host] { return name }
        while state.names.count >= limits.maxNames {
            let oldest = state.names.filter { $0.value.since == nil && $0.value.waiters.isEmpty }
                .min { $0.value.lastUse < $1.value.lastUse }
            guard let oldest else { break }
            state.names[oldest.key] = nil
        }
        return Name()
    }

    /// True when the caller must start a lookup. One that can't be started is like one that is
    /// never answered.
    private func begin(_ name: inout Name, _ state: inout State, _ now: NIODeadline) -> Bool {
        guard name.since == nil, state.lookups < limits.maxLookups else { return false }
        name.since = now
        state.lookups += 1
        return true
    }

    /// The time is up: what was found last, or nothing.
    private func giveUp(_ number: UInt64, on host: String) {
        let (promise, result) = state.withLock {
            state -> (EventLoopPromise<[SocketAddress]>?, Result<[SocketAddress], NameFailure>) in
            guard var name = state.names[host],
                let place = name.waiters.firstIndex(where: { $0.number == number })
            else { return (nil, .success([])) }
            let waiter = name.waiters.remove(at: place)
            state.names[host] = name
            guard name.found.isEmpty else { return (waiter.promise, .success(name.found)) }
            let elapsed = name.since.map { .now() - $0 } ?? .zero
            return (waiter.promise, .failure(NameFailure(.waiting(elapsed))))
        }
        switch result {
        case .success(let found): promise?.succeed(found)
        case .failure(let failure): promise?.fail(failure)
        }
    }

    /// How a lookup ended, for those who wait.
    private struct End {
        var waiters: [Waiter] = []
        /// What was found last, where this lookup found nothing.
        var last: [SocketAddress] = []
        var isLastOld = false
        /// To be remembered.
        var news: [String] = []
    }

    private func finish(_ host: String, _ result: Result<[SocketAddress], NameFailure>) {
        let end = state.withLock { conclude(host, result, &$0) }
        for waiter in end.waiters {
            switch result {
            case .success(let found): waiter.promise.succeed(found)
            case .failure(let failure):
                let isUsable = !end.last.isEmpty && !(end.isLastOld && waiter.wantsNews)
                if isUsable {
                    waiter.promise.succeed(end.last)
                } else {
                    waiter.promise.fail(failure)
                }
            }
        }
        if !end.news.isEmpty { memory?.remember(host, end.news) }
    }

    private func conclude(
        _ host: String, _ result: Result<[SocketAddress], NameFailure>, _ state: inout State
    ) -> End {
        state.lookups -= 1
        guard var name = state.names[host] else { return End() }
        defer { state.names[host] = name }
        name.since = nil
        var end = End(waiters: name.waiters)
        name.waiters = []
        switch result {
        case .success(let found):
            name.found = found
            name.isOld = false
            name.freshUntil = .now() + limits.nameFreshness
            name.lateFailure = nil
            let texts = Set(found.compactMap(\.ipAddress)).sorted()
            if texts != name.remembered { end.news = texts }
            name.remembered = texts
        case .failure(let failure):
            if failure.kind == .unknown { name.found = [] }
            if end.waiters.isEmpty, name.found.isEmpty { name.lateFailure = failure }
            (end.last, end.isLastOld) = (name.found, name.isOld)
        }
        return end
    }

    // MARK: Threads

    private func start(_ host: String) {
        do throws(ThreadShortage) {
            // On an event loop, which must not wait for a shortage to pass.
            try NamedThread("name-lookup", waits: false) { [self] in finish(host, lookup(host)) }
                .detach()
        } catch {
            finish(host, .failure(NameFailure(.failed("\(error)"))))
        }
    }

    /// glibc's EAI_NODATA, which needs a feature macro: the name exists without an address.
    private static let noAddress: Int32 = -5

    /// Asks the system's resolver. Where that has no answer each family is asked for by itself: silence
    /// about the one hides what is known of the other.
    static let system: Lookup = { host in
        let both = addresses(of: host, AF_UNSPEC)
        guard case .failure(let failure) = both, failure.kind != .unknown else { return both }
        for family in [AF_INET6, AF_INET] {
            if case .success(let found) = addresses(of: host, family) { return .success(found) }
        }
        return both
    }

    private static func addresses(
        of host: String, _ family: CInt
    ) -> Result<[SocketAddress], NameFailure> {
        var hints = addrinfo()
        hints.ai_family = family
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_protocol = Int32(IPPROTO_TCP)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0 else {
            let isUnknown = code == EAI_NONAME || code == noAddress
            let text = String(cString: gai_strerror(code))
            return .failure(NameFailure(isUnknown ? .unknown : .failed(text)))
        }
        var found: [SocketAddress] = []
        var next = list
        while let info = next?.pointee {
            next = info.ai_next
            guard let address = UnsafeRawPointer(info.ai_addr) else { continue }
            if info.ai_family == AF_INET {
                found.append(
                    SocketAddress(address.loadUnaligned(as: sockaddr_in.self), host: host))
            } else if info.ai_family == AF_INET6 {
                found.append(
                    SocketAddress(address.loadUnaligned(as: sockaddr_in6.self), host: host))
            }
        }
        return found.isEmpty ? .failure(NameFailure(.unknown)) : .success(found)
    }
}

/// Hands NIO, which tries the addresses of a name as RFC 8305 says, what was found before.
final class KnownAddresses: Resolver, Sendable {
    private let loop: any EventLoop
    private let v4: [SocketAddress]
    private let v6: [SocketAddress]

    init(_ addresses: [SocketAddress], loop: any EventLoop) {
        self.loop = loop
        v4 = addresses.filter { $0.protocol == .inet }
        v6 = addresses.filter { $0.protocol == .inet6 }
    }

    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        loop.makeSucceededFuture(v6.map { Self.address($0, port) })
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        loop.makeSucceededFuture(v4.map { Self.address($0, port) })
    }

    func cancelQueries() {}

    private static func address(_ address: SocketAddress, _ port: Int) -> SocketAddress {
        var address = address
        address.port = port
        return address
    }
}
