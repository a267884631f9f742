import Glibc

/// Questions and answers of multicast DNS (RFC 6762, section 18; RFC 1035, section 4.1).
///
///     offset  size  content
///          0     2  id: that of the question, in answers that go to one asker alone
///          2     2  flags: 8000 answer, 7800 operation, 000F response code
///          4     8  counts, 2 each: questions, answers, authorities, additional records
///         12        questions: name, type 2, class 2
///                   records: name, type 2, class 2 (8000: others of the name are gone), seconds to live 4,
///                   length 2, data
package enum MDNSMessage {
    package enum Kind: UInt16, Sendable {
        case address4 = 1
        case pointer = 12
        case address6 = 28
        case service = 33
    }

    package struct Question: Hashable, Sendable {
        var name: MDNSName
        var kind: Kind
    }

    /// A question of any kind.
    package struct AnyQuestion: Equatable, Sendable {
        package var name: MDNSName
        package var kind: UInt16
    }

    package enum Data: Equatable, Sendable {
        /// A text, as `inet_ntop` writes it.
        case address(String)
        case pointer(MDNSName)
        case service(priority: UInt16, weight: UInt16, port: UInt16, target: MDNSName)
    }

    package struct Record: Equatable, Sendable {
        package var name: MDNSName
        /// Seconds; 0: it is no more.
        package var timeToLive: UInt32
        package var data: Data
    }

    /// Of one message: the largest there may be (RFC 6762, section 17).
    package static let mostBytes = 9000
    private static let headerBytes = 12
    private static let internet: UInt16 = 1
    private static let anyClass: UInt16 = 255

    /// One question. Nothing in it asks for an answer to one asker alone; the port that it comes from does
    /// (section 6.7).
    static func question(_ question: Question, id: UInt16) -> [UInt8] {
        word(id) + [0, 0, 0, 1, 0, 0, 0, 0, 0, 0] + question.name.bytes
            + word(question.kind.rawValue) + word(internet)
    }

    /// The records of an answer, those of other kinds left out. Nil for what is no answer to `id`, or
    /// malformed anywhere.
    package static func records(of bytes: [UInt8], id: UInt16) -> [Record]? {
        guard bytes.count >= headerBytes, bytes.count <= mostBytes else { return nil }
        var reader = Reader(bytes: bytes)
        guard reader.word() == id, let flags = reader.word(), flags & 0x8000 != 0,
            flags & 0x780F == 0, let questions = reader.word(), let answers = reader.word(),
            let authorities = reader.word(), let additional = reader.word()
        else { return nil }
        for _ in 0..<questions {
            guard reader.name() != nil, reader.skip(4) else { return nil }
        }
        var records: [Record] = []
        for _ in 0..<(Int(answers) + Int(authorities) + Int(additional)) {
            guard reader.record(into: &records) else { return nil }
        }
        return records
    }

    /// The questions of a message and its number. Nil for what is no question, or malformed before the end of
    /// its questions; of more than `most` only so many are read.
    package static func query(
        _ bytes: [UInt8], most: Int
    ) -> (id: UInt16, questions: [AnyQuestion])? {
        guard bytes.count >= headerBytes, bytes.count <= mostBytes else { return nil }
        var reader = Reader(bytes: bytes)
        guard let id = reader.word(), let flags = reader.word(), flags & 0xF800 == 0,
            let count = reader.word(), reader.skip(6)
        else { return nil }
        var questions: [AnyQuestion] = []
        for _ in 0..<min(Int(count), most) {
            // Above the class: an answer may come to the asker alone. It goes to all.
            guard let name = reader.name(), let kind = reader.word(), let group = reader.word()
            else { return nil }
            if group & 0x7FFF == internet || group & 0x7FFF == anyClass {
                questions.append(AnyQuestion(name: name, kind: kind))
            }
        }
        return (id, questions)
    }

    static func word(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }

    /// Reads a message from its beginning to its end.
    private struct Reader {
        let bytes: [UInt8]
        var offset = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func word() -> UInt16? {
            guard offset + 2 <= bytes.count else { return nil }
            defer { offset += 2 }
            return UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
        }

        mutating func skip(_ count: Int) -> Bool {
            guard offset + count <= bytes.count else { return false }
            offset += count
            return true
        }

        /// Compressed names point back only, so each jump goes nearer to the beginning.
        mutating func name() -> MDNSName? {
            var labels: [[UInt8]] = []
            var size = 1
            var place = offset
            var end: Int?
            while place < bytes.count {
                let length = Int(bytes[place])
                switch length {
                case 0:
                    offset = end ?? place + 1
                    return MDNSName(labels)
                case 1...MDNSName.longestLabel:
                    size += length + 1
                    guard size <= MDNSName.longest, place + 1 + length <= bytes.count else {
                        return nil
                    }
                    labels.append(Array(bytes[(place + 1)..<(place + 1 + length)]))
                    place += 1 + length
                case 0xC0...:
                    guard place + 1 < bytes.count else { return nil }
                    let target = (length & 0x3F) << 8 | Int(bytes[place + 1])
                    guard target < place else { return nil }
                    if end == nil { end = place + 2 }
                    // Labels count until 255 bytes are full, but pointers alone would be free.
                    size += 1
                    guard size <= MDNSName.longest else { return nil }
                    place = target
                default: return nil
                }
            }
            return nil
        }

        /// False: malformed.
        mutating func record(into records: inout [Record]) -> Bool {
            guard let name = name(), let type = word(), let group = word(), let high = word(),
                let low = word(), let length = word(), offset + Int(length) <= bytes.count
            else { return false }
            let end = offset + Int(length)
            guard group & 0x7FFF == MDNSMessage.internet, let kind = Kind(rawValue: type) else {
                offset = end
                return true
            }
            guard let data = data(kind, end: end), offset == end else { return false }
            records.append(
                Record(name: name, timeToLive: UInt32(high) << 16 | UInt32(low), data: data))
            return true
        }

        private mutating func data(_ kind: Kind, end: Int) -> Data? {
            switch kind {
            case .address4: return address(AF_INET, size: 4, end: end)
            case .address6: return address(AF_INET6, size: 16, end: end)
            case .pointer: return name().map { .pointer($0) }
            case .service:
                guard let priority = word(), let weight = word(), let port = word(),
                    let target = name()
                else { return nil }
                return .service(priority: priority, weight: weight, port: port, target: target)
            }
        }

        private mutating func address(_ family: Int32, size: Int, end: Int) -> Data? {
            guard offset + size == end else { return nil }
            var text = [CChar](repeating: 0, count: 46)
            let isWritten = bytes[offset..<end].withUnsafeBytes {
                inet_ntop(family, $0.baseAddress, &text, socklen_t(text.count)) != nil
            }
            offset = end
            guard isWritten else { return nil }
            let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            return .address(String(decoding: bytes, as: UTF8.self))
        }
    }
}
