/// Names one load of a database that goes through the log in parts. Drawn at random by the node that
/// is asked.
package struct LoadID: Equatable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(high)
        writer.write(low)
    }

    /// - Throws: `WireError` for bytes that are missing.
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(high: try reader.read(), low: try reader.read())
    }
}

/// A part of a database file that is too large for one entry. All parts together, in the order of
/// their numbers, are the file as one gzip stream; they take effect with `LoadEnd`.
///
///     u8 0 | u8 0 | i64 milliseconds | u64 seed (unused) | u64, u64 ID | u32 number
///     | u64 bytes of the file | counted bytes
///
/// The first fields lie where those of a command do, so that a leader stamps all in one way.
package struct LoadPart: Equatable, Sendable {
    /// Which load it belongs to.
    package var id: LoadID
    /// From 0.
    package var number: UInt32
    /// Bytes of the whole file, unpacked.
    package var byteCount: UInt64
    package var bytes: [UInt8]
    /// Written by the leader when it proposes.
    package var stamp: Stamp

    /// Bytes of a part but the last: few enough that heartbeats and other entries pass between two,
    /// and that nobody feels the memory.
    package static let size = 4 << 20

    package init(
        id: LoadID, number: UInt32, byteCount: UInt64, bytes: [UInt8],
        stamp: Stamp = Stamp(milliseconds: 0, seed: 0)
    ) {
        self.id = id
        self.number = number
        self.byteCount = byteCount
        self.bytes = bytes
        self.stamp = stamp
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(UInt16(0))
        writer.write(stamp.milliseconds)
        writer.write(stamp.seed)
        id.encode(into: &writer)
        writer.write(number)
        writer.write(byteCount)
        writer.write(bytes)
    }

    /// - Throws: `WireError` for bytes that are missing, and for flags that nobody knows.
    package init(from reader: inout ByteReader) throws(WireError) {
        let flags = try reader.read(UInt16.self)
        guard flags == 0 else {
            throw .invalid(field: "flags of a part of a load", value: UInt64(flags))
        }
        stamp = Stamp(milliseconds: try reader.read(), seed: try reader.read())
        id = try LoadID(from: &reader)
        number = try reader.read()
        byteCount = try reader.read()
        bytes = try reader.readBytes()
    }
}

/// What becomes of the parts of a load.
///
///     u8 action (0 forget, 1 replace) | u8 flags (1 only an empty database) | i64 milliseconds
///     | u64 seed (unused) | u64, u64 ID | u32 parts | u64 bytes of the file
package struct LoadEnd: Equatable, Sendable {
    package enum Action: UInt8, Sendable {
        /// They are not wanted any more.
        case forget = 0
        /// The file that they make up takes the place of the database.
        case replace = 1
    }

    /// Which load is meant.
    package var id: LoadID
    package var action: Action
    /// It replaces nothing but a database in which a client has made nothing yet.
    package var onlyEmpty: Bool
    /// How many there must be.
    package var parts: UInt32
    /// Bytes of the whole file, unpacked.
    package var byteCount: UInt64
    /// Written by the leader when it proposes.
    package var stamp: Stamp

    package init(
        id: LoadID, action: Action, onlyEmpty: Bool = false, parts: UInt32, byteCount: UInt64,
        stamp: Stamp = Stamp(milliseconds: 0, seed: 0)
    ) {
        self.id = id
        self.action = action
        self.onlyEmpty = onlyEmpty
        self.parts = parts
        self.byteCount = byteCount
        self.stamp = stamp
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(action.rawValue)
        writer.write(UInt8(onlyEmpty ? 1 : 0))
        writer.write(stamp.milliseconds)
        writer.write(stamp.seed)
        id.encode(into: &writer)
        writer.write(parts)
        writer.write(byteCount)
    }

    /// - Throws: `WireError` for bytes that are missing, and for an action or flags that nobody
    ///   knows.
    package init(from reader: inout ByteReader) throws(WireError) {
        let raw = try reader.readByte()
        guard let action = Action(rawValue: raw) else {
            throw .invalid(field: "end of a load", value: UInt64(raw))
        }
        self.action = action
        let flags = try reader.readByte()
        guard flags & ~1 == 0 else {
            throw .invalid(field: "flags of the end of a load", value: UInt64(flags))
        }
        onlyEmpty = flags == 1
        stamp = Stamp(milliseconds: try reader.read(), seed: try reader.read())
        id = try LoadID(from: &reader)
        parts = try reader.read()
        byteCount = try reader.read()
    }
}

/// A database file, packed and ready for the log, that is kept in a file until its parts have gone
/// there. Whoever made it drops that file when nobody holds this any more. Thread-safe.
package final class LoadParcel: Equatable, Sendable {
    package let id: LoadID
    /// Bytes of the database, unpacked.
    package let byteCount: UInt64
    /// How many parts it has; at least one.
    package let parts: UInt32
    /// It may only take the place of an empty database.
    package let onlyEmpty: Bool
    private let read: @Sendable (UInt32) -> [UInt8]?

    /// - Parameter read: gives the part of a number below `parts`; nil: it can't be read. It may
    ///   wait for the disk.
    package init(
        id: LoadID, byteCount: UInt64, parts: UInt32, onlyEmpty: Bool = false,
        read: @escaping @Sendable (UInt32) -> [UInt8]?
    ) {
        self.id = id
        self.byteCount = byteCount
        self.parts = parts
        self.onlyEmpty = onlyEmpty
        self.read = read
    }

    /// Never on an event loop.
    package func part(_ number: UInt32) -> [UInt8]? { read(number) }

    package static func == (a: LoadParcel, b: LoadParcel) -> Bool { a === b }
}
