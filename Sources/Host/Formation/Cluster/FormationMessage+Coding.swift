import Raft
package import Wire

/// The bytes of `FormationMessage` and of what it consists of.
extension FormationMessage {
    /// The second tells the names of lists' addresses, too, the third what was dropped; written only
    /// where there are some, so that a program which knows the first alone can be asked for its cluster.
    static let version: UInt8 = 3

    private enum Kind: UInt8 {
        case prepare = 1
        case accept = 2
        case chosen = 3
        case inquiry = 4
        case promise = 16
        case accepted = 17
        case outpaced = 18
        case formed = 19
        case unformed = 20
        case refused = 21
    }

    /// The format's version, the kind, and what the kind's row says.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        let drops = hasDrops
        let names = drops || hasNames
        writer.write(drops ? Self.version : names ? 2 : 1)
        writer.write(kind.rawValue)
        switch self {
        case .prepare(let ballot, let list, let sender):
            ballot.encode(into: &writer)
            list.encode(into: &writer, names: names, drops: drops)
            sender.encode(into: &writer)
        case .accept(let ballot, let list, let value, let sender):
            ballot.encode(into: &writer)
            list.encode(into: &writer, names: names)
            value.encode(into: &writer)
            sender.encode(into: &writer)
        case .chosen(let value): value.encode(into: &writer)
        case .inquiry: break
        case .promise(let promise): promise.encode(into: &writer, names: names)
        case .accepted(let ballot, let incarnation):
            ballot.encode(into: &writer)
            incarnation.encode(into: &writer)
        case .outpaced(let ballot, let promised):
            ballot.encode(into: &writer)
            promised.encode(into: &writer)
        case .formed(let cluster, let value):
            cluster.encode(into: &writer)
            writer.write(value) { $1.encode(into: &$0) }
        case .unformed(let holdsAcceptance): writer.write(holdsAcceptance)
        case .refused(let ballot, let refusal):
            ballot.encode(into: &writer)
            refusal.encode(into: &writer)
        }
        return writer.bytes
    }

    /// Fails on other versions, unknown kinds, what is cut short, and bytes left over.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes)
        let version = try reader.readByte()
        guard (1...Self.version).contains(version) else {
            throw .unsupportedVersion(found: version, supported: Self.version)
        }
        let names = version >= 2
        let raw = try reader.readByte()
        guard let kind = Kind(rawValue: raw) else {
            throw .invalid(field: "kind of formation message", value: UInt64(raw))
        }
        switch kind {
        case .prepare:
            self = .prepare(
                try Ballot(from: &reader),
                try CandidateList(from: &reader, names: names, drops: version >= 3),
                from: try FormationIntroduction(from: &reader))
        case .accept:
            self = .accept(
                try Ballot(from: &reader), try CandidateList(from: &reader, names: names),
                try BootstrapValue(from: &reader), from: try FormationIntroduction(from: &reader))
        case .chosen: self = .chosen(try BootstrapValue(from: &reader))
        case .inquiry: self = .inquiry
        case .promise: self = .promise(try Promise(from: &reader, names: names))
        case .accepted:
            self = .accepted(try Ballot(from: &reader), by: try Incarnation(from: &reader))
        case .outpaced: self = .outpaced(try Ballot(from: &reader), by: try Ballot(from: &reader))
        case .formed:
            self = .formed(
                try ClusterID(from: &reader),
                try reader.readOptional { (r) throws(WireError) in try BootstrapValue(from: &r) })
        case .unformed: self = .unformed(holdsAcceptance: try reader.readBool())
        case .refused:
            self = .refused(try Ballot(from: &reader), try FormationRefusal(from: &reader))
        }
        try reader.expectEnd()
    }

    private var hasNames: Bool {
        switch self {
        case .prepare(_, let list, _), .accept(_, let list, _, _): list.hasNames
        case .promise(let promise):
            promise.lists.contains(where: \.hasNames) || promise.accepted?.list.hasNames ?? false
        case .chosen, .inquiry, .accepted, .outpaced, .formed, .unformed, .refused: false
        }
    }

    /// Only who is asked to promise must know what was dropped.
    private var hasDrops: Bool {
        if case .prepare(_, let list, _) = self { !list.dropped.isEmpty } else { false }
    }

    private var kind: Kind {
        switch self {
        case .prepare: .prepare
        case .accept: .accept
        case .chosen: .chosen
        case .inquiry: .inquiry
        case .promise: .promise
        case .accepted: .accepted
        case .outpaced: .outpaced
        case .formed: .formed
        case .unformed: .unformed
        case .refused: .refused
        }
    }
}

extension FormationMessage.Promise {
    func encode(into writer: inout ByteWriter, names: Bool) {
        ballot.encode(into: &writer)
        acceptor.encode(into: &writer)
        writer.write(accepted) { $1.encode(into: &$0, names: names) }
        writer.write(lists) { $1.encode(into: &$0, names: names) }
    }

    init(from reader: inout ByteReader, names: Bool) throws(WireError) {
        ballot = try Ballot(from: &reader)
        acceptor = try FormationIntroduction(from: &reader)
        accepted = try reader.readOptional { (r) throws(WireError) in
            try AcceptorState.Accepted(from: &r, names: names)
        }
        // As many as an acceptor remembers, and that of the value it accepted.
        lists = try reader.readList(elementSize: 8, limit: FormationLimits.recordedLists + 1) {
            (r) throws(WireError) in
            try CandidateList(from: &r, names: names)
        }
    }
}

extension FormationIntroduction {
    package func encode(into writer: inout ByteWriter) {
        identity.encode(into: &writer)
        address.encode(into: &writer)
        writer.write(suffrage.rawValue)
        writer.write(UInt32(clamping: expect))
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let identity = try NodeIdentity(from: &reader)
        let address = try PeerAddress(from: &reader)
        let raw = try reader.readByte()
        guard let suffrage = Suffrage(rawValue: raw) else {
            throw .invalid(field: "suffrage", value: UInt64(raw))
        }
        self.init(
            identity: identity, address: address, suffrage: suffrage,
            expect: Int(try reader.read(UInt32.self)))
    }
}
