package import Wire

extension Member {
    package func encode(into writer: inout ByteWriter) {
        id.encode(into: &writer)
        incarnation.encode(into: &writer)
        address.encode(into: &writer)
        writer.write(suffrage.rawValue)
    }
    package init(from reader: inout ByteReader) throws(WireError) {
        let id = try NodeID(from: &reader)
        let incarnation = try Incarnation(from: &reader)
        let address = try PeerAddress(from: &reader)
        let raw = try reader.readByte()
        guard let suffrage = Suffrage(rawValue: raw) else {
            throw .invalid(field: "suffrage", value: UInt64(raw))
        }
        self.init(id: id, incarnation: incarnation, address: address, suffrage: suffrage)
    }
}

extension Membership {
    package func encode(into writer: inout ByteWriter) {
        writer.write(members) { $1.encode(into: &$0) }
    }
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(
            try reader.readList(elementSize: 25, limit: Reach.members) { (r) throws(WireError) in
                try Member(from: &r)
            })
    }
}

extension HardState {
    package func encode(into writer: inout ByteWriter) {
        term.encode(into: &writer)
        writer.write(votedFor) {
            $1.candidate.encode(into: &$0)
            $1.incarnation.encode(into: &$0)
        }
    }
    package init(from reader: inout ByteReader) throws(WireError) {
        let term = try Term(from: &reader)
        let vote = try reader.readOptional { (r) throws(WireError) in
            Vote(candidate: try NodeID(from: &r), incarnation: try Incarnation(from: &r))
        }
        self.init(term: term, votedFor: vote)
    }
}

/// An entry: index | term | u8 payload kind (0 noop, 1 command, 2 membership) | payload.
extension Entry {
    package func encode(into writer: inout ByteWriter) {
        index.encode(into: &writer)
        term.encode(into: &writer)
        switch payload {
        case .noop:
            writer.write(UInt8(0))
        case .command(let bytes):
            writer.write(UInt8(1))
            writer.write(bytes)
        case .membership(let membership):
            writer.write(UInt8(2))
            membership.encode(into: &writer)
        }
    }
    package init(from reader: inout ByteReader) throws(WireError) {
        let index = try LogIndex(from: &reader)
        let term = try Term(from: &reader)
        let kind = try reader.readByte()
        let payload: Payload
        switch kind {
        case 0: payload = .noop
        case 1: payload = .command(try reader.readBytes())
        case 2: payload = .membership(try Membership(from: &reader))
        default: throw .invalid(field: "payload kind", value: UInt64(kind))
        }
        self.init(index: index, term: term, payload: payload)
    }
}

extension SnapshotMark {
    package func encode(into writer: inout ByteWriter) {
        position.encode(into: &writer)
        membership.encode(into: &writer)
        membershipIndex.encode(into: &writer)
    }
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(
            position: try LogPosition(from: &reader), membership: try Membership(from: &reader),
            membershipIndex: try LogIndex(from: &reader))
    }
}
