import Addresses
package import Raft
package import Wire
package import WriteAheadLog

/// Decides what a recovery by hand changes. Pure: the shell carries it out.
///
/// A cluster that lost its quorum for good goes on with fewer members, as another cluster with the
/// same data: under an ID derived from the old one and the members, so that nodes which were told
/// the same find each other, and nodes which were not can never mix with them. No entry is applied
/// or dropped: the members elect a leader by Raft's rules, and their logs become one as always.
package struct RecoveryPlan: Equatable, Sendable {
    /// What is still to be written.
    package enum Step: Equatable, Sendable {
        /// All is written already; perhaps the file's name is not.
        case nothing
        /// The log says it, the database not yet.
        case database(ClusterID, from: LogIndex)
        case logAndDatabase(ClusterID, from: LogIndex)
    }

    /// Of the recovered cluster.
    package let membership: Membership
    /// What is left to do.
    package let step: Step

    /// - Parameters:
    ///   - membership: of the recovered cluster.
    ///   - skip: an entry that all of its members leave out; it is part of what must agree.
    package init(
        _ membership: Membership, skipping skip: EntrySkip? = nil, log: LogState,
        database: StoredDatabase
    ) throws(RecoveryError) {
        guard let now = log.cluster, let before = database.cluster else { throw .noCluster }
        // A seed comes from a voter that leads.
        if !membership.voters.contains(where: { $0.id != log.identity?.id }),
            let cause = try Self.distrust(log)
        {
            throw .untrusted(cause)
        }
        self.membership = membership
        let derived = Self.cluster(after: before, membership, skipping: skip)
        if now != before {
            guard now == derived else { throw .otherRecoveryBegun }
            step = .database(derived, from: log.membershipIndex)
        } else if log.membership == membership, log.last.term.epoch < log.hardState.term.epoch,
            skip.map((database.skips + database.decided).contains) ?? true
        {
            step = .nothing
        } else {
            step = .logAndDatabase(derived, from: database.position.index)
        }
    }

    /// Why this node's database is not to be trusted, as its log says; nil: it is. One that was set aside for its damage
    /// has one without rows in its place.
    package static func distrust(_ log: LogState) throws(RecoveryError) -> String? {
        do throws(StartError) {
            return try StartPlan.quarantine(log: log).cause?.text
        } catch {
            throw .failed("\(error)")
        }
    }

    /// Two halves of 64 bits, each by FNV-1a over all that must agree.
    package static func cluster(
        after before: ClusterID, _ membership: Membership, skipping skip: EntrySkip? = nil
    ) -> ClusterID {
        var writer = ByteWriter()
        before.encode(into: &writer)
        membership.encode(into: &writer)
        skip?.encode(into: &writer)
        func hash(_ basis: UInt64) -> UInt64 {
            writer.bytes.reduce(basis) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 }
        }
        return ClusterID(
            RandomID(high: hash(0xCBF2_9CE4_8422_2325), low: hash(0x8422_2325_CBF2_9CE4)))
    }
}

extension RecoveryPlan {
    /// Which database is to be recovered, by the names in the directory and what the opened log says.
    /// What a start would refuse is not recovered either.
    /// - Throws: `RecoveryError`, or the `StartError` of such a start.
    package static func generation(
        _ found: StartInventory, log: LogState
    ) throws -> Generation {
        guard log.identity != nil else { throw RecoveryError.noState(found.directory) }
        guard !log.mustCatchUpBeforeVoting else {
            throw RecoveryError.damaged(
                "the end of the log in \(found.directory)/log is damaged: what it lost is not "
                    + "known, so another node must be recovered")
        }
        var found = found
        found.log = StartInventory.Log(log)
        guard case .openDatabase(let generation) = try StartPlan.step(found) else {
            throw RecoveryError.noState(found.directory)
        }
        return generation
    }

    /// The membership that this node knows, if log and database fit.
    /// - Throws: what a start would, but that the clusters' IDs differ in a recovery that was cut
    ///   off.
    package static func known(
        log: LogState, database: StoredDatabase
    ) throws(StartError) -> Membership {
        var database = database
        database.cluster = log.cluster
        return try StartPlan.restored(log: log, database: database, tail: LogTail()).membership
    }

