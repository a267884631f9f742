import Addresses
import Glibc
import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Synchronization
import Wire

/// Opens connections to other nodes.
struct Dialer: Sendable {
    let limits: TransportLimits
    let names: NameLookups
    let security: TransportSecurity
    /// Where nodes were found that don't encrypt yet, and until when that is believed.
    private let plain = PlainPlaces()

    init(limits: TransportLimits, names: NameLookups, security: TransportSecurity) {
        self.limits = limits
        self.names = names
        self.security = security
    }

    /// Connects, writes the preamble, which goes out with the first flush, and installs handlers.
    /// A name's addresses, see `NameLookups`, are tried as RFC 8305 says. Fails with
    /// `TransportError`.
    /// - Parameter install: called on the loop; the connection is active then.
    func connect(
        to address: PeerAddress, as introduction: Introduction, for purpose: ConnectionPurpose,
        on loop: any EventLoop, timeout: TimeAmount,
        install: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel> {
        let target: HostPort
        do throws(TransportError) {
            target = try HostPort(address)
        } catch {
            return loop.makeFailedFuture(error)
        }
        guard !target.host.isEmpty, target.port != 0 else {
            return loop.makeFailedFuture(
                TransportError(
                    .invalidAddress, address: address.rawValue, cause: "lacks a host or a port"))
        }
        // All on the loop, in one piece: else the connection could be up, and bytes arrive and be
        // dropped, before the callback that installs the handlers is there.
        return loop.flatSubmit {
            secured(target, on: loop, timeout: timeout).flatMapThrowing { channel in
                guard channel.isActive else { throw ChannelError.eof }
                channel.write(
                    ByteBuffer(bytes: preamble(purpose, introduction)), promise: nil)
                do {
                    try guardIdentity(of: channel, introduction.wanted, address)
                    try install(channel)
                } catch {
                    channel.close(promise: nil)
                    throw error
                }
                return channel
            }
        }.flatMapErrorThrowing { throw TransportError($0, address: address.rawValue) }
    }

    /// Keeps what is meant for one node from another, by its certificate.
    private func guardIdentity(
        of channel: any Channel, _ wanted: Introduction.Wanted?, _ address: PeerAddress
    ) throws {
        guard let wanted, let objection = security.objection(to: wanted.id, on: channel) else {
            return
        }
        let error = TransportError(.other, address: address.rawValue, cause: objection)
        try channel.pipeline.syncOperations.addHandler(
            IdentityMismatchHandler(error, limit: limits.sniffTimeout))
    }

    /// Connected, and encrypted where that is asked for.
    private func secured(
        _ target: HostPort, on loop: any EventLoop, timeout: TimeAmount
    ) -> EventLoopFuture<any Channel> {
        guard let nodes = security.nodes,
            !(security.nodesMayBePlain && plain.contains(target.description))
        else { return connect(to: target, on: loop, timeout: timeout) }
        let start = NIODeadline.now()
        let shaken = connect(to: target, on: loop, timeout: timeout).flatMap { channel in
            shake(channel, nodes, target, limit: max(Self.leastTime, timeout - (.now() - start)))
        }
        guard security.nodesMayBePlain else { return shaken }
        return shaken.flatMapError { error in
            // Who knows nothing of TLS closes without a word. What TLS itself finds wrong stays wrong.
            guard TransportError(error, address: "").reason == .connectionLost else {
                return loop.makeFailedFuture(error)
            }
            plain.add(target.description)
            let left = max(Self.leastTime, timeout - (.now() - start))
            return connect(to: target, on: loop, timeout: left)
        }
    }

    private func shake(
        _ channel: any Channel, _ nodes: any ConnectionSecurity, _ target: HostPort,
        limit: TimeAmount
    ) -> EventLoopFuture<any Channel> {
        let done = channel.eventLoop.makePromise(of: Void.self)
        do {
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandlers(try nodes.dialingHandlers(host: target.host))
            try pipeline.addHandler(HandshakeWatch(limit: limit) { done.completeWith($0) })
        } catch {
            channel.close(promise: nil)
            done.fail(error)
        }
        return done.futureResult.flatMapErrorThrowing {
            throw TransportSecurity.failure($0, of: nodes, address: target.description)
        }.map { channel }
    }

    private func connect(
        to target: HostPort, on loop: any EventLoop, timeout: TimeAmount
    ) -> EventLoopFuture<any Channel> {
        if let literal = try? SocketAddress(ipAddress: target.host, port: Int(target.port)) {
            return bootstrap(loop, timeout).connect(to: literal)
        }
        let start = NIODeadline.now()
        return names.resolve(target.host, on: loop, within: timeout).flatMap { addresses in
            let left = max(Self.leastTime, timeout - (.now() - start))
            return bootstrap(loop, left)
                .resolver(KnownAddresses(addresses, loop: loop))
                .connect(host: target.host, port: Int(target.port))
                .flatMapErrorThrowing {
                    names.suspect(target.host)
                    throw $0
                }
        }
    }

    /// To connect, after a name was found late.
    private static let leastTime = TimeAmount.milliseconds(100)

    private func bootstrap(_ loop: any EventLoop, _ timeout: TimeAmount) -> ClientBootstrap {
        ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { SocketOptions.setForNode($0, limits: limits) }
    }

    private func preamble(
        _ purpose: ConnectionPurpose, _ introduction: Introduction
    ) -> [UInt8] {
        var writer = ByteWriter(reserving: 128)
        writer.writePreamble(purpose)
        writer.writeFrame(.introduction) { introduction.encode(into: &$0) }
        return writer.bytes
    }
}

/// What is asked of the kernel for a connection between nodes.
enum SocketOptions {
    /// Linux's TCP_NOTSENT_LOWAT, which Glibc's module lacks.
    private static let notSentLowWater: CInt = 25

