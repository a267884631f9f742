package import NIOCore

/// Every bound of the transport in one place.
package struct TransportLimits: Sendable {
    /// Payload of one frame with messages, forwarded requests or their replies: the largest entry
    /// and what surrounds it.
    package var maxFrameBytes: Int = 65 << 20
    /// Payload of a forwarded request's reply.
    package var maxReplyBytes: Int = 256 << 20
    /// Payload of one frame of any other kind, but for snapshots.
    package var maxCallBytes: Int = 4 << 20
    /// Messages that wait for one peer; past it they are dropped, which Raft tolerates.
    package var maxQueuedMessageBytes: Int = 64 << 20
    /// Forwarded requests that wait for one peer; past it they are answered as busy.
    package var maxQueuedForwardBytes: Int = 128 << 20
    /// Encoded bytes handed to a connection in one piece.
    package var writeBatchBytes: Int = 1 << 20
    /// Frames above it are encoded, or decoded, away from the event loops.
    package var largeFrameBytes: Int = 1 << 20
    /// While more appends wait for a peer than these, signs of life go ahead of them. The kernel is
    /// given no more than about as much before it could send it.
    package var backlogBytes: Int = 128 << 10
    /// Addresses remembered, at which to look for a node that was lost.
    package var maxPlaces: Int = 64
    /// Nodes remembered by where they said that they are.
    package var maxAcquaintances: Int = 1024
    /// Of a snapshot, per frame.
    package var snapshotChunkBytes: Int = 512 << 10
    /// Bytes that a chunk which comes packed may have, unpacked.
    package var maxUnpackedChunkBytes: Int = 16 << 20
    /// Chunks of a snapshot go packed to who takes them so.
    package var packsSnapshots = false

    /// Of a frame from who names neither this node's cluster nor a member: questions of nodes that
    /// belong to nothing yet.
    package var maxUntrustedFrameBytes: Int = 1 << 20
    /// What every accepted connection may hold of a frame that isn't complete, and of messages that
    /// aren't taken, whatever the others hold.
    package var ambientBytes: Int = 64 << 10
    /// Frames above `ambientBytes` that are arriving, over all accepted connections.
    package var maxArrivingBytes: Int = 256 << 20
    /// The same, over those of `maxUntrustedFrameBytes`.
    package var maxUntrustedBytes: Int = 16 << 20
    /// Messages received and not taken, of one connection; beyond, it isn't read.
    package var maxUntakenConnectionBytes: Int = 8 << 20
    /// The same over all connections: beyond, those are read that hold `ambientBytes` at most.
    package var maxUntakenBytes: Int = 256 << 20
    /// A frame above `ambientBytes` arrives at this rate at least, in bytes per second, after
    /// `frameGrace`.
    package var minFrameRate: Int = 1 << 20
    /// How long a frame may take before `minFrameRate` is asked of it.
    package var frameGrace: TimeAmount = .seconds(10)
    /// Forwarded requests of one connection that are not answered; beyond, it isn't read.
    package var maxOpenForwards: Int = 16_384
    /// Bytes of these requests; beyond, the connection isn't read.
    package var maxOpenForwardBytes: Int = 128 << 20
    /// Forwarded requests above it go in parts, as the other node asks for them, so that others get
    /// between.
    package var wholeRequestBytes: Int = 512 << 10
    /// Of a request, per part: as much as every connection may have of a frame.
    package var requestPartBytes: Int = 60 << 10
    /// Bytes of one request that its receiver has asked for and that have not come.
    package var requestWindowBytes: Int = 1 << 20
    /// How long a node may take to say, after a connection for forwarded requests was made, that it
    /// takes requests in parts: one of an earlier version never does, and gets them whole.
    package var welcomeTime: TimeAmount = .seconds(1)
    /// Replies above it, or above `maxReplyBytes`, go in parts, as they are asked for, to nodes that
    /// take parts.
    package var wholeReplyBytes: Int = 1 << 20
    /// Replies to one connection that wait to be asked for, or for the connection to take them, bytes; to reads more
    /// fail.
    package var maxHeldReplyBytes: Int = 2 << 30
    /// Where there is no room for another one, a reply of which nobody asked for more in this time makes some.
    package var heldReplyPatience: TimeAmount = .seconds(10)
    /// How long a connection for questions may be idle.
    package var callIdleTimeout: TimeAmount = .minutes(1)
    /// Refusals of connections that are said per `refusalPeriod`; all are counted.
    package var maxRefusalsSaid: Int = 20
    /// See `maxRefusalsSaid`.
    package var refusalPeriod: TimeAmount = .seconds(10)
    /// Nodes that are refused for what they did, and for how long: then they may try again.
    package var maxUnwanted: Int = 64
    package var unwantedTime: TimeAmount = .seconds(10)
    /// Refused connections that may wait for their dialer to read why.
    package var maxRefusing: Int = 64

    /// Accepted connections of every kind; more are closed, so that descriptors are left for the
    /// node's files.
    package var maxConnections: Int = 4096
    /// Connections from other nodes; more are closed. Half of `maxConnections` at most: see `placesOfNodes`.
    package var maxInboundPeers: Int = 512
    /// Accepted connections that have not shown yet what they are, see `Strangers`.
    package var maxUnidentified: Int = 1024
    /// The same, of one address.
    package var maxUnidentifiedOfOrigin: Int = 512
    /// A connection shows within this time what it is.
    package var sniffTimeout: TimeAmount = .seconds(10)

    /// How long a listener rests when descriptors or memory have run out.
    package var acceptPause: TimeAmount = .milliseconds(100)

    /// For a connection to another node, its name's lookup included.
    package var dialTimeout: TimeAmount = .seconds(2)
    /// How long what was found for a name is used without asking again: longer than a dial and the
    /// pause after it, so that a name whose servers are slower than that leads somewhere.
    package var nameFreshness: TimeAmount = .seconds(5)
    /// How long a dial waits for a name whose former addresses are known, before it tries these.
    package var nameGrace: TimeAmount = .milliseconds(500)
    /// Lookups under way at once, each on a thread; more wait.
    package var maxLookups: Int = 32
    /// Names remembered.
    package var maxNames: Int = 1024

    /// The first pause after a dial failed; each further one is twice as long.
    package var minBackoff: TimeAmount = .milliseconds(50)
    /// The longest pause between two dials; each is drawn from its upper half.
    package var maxBackoff: TimeAmount = .seconds(1)
    /// Sent bytes that are not acknowledged for so long end a connection.
    package var unacknowledgedTimeout: TimeAmount = .seconds(5)
    /// A forwarded request unanswered so long after its own time has passed is given up.
    package var forwardGrace: TimeAmount = .seconds(1)
    /// A snapshot of which nothing moves for so long is given up by both sides.
    package var snapshotStallTimeout: TimeAmount = .seconds(10)
    /// A snapshot that arrives more slowly, after `snapshotGrace`, is given up: its sender holds
    /// back checkpoints for as long as it is on its way. Bytes per second.
    package var minSnapshotRate: Int = 1 << 20
    /// What every transfer may take, whatever its size.
    package var snapshotGrace: TimeAmount = .minutes(1)
    /// No transfer may take longer.
    package var maxSnapshotTime: TimeAmount = .hours(6)
    /// Time of the receiver to install a complete snapshot, whatever its size: see `installTime`.
    package var snapshotInstallTimeout: TimeAmount = .minutes(10)

    package init() {}

    /// The pause before dialing again: doubled with every failure in a row, and shortened at random
    /// by up to a half, so that nodes that lost each other at once don't dial in step.
    func backoff(after failures: Int) -> TimeAmount {
        let doubled = minBackoff.nanoseconds << min(failures, 20)
        let full = min(maxBackoff.nanoseconds, doubled)
        return .nanoseconds(Int64.random(in: full / 2...full))
    }

    /// Of `maxConnections`, what clients leave to nodes, however many they are.
    var connectionsForNodes: Int { min(maxInboundPeers, maxConnections / 4) }

    /// Of `maxConnections`, what nodes may have at most: anybody can say that he is one.
    var placesOfNodes: Int { min(maxInboundPeers, max(1, maxConnections / 2)) }

    /// Of `maxConnections`, what clients may have at most; those beyond are closed without a word.
    package var connectionsForClients: Int { maxConnections - connectionsForNodes }

    /// How long a frame may take to arrive.
    func frameTime(for length: Int) -> TimeAmount {
        frameGrace + .milliseconds(Int64(length) * 1000 / Int64(minFrameRate))
    }

    /// How long a snapshot of so many bytes may be on its way. Any number is allowed for.
    package func snapshotTime(for byteCount: UInt64) -> TimeAmount {
        let seconds = Int64(clamping: byteCount / UInt64(minSnapshotRate))
        let most = maxSnapshotTime.nanoseconds / 1_000_000_000
        return min(maxSnapshotTime, snapshotGrace + .seconds(min(seconds, most)))
    }

    /// How long the receiver of a snapshot of so many bytes may take to install it when all has arrived: it reads
    /// all of it back from the disk, and a second time to check it as a database.
    package func installTime(for byteCount: UInt64) -> TimeAmount {
        snapshotInstallTimeout + snapshotTime(for: byteCount)
    }

    /// How often the ends of a snapshot transfer look whether it is alive, and show that they are.
    var watchInterval: TimeAmount {
        .nanoseconds(max(1_000_000, snapshotStallTimeout.nanoseconds / 10))
    }

    /// The relations between limits that the code relies on.
    func check() {
        precondition(
            snapshotChunkBytes > 0 && snapshotChunkBytes + 64 <= maxFrameBytes,
            "\(snapshotChunkBytes), \(maxFrameBytes)")
        precondition(maxFrameBytes <= maxReplyBytes && maxReplyBytes <= Int(UInt32.max))
        precondition(writeBatchBytes > 0 && maxCallBytes <= maxFrameBytes)
        precondition(maxUntrustedFrameBytes <= maxUntrustedBytes)
        precondition(maxUnidentifiedOfOrigin > 0 && maxUnidentifiedOfOrigin <= maxUnidentified)
        precondition(maxFrameBytes <= maxArrivingBytes, "\(maxFrameBytes), \(maxArrivingBytes)")
        precondition(ambientBytes > 0 && ambientBytes <= maxUntakenConnectionBytes)
        precondition(maxUntakenConnectionBytes <= maxUntakenBytes && minFrameRate > 0)
        precondition(maxOpenForwards > 0 && maxFrameBytes <= maxOpenForwardBytes)
        precondition(requestPartBytes > 0 && requestPartBytes + 64 <= ambientBytes)
        precondition(requestPartBytes <= requestWindowBytes && welcomeTime.nanoseconds > 0)
        precondition(wholeReplyBytes > 0 && maxReplyBytes <= maxHeldReplyBytes)
        precondition(heldReplyPatience.nanoseconds > 0)
        precondition(backlogBytes > 0 && backlogBytes < largeFrameBytes)
        precondition(maxUnwanted > 0 && unwantedTime.nanoseconds > 0)
        precondition(maxPlaces > 0 && maxAcquaintances >= maxPlaces)
        precondition(minBackoff.nanoseconds > 0 && minBackoff <= maxBackoff)
        precondition(maxBackoff <= .minutes(1), "\(maxBackoff)")
        precondition(nameFreshness > dialTimeout + maxBackoff, "\(nameFreshness), \(dialTimeout)")
        precondition(maxLookups > 0 && maxLookups <= maxNames)
        precondition(minSnapshotRate > 0 && snapshotStallTimeout <= snapshotGrace)
        precondition(snapshotGrace <= maxSnapshotTime && maxSnapshotTime <= .hours(24 * 7))
    }
}
