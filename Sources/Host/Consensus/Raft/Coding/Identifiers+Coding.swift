package import Wire

/// A number is eight bytes, an identifier sixteen, a name a text.
extension Term {
    package func encode(into writer: inout ByteWriter) { writer.write(rawValue) }
    package init(from reader: inout ByteReader) throws(WireError) { self.init(try reader.read()) }
}

extension LogIndex {
    package func encode(into writer: inout ByteWriter) { writer.write(rawValue) }
    package init(from reader: inout ByteReader) throws(WireError) { self.init(try reader.read()) }
}

extension LogPosition {
    package func encode(into writer: inout ByteWriter) {
        index.encode(into: &writer)
        term.encode(into: &writer)
    }
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(index: try LogIndex(from: &reader), term: try Term(from: &reader))
    }
}

extension NodeID {
    package func encode(into writer: inout ByteWriter) { writer.write(rawValue) }
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(try reader.readText(limit: Reach.nameBytes))
    }
}

extension PeerAddress {
    package func encode(into writer: inout ByteWriter) { writer.write(rawValue) }
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(try reader.readText(limit: Reach.nameBytes))
    }
}

extension RandomID {
    package func encode(into writer: inout ByteWriter) {
        writer.write(high)
        writer.write(low)
    }
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(high: try reader.read(), low: try reader.read())
    }
}

extension Incarnation {
    package func encode(into writer: inout ByteWriter) { id.encode(into: &writer) }
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(try RandomID(from: &reader))
    }
}

extension ClusterID {
    package func encode(into writer: inout ByteWriter) { id.encode(into: &writer) }
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(try RandomID(from: &reader))
    }
}

extension NodeIdentity {
    package func encode(into writer: inout ByteWriter) {
        id.encode(into: &writer)
        incarnation.encode(into: &writer)
    }
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(id: try NodeID(from: &reader), incarnation: try Incarnation(from: &reader))
    }
}
