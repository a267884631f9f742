package import Raft
package import Wire

/// The resolved addresses among which a ballot is held, with the number of voters that it founds a
/// cluster with, and for each address the incarnation that was known to answer there when the
/// ballot began. Only that incarnation can stand for the address in the ballot.
///
///     u32 expect | u32 count | per entry: text address, optional incarnation
///     with names, also per entry: optional text name
///     with drops, at the end: u32 count, dropped addresses
///
/// Entries stand sorted by address, each once.
package struct CandidateList: Hashable, Sendable {
    /// One candidate.
    package struct Entry: Hashable, Sendable {
        /// Its Raft address, as operators or discovery gave it.
        package let address: PeerAddress
        /// Nil as long as it has not answered a hello.
        package let incarnation: Incarnation?
        /// The listed name that leads here, for its addresses of two families are the same nodes.
        package let name: PeerAddress?

        package init(
            address: PeerAddress, incarnation: Incarnation?, name: PeerAddress? = nil
        ) {
            self.address = address
            self.incarnation = incarnation
            self.name = name
        }
    }

    /// `-bootstrap-expect`: N.
    package let expect: Int
    /// Sorted by address, each address once.
    package let entries: [Entry]
    /// What an operator dropped on the node that holds the ballot, sorted; also addresses of other
    /// lists. Told when a promise is asked for, and never recorded: it changes how many of a list must
    /// take part, and any two such numbers of nodes meet (`tally`).
    package let dropped: [PeerAddress]

    /// - Parameters:
    ///   - entries: in any order; each address at most once.
    ///   - dropped: in any order; each at most once.
    package init(expect: Int, entries: [Entry], dropped: [PeerAddress] = []) {
        self.expect = expect
        self.dropped = dropped.sorted()
        let isSorted = zip(entries, entries.dropFirst()).allSatisfy { $0.address < $1.address }
        self.entries = isSorted ? entries : entries.sorted { $0.address < $1.address }
    }

    /// In their order.
    package var addresses: [PeerAddress] { entries.map(\.address) }

    /// max(N, K − N + 1): more than half of K, and it meets every set of N among K.
    package static func quorum(expect: Int, count: Int) -> Int {
        max(expect, count - expect + 1)
    }

    /// The same list with what `older` knew of the incarnations at its addresses.
    func completed(by older: CandidateList) -> CandidateList {
        CandidateList(
            expect: expect,
            entries: zip(entries, older.entries).map { entry, old in
                Entry(
                    address: entry.address, incarnation: entry.incarnation ?? old.incarnation,
                    name: entry.name)
            })
    }

    /// As acceptors record it.
    var withoutDrops: CandidateList {
        dropped.isEmpty ? self : CandidateList(expect: expect, entries: entries)
    }

    func hasSameAddresses(as other: CandidateList) -> Bool {
        expect == other.expect && entries.count == other.entries.count
            && zip(entries, other.entries).allSatisfy { $0.address == $1.address }
    }
}

extension CandidateList {
    /// How far those who answered in a ballot are a quorum of a list.
    package struct Tally: Equatable, Sendable {
        /// Candidates of the list that answered.
        package let present: Int
        /// The list's quorum.
        package let needed: Int
        /// Enough have answered.
        package var isQuorum: Bool { present >= needed }

        package init(present: Int, needed: Int) {
            self.present = present
            self.needed = needed
        }
    }

    /// Counts the acceptors among `attendance` that stand for an address of this list: because they
    /// answered there, or because this list was recorded with them there. Two addresses count once
    /// only if one of them answered on both; whoever can't be shown to be one counts as two, which
    /// asks for a larger quorum and so can't be wrong. Only of one name's addresses it is believed
    /// that the nodes of the one family are among those of the other (`Families`).
    ///
    /// Where nobody stands for an address that was dropped, fewer are needed: a quorum of what is left,
    /// but more than half of the whole list, or just half of it with whoever stands for its first
    /// address. So two quorums of one list meet, whatever was dropped for either, and also if what was
    /// dropped is there after all.
    ///
    /// - Parameters:
    ///   - acceptors: if given, only these count as present.
    ///   - dropped: addresses that an operator said to be gone for good.
    package func tally(
        _ attendance: Attendance, counting acceptors: [Incarnation]? = nil,
        dropping dropped: [PeerAddress] = []
    ) -> Tally {
        var vacant = 0
        var hasFirst = false
        var present: [Incarnation] = []
        var answered: [Incarnation] = []
        var distinct = entries.count
        var names: [Families] = []
        for entry in entries {
            let here = attendance.incarnation(at: entry.address)
            if let here {
                if answered.contains(here) { distinct -= 1 } else { answered.append(here) }
            }
            if let name = entry.name {
                let place = names.firstIndex { $0.name == name } ?? names.endIndex
                if place == names.endIndex { names.append(Families(name)) }
                names[place].add(entry.address, here)
            }
            let recorded = entry.incarnation.flatMap { attendance.contains($0) ? $0 : nil }
            let one = recorded ?? here
            if one == nil, dropped.contains(entry.address) { vacant += 1 }
            if let one, !present.contains(one), acceptors?.contains(one) ?? true {
                present.append(one)
                if entry.address == entries.first?.address { hasFirst = true }
            }
        }
        distinct -= names.reduce(0) { $0 + $1.pairs }
        var needed = CandidateList.quorum(expect: expect, count: distinct)
        if vacant > 0 {
            let majority = distinct % 2 == 0 && hasFirst ? distinct / 2 : distinct / 2 + 1
            let left = CandidateList.quorum(expect: expect, count: distinct - vacant)
            needed = min(needed, max(left, majority))
        }
        return Tally(present: present.count, needed: needed)
    }

