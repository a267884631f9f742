/// Questions and answers of DNS (RFC 1035, section 4.1), as far as a fake server needs them: one
/// question, answers without compression but for the question's own name.
///
///     offset  size  content
///          0     2  id
///          2     2  flags: 8000 answer, 0400 authoritative, 0200 truncated, 0100 recursion desired,
///                   0080 recursion available, 000F response code
///          4     2  questions, then answers, authorities and additional records, 2 each
///         12        name as labels, a length before each, 0 at the end; type 2, class 2
///                   answers: name, type 2, class 2, seconds to live 4, length 2, data
struct DNSMessage {
    static let truncatedFlag: UInt16 = 0x0200
    private static let headerSize = 12
    private static let seconds: UInt32 = 7

    let name: String
    let type: UInt16
    private let id: [UInt8]
    private let question: [UInt8]
    private let isRecursionDesired: Bool

    /// A question; nil for what is none.
    init?(_ bytes: [UInt8]) {
        guard bytes.count > Self.headerSize, bytes[2] & 0x80 == 0, bytes[4] == 0, bytes[5] == 1
        else { return nil }
        var labels: [String] = []
        var offset = Self.headerSize
        while offset < bytes.count, bytes[offset] > 0 {
            let end = offset + 1 + Int(bytes[offset])
            guard bytes[offset] < 64, end < bytes.count else { return nil }
            labels.append(String(decoding: bytes[(offset + 1)..<end], as: UTF8.self))
            offset = end
        }
        guard offset + 5 <= bytes.count else { return nil }
        name = labels.joined(separator: ".")
        type = UInt16(bytes[offset + 1]) << 8 | UInt16(bytes[offset + 2])
        id = Array(bytes[0..<2])
        question = Array(bytes[Self.headerSize..<(offset + 5)])
        isRecursionDesired = bytes[2] & 1 != 0
    }

    /// - Parameter code: 0 fine, 2 server failure, 3 no such name, 5 refused.
    func answer(_ data: [DNSZone.Data], code: Int, flags: UInt16 = 0) -> [UInt8] {
        let flags =
            0x8480 | flags | (isRecursionDesired ? 0x0100 : 0)
            | UInt16(truncatingIfNeeded: code & 15)
        var message = id + Self.word(flags) + [0, 1] + Self.word(UInt16(clamping: data.count))
        message += [0, 0, 0, 0] + question
        for item in data {
            let content = Self.content(item)
            message += [0xC0, UInt8(Self.headerSize)] + Self.word(item.type) + [0, 1]
            message += Self.word(UInt16(Self.seconds >> 16))
            message += Self.word(UInt16(truncatingIfNeeded: Self.seconds))
            message += Self.word(UInt16(clamping: content.count)) + content
        }
        return message
    }

    static func word(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

    private static func content(_ data: DNSZone.Data) -> [UInt8] {
        switch data {
        case .address4(let bytes), .address6(let bytes): bytes
        case .pointer(let target): labels(target)
        case .service(let priority, let weight, let port, let target):
            word(priority) + word(weight) + word(port) + labels(target)
        }
    }

    private static func labels(_ name: String) -> [UInt8] {
        name.split(separator: ".").flatMap { [UInt8(clamping: $0.utf8.count)] + Array($0.utf8) } + [
            0
        ]
    }
}
