import Glibc
import PluginABI

/// What a plugin handed to the sink of one call, checked and copied.
struct CallResults: Sendable {
    struct Kinds: OptionSet {
        let rawValue: UInt8
        static let addresses = Kinds(rawValue: 1)
        static let records = Kinds(rawValue: 2)
        static let token = Kinds(rawValue: 4)
        static let text = Kinds(rawValue: 8)
        /// Records may come in pages, more of them than fit one answer.
        static let pages = Kinds(rawValue: 16)
    }

    private let kinds: Kinds
    private(set) var message = ""
    private(set) var addresses: [DiscoveredAddress] = []
    private(set) var records: [RegistryRecord] = []
    /// Of records, before the page that is being taken.
    private var earlierRecords = 0
    private var recordBytes = 0
    private(set) var token: [UInt8] = []
    private(set) var text: String?
    /// The first thing that was not as it should be; it makes the call fail.
    private(set) var violation: String?

    init(kinds: Kinds) { self.kinds = kinds }

    /// Longer messages are cut, and bytes that are no text replaced: a complaint is never refused.
    mutating func take(message: rqd_text) -> Int32 {
        guard let data = message.data else { return RQD_OK }
        let count = Int(min(message.length, UInt64(RQD_MAX_MESSAGE)))
        self.message = String(
            decoding: UnsafeRawBufferPointer(start: data, count: count), as: UTF8.self)
        return RQD_OK
    }

    mutating func take(_ address: UnsafePointer<rqd_address>) -> Int32 {
        guard kinds.contains(.addresses) else { return violate("an address was not asked for") }
        guard addresses.count < Int(RQD_MAX_ADDRESSES) else {
            return violate("there are over \(RQD_MAX_ADDRESSES) addresses")
        }
        let address = ABI.copy(address, rqd_address(), size: address.pointee.size)
        guard let host = ABI.text(address.host, limit: RQD_MAX_HOST), HostSyntax.isValid(host)
        else {
            return violate("an address is neither a host name nor an IP address")
        }
        guard let port = UInt16(exactly: address.port) else {
            return violate("the address \(host) has the port \(address.port)")
        }
        guard let source = ABI.text(address.source, limit: RQD_MAX_SOURCE) else {
            return violate("the source of \(host) is not a text of up to \(RQD_MAX_SOURCE) bytes")
        }
        addresses.append(
            DiscoveredAddress(
                host: host, port: port, priority: address.priority, weight: address.weight,
                timeToLive: address.ttl_s == 0 ? nil : .seconds(Int64(address.ttl_s)),
                source: source))
        return RQD_OK
    }

    mutating func take(_ record: UnsafePointer<rqd_record>) -> Int32 {
        guard kinds.contains(.records) else { return violate("a record was not asked for") }
        let limit = earlierRecords + Int(RQD_MAX_RECORDS)
        guard records.count < min(limit, DiscoveryLimits.recordsInPages),
            recordBytes < DiscoveryLimits.bytesInPages
        else { return violate("there are over \(records.count) records") }
        let record = ABI.copy(record, rqd_record(), size: record.pointee.size)
        guard let name = ABI.text(record.name, limit: RQD_MAX_NAME) else {
            return violate("a record's name is not a text of up to \(RQD_MAX_NAME) bytes")
        }
        guard let value = ABI.bytes(record.value, limit: RQD_MAX_VALUE) else {
            return violate("the record \(name) has over \(RQD_MAX_VALUE) bytes")
        }
        guard let revision = ABI.bytes(record.revision, limit: RQD_MAX_REVISION), !revision.isEmpty
        else { return violate("the record \(name) has no revision of 1-\(RQD_MAX_REVISION) bytes") }
        recordBytes += name.utf8.count + value.count + revision.count
        records.append(RegistryRecord(name: name, value: value, revision: revision))
        return RQD_OK
    }

    /// What came so far is one page; as many records again may follow.
    mutating func beginPage() {
        if kinds.contains(.pages) { earlierRecords = records.count }
    }