    /// What is known of one name's addresses, to tell how many nodes they are at least.
    ///
    /// A name has the same nodes in both families, or in one of them some of the other's: that is
    /// taken for granted. So an address without an answer may be that of a node which answered in the
    /// other family only, or the same as another's without an answer. With a nodes that have IPv4
    /// and v of these IPv6 addresses the count stays at a or more, whoever answers where: those that
    /// answered by IPv6 alone have an IPv4 address that is silent.
    private struct Families {
        let name: PeerAddress
        private var answered: (v4: [Incarnation], v6: [Incarnation]) = ([], [])
        private var silent: (v4: Int, v6: Int) = (0, 0)

        init(_ name: PeerAddress) { self.name = name }

        mutating func add(_ address: PeerAddress, _ incarnation: Incarnation?) {
            switch (incarnation, address.isVersion6) {
            case (let incarnation?, false):
                if !answered.v4.contains(incarnation) { answered.v4.append(incarnation) }
            case (let incarnation?, true):
                if !answered.v6.contains(incarnation) { answered.v6.append(incarnation) }
            case (nil, false): silent.v4 += 1
            case (nil, true): silent.v6 += 1
            }
        }

        /// How many of the silent addresses are other nodes' second ones.
        var pairs: Int {
            let onlyV4 = answered.v4.filter { !answered.v6.contains($0) }.count
            let onlyV6 = answered.v6.filter { !answered.v4.contains($0) }.count
            let withV4 = min(onlyV4, silent.v6)
            let withV6 = min(onlyV6, silent.v4)
            return withV4 + withV6 + min(silent.v4 - withV6, silent.v6 - withV4)
        }
    }
}

/// Which incarnation stands for which address. An address stands for at most one.
package struct Attendance: Equatable, Sendable {
    private(set) var seats: [(address: PeerAddress, incarnation: Incarnation)] = []

    package init() {}

    /// The first to answer at an address has it.
    package mutating func seat(_ incarnation: Incarnation, at address: PeerAddress) {
        if self.incarnation(at: address) == nil { seats.append((address, incarnation)) }
    }

    func incarnation(at address: PeerAddress) -> Incarnation? {
        seats.first { $0.address == address }?.incarnation
    }

    func contains(_ incarnation: Incarnation) -> Bool {
        seats.contains { $0.incarnation == incarnation }
    }

    package static func == (a: Attendance, b: Attendance) -> Bool {
        a.seats.elementsEqual(b.seats) { $0 == $1 }
    }
}

extension CandidateList {
    /// Some address was found for a name.
    package var hasNames: Bool { entries.contains { $0.name != nil } }

    /// - Parameters:
    ///   - names: write them, too; who reads must know.
    ///   - drops: likewise.
    package func encode(
        into writer: inout ByteWriter, names: Bool = false, drops: Bool = false
    ) {
        writer.write(UInt32(clamping: expect))
        writer.write(entries) { writer, entry in
            entry.address.encode(into: &writer)
            writer.write(entry.incarnation) { $1.encode(into: &$0) }
            if names { writer.write(entry.name) { $1.encode(into: &$0) } }
        }
        if drops { writer.write(dropped) { $1.encode(into: &$0) } }
    }

    package init(
        from reader: inout ByteReader, names: Bool = false, drops: Bool = false
    ) throws(WireError) {
        let expect = Int(try reader.read(UInt32.self))
        let entries = try reader.readList(
            elementSize: 5, limit: FormationLimits.addresses
        ) { (reader) throws(WireError) in
            Entry(
                address: try PeerAddress(from: &reader),
                incarnation: try reader.readOptional { (reader) throws(WireError) in
                    try Incarnation(from: &reader)
                },
                name: names
                    ? try reader.readOptional { (reader) throws(WireError) in
                        try PeerAddress(from: &reader)
                    } : nil)
        }
        for (entry, next) in zip(entries, entries.dropFirst()) where entry.address >= next.address {
            throw .invalid(field: "order of addresses", value: UInt64(entries.count))
        }
        let dropped = drops ? try Self.readDropped(from: &reader) : []
        self.init(expect: expect, entries: entries, dropped: dropped)
    }

    /// Addresses that were dropped: in order, each once, as many as a list may have.
    static func readDropped(from reader: inout ByteReader) throws(WireError) -> [PeerAddress] {
        let dropped = try reader.readList(elementSize: 4, limit: FormationLimits.addresses) {
            (reader) throws(WireError) in try PeerAddress(from: &reader)
        }
        for (address, next) in zip(dropped, dropped.dropFirst()) where address >= next {
            throw .invalid(field: "order of dropped addresses", value: UInt64(dropped.count))
        }
        return dropped
    }
}
