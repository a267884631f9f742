package import Raft
package import Wire

/// The resolved addresses among which a ballot is held, with the number of voters that it founds a
/// cluster with, and for each address the incarnation that was known to answer there when the
/// ballot began. Only that incarnation can stand for the address in the ballot.
///
///     u32 expect | u32 count | per entry: text address, optional incarnation
///
/// Entries stand sorted by address, each once.
package struct CandidateList: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package let address: PeerAddress
        package let incarnation: Incarnation?

        package init(address: PeerAddress, incarnation: Incarnation?) {
            self.address = address
            self.incarnation = incarnation
        }
    }

    /// `-bootstrap-expect`: N.
    package let expect: Int
    package let entries: [Entry]

    package init(expect: Int, entries: [Entry]) {
        self.expect = expect
        let isSorted = zip(entries, entries.dropFirst()).allSatisfy { $0.address < $1.address }
        self.entries = isSorted ? entries : entries.sorted { $0.address < $1.address }
    }

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
                Entry(address: entry.address, incarnation: entry.incarnation ?? old.incarnation)
            })
    }

    func hasSameAddresses(as other: CandidateList) -> Bool {
        expect == other.expect && entries.count == other.entries.count
            && zip(entries, other.entries).allSatisfy { $0.address == $1.address }
    }
}

extension CandidateList {
    /// How far those who answered in a ballot are a quorum of a list.
    package struct Tally: Equatable, Sendable {
        package let present: Int
        package let needed: Int
        package var isQuorum: Bool { present >= needed }

        package init(present: Int, needed: Int) {
            self.present = present
            self.needed = needed
        }
    }

    /// Counts the acceptors among `attendance` that stand for an address of this list: because they
    /// answered there, or because this list was recorded with them there. Two addresses count once
    /// only if one of them answered on both; whoever can't be shown to be one counts as two, which
    /// asks for a larger quorum and so can't be wrong.
    ///
    /// - Parameter acceptors: if given, only these count as present.
    package func tally(
        _ attendance: Attendance, counting acceptors: [Incarnation]? = nil
    ) -> Tally {
        var present: [Incarnation] = []
        var answered: [Incarnation] = []
        var distinct = entries.count
        for entry in entries {
            let here = attendance.incarnation(at: entry.address)
            if let here {
                if answered.contains(here) { distinct -= 1 } else { answered.append(here) }
            }
            let recorded = entry.incarnation.flatMap { attendance.contains($0) ? $0 : nil }
            if let one = recorded ?? here, !present.contains(one), acceptors?.contains(one) ?? true
            {
                present.append(one)
            }
        }
        return Tally(
            present: present.count,
            needed: CandidateList.quorum(expect: expect, count: distinct))
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
    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt32(clamping: expect))
        writer.write(entries) { writer, entry in
            entry.address.encode(into: &writer)
            writer.write(entry.incarnation) { $1.encode(into: &$0) }
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let expect = Int(try reader.read(UInt32.self))
        let entries = try reader.readList(
            elementSize: 5, limit: FormationLimits.addresses
        ) { (reader) throws(WireError) in
            Entry(
                address: try PeerAddress(from: &reader),
                incarnation: try reader.readOptional { (reader) throws(WireError) in
                    try Incarnation(from: &reader)
                })
        }
        for (entry, next) in zip(entries, entries.dropFirst()) where entry.address >= next.address {
            throw .invalid(field: "order of addresses", value: UInt64(entries.count))
        }
        self.init(expect: expect, entries: entries)
    }
}