    /// Without delay for small writes; and a peer that vanished without a word is noticed, whether
    /// bytes are on the way to it (TCP_USER_TIMEOUT) or not (keep-alive).
    static func setForNode(
        _ channel: any Channel, limits: TransportLimits
    ) -> EventLoopFuture<Void> {
        let milliseconds = CInt(
            clamping: limits.unacknowledgedTimeout.nanoseconds / 1_000_000)
        let seconds = max(1, milliseconds / 1000)
        let values: [(NIOBSDSocket.OptionLevel, CInt, CInt)] = [
            (.tcp, TCP_NODELAY, 1),
            (.socket, SO_KEEPALIVE, 1),
            (.tcp, TCP_KEEPIDLE, max(1, seconds - 3)),
            (.tcp, TCP_KEEPINTVL, 1),
            (.tcp, TCP_KEEPCNT, 3),
            (.tcp, TCP_USER_TIMEOUT, milliseconds),
            // What the kernel holds unsent delays whatever is written next.
            (.tcp, notSentLowWater, CInt(clamping: limits.backlogBytes)),
        ]
        let settings = values.map { level, name, value in
            channel.setOption(
                ChannelOptions.Types.SocketOption(
                    level: level, name: NIOBSDSocket.Option(rawValue: name)),
                value: Int(value))
        }
        let mark = channel.setOption(
            .writeBufferWaterMark,
            value: ChannelOptions.Types.WriteBufferWaterMark(low: 512 << 10, high: 1 << 20))
        return EventLoopFuture.andAllSucceed(settings + [mark], on: channel.eventLoop)
    }
}

/// Addresses of nodes that were found not to encrypt. Thread-safe.
private final class PlainPlaces: Sendable {
    private static let memory = TimeAmount.seconds(2)
    private static let limit = 1024
    private let places = Mutex<[String: NIODeadline]>([:])

    func add(_ place: String) {
        places.withLock { places in
            if places.count >= Self.limit { places = [:] }
            places[place] = .now() + Self.memory
        }
    }

    func contains(_ place: String) -> Bool {
        places.withLock { places in places[place].map { $0 > .now() } ?? false }
    }
}