    /// The membership that the operator's list makes of what this node knows. Members are known by
    /// their data directories, so the list can only name those that were members before.
    package static func membership(
        of peers: [NamedPeer], known: Membership, own: NodeIdentity
    ) throws(RecoveryError) -> Membership {
        for peer in peers {
            let text = peer.address.rawValue
            if text.contains("://") { throw .protocolInAddress(text) }
            guard isPlace(text) else { throw .invalidAddress(text) }
        }
        guard peers.contains(where: { $0.id == own.id }) else { throw .lacksThisNode(own.id) }
        var members: [Member] = []
        for peer in peers {
            let incarnation = peer.id == own.id ? own.incarnation : known[peer.id]?.incarnation
            guard let incarnation else { throw .unknownMember(peer.id, known: known) }
            members.append(
                Member(
                    id: peer.id, incarnation: incarnation, address: peer.address,
                    suffrage: peer.isVoter ? .voter : .nonvoter))
        }
        return Membership(members)
    }

    /// Bytes of an address: of a name in DNS, with brackets and port, and some more. The log takes no more than
    /// `Reach.nameBytes` back.
    private static var longestAddress: Int { 300 }

    /// `host:port`, IPv6 in brackets, as far as its text tells: the cluster would go on without whoever is nowhere.
    private static func isPlace(_ text: String) -> Bool {
        guard text.utf8.count <= longestAddress, let place = try? HostPort(parsing: text) else {
            return false
        }
        return place.port > 0 && !place.host.isEmpty
            && place.host.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }
}

/// Why a node can't be recovered. The text tells what to do.
package enum RecoveryError: Error, Equatable, Sendable, CustomStringConvertible {
    case noState(String)
    case noCluster
    case otherRecoveryBegun
    case protocolInAddress(String)
    case invalidAddress(String)
    case lacksThisNode(NodeID)
    case unknownMember(NodeID, known: Membership)
    case notMember(NodeID)
    case survivorIsNewer(LogPosition, own: LogPosition, NodeID)
    case damaged(String)
    case untrusted(String)
    case failed(String)

    package var description: String {
        switch self {
        case .noState(let directory): "\(directory) holds no node's data"
        case .noCluster: "this node belongs to no cluster yet: there is nothing to recover"
        case .otherRecoveryBegun:
            """
            an earlier recovery with other members was begun and did not end: give the same \
            members again and let it end, then recover once more
            """
        case .protocolInAddress(let text): "protocol specified in address: \(text)"
        case .invalidAddress(let text): "invalid address in configuration: \(text)"
        case .lacksThisNode(let id):
            """
            the configuration does not contain this node, \(id): list it, or leave the file away \
            and start it with an empty data directory
            """
        case .unknownMember(let id, let known):
            """
            node \(id) is no member that this node knows (\
            \(known.members.map(\.id.rawValue).joined(separator: ", "))): recover with members \
            that were there, and let others join afterwards
            """
        case .notMember(let id):
            "this node, \(id), is no member of its cluster any more: recover another one"
        case .survivorIsNewer(let other, let own, let id):
            """
            the survivor at \(other.recoveryText) has a newer log than this node, \(id), at \
            \(own.recoveryText): recover that one instead, and let this one join it with an empty \
            data directory, but not before that one serves
            """
        case .damaged(let text): text
        case .untrusted(let cause):
            """
            this node's database is not to be trusted (\(cause)), and no other voter would be there to \
            seed it. Let it go on together with a node whose database is sound, by raft/peers.json on \
            both, or recover that one alone, and empty no directory before one serves. What rows this \
            node has are in its files db-*.sqlite and damaged-*.sqlite
            """
        case .failed(let text): text
        }
    }
}

extension LogPosition {
    /// As `rqlited recover` prints and takes it.
    package var recoveryText: String { "\(term):\(index)" }
}