    /// Records of the page that is being taken.
    var recordsOfPage: ArraySlice<RegistryRecord> { records[earlierRecords...] }

    mutating func take(token: rqd_bytes) -> Int32 {
        guard kinds.contains(.token) else { return violate("a token was not asked for") }
        guard let bytes = ABI.bytes(token, limit: RQD_MAX_TOKEN) else {
            return violate("the token is longer than \(RQD_MAX_TOKEN) bytes")
        }
        self.token = bytes
        return RQD_OK
    }

    mutating func take(text: rqd_text) -> Int32 {
        guard kinds.contains(.text) else { return violate("a text was not asked for") }
        guard let text = ABI.text(text, limit: RQD_MAX_DESCRIBE) else {
            return violate("the description is not a text of up to \(RQD_MAX_DESCRIBE) bytes")
        }
        self.text = text
        return RQD_OK
    }

    mutating func violate(_ what: String) -> Int32 {
        if violation == nil { violation = what }
        return RQD_PROTOCOL
    }
}

/// Reading what plugins point to. Lengths are checked before anything is copied.
enum ABI {
    /// As much of a struct as both sides know; the rest is as in `blank`. Sizes are taken in whole
    /// words, as those of all structs are, so that no pointer is ever half read.
    static func copy<Table>(
        _ source: UnsafeRawPointer, _ blank: Table, size: UInt32
    ) -> Table {
        var table = blank
        withUnsafeMutableBytes(of: &table) { bytes in
            let known = min(Int(size) & ~7, bytes.count)
            bytes.copyMemory(from: UnsafeRawBufferPointer(start: source, count: known))
        }
        return table
    }

    /// Nil if it is too long, not UTF-8, or holds a NUL.
    static func text(_ text: rqd_text, limit: UInt32) -> String? {
        guard text.length <= limit else { return nil }
        guard text.length > 0 else { return "" }
        guard let data = text.data else { return nil }
        let raw = UnsafeRawBufferPointer(start: data, count: Int(text.length))
        guard !raw.contains(0) else { return nil }
        return String(validating: raw, as: UTF8.self)
    }

    /// Valid inside `body`.
    static func lend<Result>(_ text: String, _ body: (rqd_text) -> Result) -> Result {
        let bytes = text.utf8.map { CChar(bitPattern: $0) }
        return bytes.withUnsafeBufferPointer {
            body(rqd_text(data: $0.baseAddress, length: UInt64($0.count)))
        }
    }

    static func lend<Result>(_ bytes: [UInt8], _ body: (rqd_bytes) -> Result) -> Result {
        bytes.withUnsafeBufferPointer {
            body(rqd_bytes(data: $0.baseAddress, length: UInt64($0.count)))
        }
    }

    static func bytes(_ bytes: rqd_bytes, limit: UInt32) -> [UInt8]? {
        guard bytes.length <= limit else { return nil }
        guard bytes.length > 0 else { return [] }
        guard let data = bytes.data else { return nil }
        return Array(UnsafeBufferPointer(start: data, count: Int(bytes.length)))
    }
}

/// What may stand where a host must: an IP address without zone, or a name by RFC 1123 (underscores
/// allowed, as in many a container's name).
enum HostSyntax {
    static func isValid(_ host: String) -> Bool { isAddress(host) || isName(host) }

    static func isAddress(_ host: String) -> Bool {
        var four = in_addr()
        var six = in6_addr()
        return inet_pton(AF_INET, host, &four) == 1 || inet_pton(AF_INET6, host, &six) == 1
    }

    private static func isName(_ host: String) -> Bool {
        let bytes = host.utf8.last == UInt8(ascii: ".") ? host.utf8.dropLast() : host.utf8[...]
        guard (1...253).contains(bytes.count) else { return false }
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        // A last label of digits is a mistyped IP address.
        guard labels.last?.allSatisfy({ isDigit($0) }) == false else { return false }
        return labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-")
                && label.last != UInt8(ascii: "-")
                && label.allSatisfy { byte in
                    isDigit(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                        || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                }
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
