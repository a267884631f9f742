/// A value of one of SQLite's storage classes (https://sqlite.org/datatype3.html §2).
package enum Value: Equatable, Sendable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
}

/// The byte before each value in an encoded list or row.
///
///     tag 0  null      –
///     tag 1  integer   8 bytes, signed
///     tag 2  real      8 bytes, IEEE 754
///     tag 3  text      u32 length, bytes (UTF-8 is not promised in rows: a database may hold any)
///     tag 4  blob      u32 length, bytes
package enum ValueTag: UInt8, Sendable {
    case null = 0
    case integer = 1
    case real = 2
    case text = 3
    case blob = 4
}

extension Value {
    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .null: writer.write(ValueTag.null.rawValue)
        case .integer(let value):
            writer.write(ValueTag.integer.rawValue)
            writer.write(value)
        case .real(let value):
            writer.write(ValueTag.real.rawValue)
            writer.write(value)
        case .text(let value):
            writer.write(ValueTag.text.rawValue)
            writer.write(value)
        case .blob(let value):
            writer.write(ValueTag.blob.rawValue)
            writer.write(value)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let tag = try reader.readByte()
        switch ValueTag(rawValue: tag) {
        case .null: self = .null
        case .integer: self = .integer(try reader.read())
        case .real: self = .real(try reader.readDouble())
        case .text: self = .text(try reader.readText())
        case .blob: self = .blob(try reader.readBytes())
        case nil: throw .invalid(field: "value tag", value: UInt64(tag))
        }
    }
}
