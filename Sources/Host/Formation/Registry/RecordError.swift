import JSON
import Raft

/// Why a record can't be read. The text never repeats the record: anybody may have written it.
package struct RecordError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong, for the operator.
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Members of a record with their bounds. Each fails with what is wrong with which member.
struct RecordReader {
    private let object: JSONValue
    /// Where this object stands in the record, with a point behind, for errors.
    private let path: String

    init(_ bytes: [UInt8]) throws(RecordError) {
        guard bytes.count <= RegistryLimits.value else {
            throw RecordError("\(bytes.count) bytes, over the limit of \(RegistryLimits.value)")
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes, depthLimit: RegistryLimits.depth)
        } catch {
            throw RecordError("\(error)")
        }
        try self.init(value, path: "")
    }

    init(_ value: JSONValue, path: String) throws(RecordError) {
        guard value.members != nil else {
            throw RecordError("\(path.isEmpty ? "it" : path) is no JSON object")
        }
        object = value
        self.path = path
    }

    func has(_ name: String) -> Bool { object[name].map { $0 != .null } ?? false }

    /// Nil where the member is missing, null or empty.
    func optionalText(_ name: String, limit: Int) throws(RecordError) -> String? {
        guard has(name) else { return nil }
        guard let text = object[name]?.string else { throw wrong(name, "is no string") }
        guard text.utf8.count <= limit else { throw wrong(name, "has over \(limit) bytes") }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw wrong(name, "has a control character")
        }
        return text.isEmpty ? nil : text
    }

    func text(_ name: String, limit: Int) throws(RecordError) -> String {
        guard let text = try optionalText(name, limit: limit) else {
            throw wrong(name, "is missing")
        }
        return text
    }

    func nodeID(_ name: String) throws(RecordError) -> NodeID {
        NodeID(try text(name, limit: RegistryLimits.nodeID))
    }

    func address(_ name: String) throws(RecordError) -> PeerAddress {
        let address = PeerAddress(try text(name, limit: RegistryLimits.address))
        guard address.isWellFormed else { throw wrong(name, "is not of the form host:port") }
        return address
    }

    func optionalRandomID(_ name: String) throws(RecordError) -> RandomID? {
        guard let text = try optionalText(name, limit: 32) else { return nil }
        guard let id = RandomID(text) else { throw wrong(name, "is not 32 hexadecimal digits") }
        return id
    }

    func randomID(_ name: String) throws(RecordError) -> RandomID {
        guard let id = try optionalRandomID(name) else { throw wrong(name, "is missing") }
        return id
    }

    /// Zero where the member is missing.
    func count(_ name: String) throws(RecordError) -> UInt64 {
        guard has(name) else { return 0 }
        guard let number = object[name]?.integer, number >= 0 else {
            throw wrong(name, "is no whole number")
        }
        return UInt64(number)
    }

    /// Empty where the member is missing.
    func list(_ name: String) throws(RecordError) -> [RecordReader] {
        guard has(name) else { return [] }
        guard let elements = object[name]?.array else { throw wrong(name, "is no list") }
        var readers: [RecordReader] = []
        for element in elements {
            readers.append(try RecordReader(element, path: "\(path)\(name)."))
        }
        return readers
    }

    func wrong(_ name: String, _ what: String) -> RecordError {
        RecordError("member \(path)\(name) \(what)")
    }
}

extension PeerAddress {
    /// `host:port` with a host that a name or an IP address may be, IPv6 in brackets.
    var isWellFormed: Bool {
        guard let colon = rawValue.utf8.lastIndex(of: UInt8(ascii: ":")) else { return false }
        let digits = rawValue[rawValue.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits), port > 0
        else { return false }
        var host = rawValue[..<colon].utf8
        if host.first == UInt8(ascii: "["), host.last == UInt8(ascii: "]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(UInt8(ascii: ":")) {
            return false
        }
        return !host.isEmpty && host.allSatisfy { (0x21...0x7E).contains($0) }
            && !host.contains(where: { "[]/?#@\"".utf8.contains($0) })
    }
}
