import Glibc

/// What a node announces of itself, and which questions it answers (RFC 6762, RFC 6763).
///
/// Both names that are its own hold the node's address and port, so that no two on a link have the same:
/// nobody needs to be asked whether a name is free (RFC 6762, section 8.1).
package struct MDNSAnnouncement: Equatable, Sendable {
    /// Seconds, as RFC 6762, section 10 has it: of records with a host's address, and of others.
    private static let hostSeconds: UInt32 = 120
    private static let otherSeconds: UInt32 = 4500
    /// For those who ask from another port than that of multicast DNS (section 6.7).
    private static let legacySeconds: UInt32 = 10
    /// Above the class: the record is the only one of its name and kind.
    private static let only: UInt16 = 0x8000
    private static let text: UInt16 = 16
    private static let any: UInt16 = 255
    /// Of one question; more are not looked at.
    private static let mostQuestions = 32

    private let service: MDNSName
    private let instance: MDNSName
    private let target: MDNSName
    private let port: UInt16
    /// 4 or 16 bytes.
    private let address: [UInt8]

    /// - Parameters:
    ///   - nodeID: what people see.
    ///   - host: an IPv4 or IPv6 address.
    /// - Returns: nil for a host that is a name.
    package init?(service: MDNSName, nodeID: String, host: String, port: UInt16) {
        var (four, six) = (in_addr(), in6_addr())
        if inet_pton(AF_INET, host, &four) == 1 {
            address = withUnsafeBytes(of: &four) { Array($0) }
        } else if inet_pton(AF_INET6, host, &six) == 1 {
            address = withUnsafeBytes(of: &six) { Array($0) }
        } else {
            return nil
        }
        self.service = service
        self.port = port
        let digits = address.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
        let place = "\(digits)-\(port)"
        target = MDNSName([Array("rqlite-\(place)".utf8), Array("local".utf8)])
        // The place stands last and whole, whatever the ID's length.
        let room = MDNSName.longestLabel - place.utf8.count - 1
        var name = nodeID
        while name.utf8.count > room { name.removeLast() }
        instance = service.with(first: Array("\(name) \(place)".utf8))
    }

    /// All that there is, for everybody.
    /// - Parameter isGoodbye: from now on it is no more.
    package func message(isGoodbye: Bool = false) -> [UInt8] {
        let seconds: (UInt32) -> UInt32 = { isGoodbye ? 0 : $0 }
        return head(id: 0, questions: [], answers: 4)
            + record(service, .pointer, instance.bytes, seconds(Self.otherSeconds), isOnly: false)
            + record(instance, .service, place, seconds(Self.hostSeconds), isOnly: true)
            + record(
                instance, Self.text, [0], seconds(Self.otherSeconds), isOnly: true)
            + record(target, addressKind, address, seconds(Self.hostSeconds), isOnly: true)
    }

    /// What is said to a message; nil where it is no question, is malformed, or asks for nothing of ours.
    /// - Parameter isLegacy: it came from a port that is not multicast DNS's: the answer goes there, with the
    ///   message's number and questions.
    package func answer(to message: [UInt8], isLegacy: Bool) -> [UInt8]? {
        guard let query = MDNSMessage.query(message, most: Self.mostQuestions),
            query.questions.contains(where: { isOurs($0.name, $0.kind) })
        else { return nil }
        guard isLegacy else { return self.message() }
        let short = { min($0, Self.legacySeconds) }
        return head(id: query.id, questions: query.questions, answers: 4)
            + record(service, .pointer, instance.bytes, short(Self.otherSeconds), isOnly: false)
            + record(instance, .service, place, short(Self.hostSeconds), isOnly: false)
            + record(instance, Self.text, [0], short(Self.otherSeconds), isOnly: false)
            + record(target, addressKind, address, short(Self.hostSeconds), isOnly: false)
    }

    private func isOurs(_ name: MDNSName, _ kind: UInt16) -> Bool {
        func asks(_ kinds: UInt16...) -> Bool { kind == Self.any || kinds.contains(kind) }
        if name == service { return asks(MDNSMessage.Kind.pointer.rawValue) }
        if name == instance { return asks(MDNSMessage.Kind.service.rawValue, Self.text) }
        return name == target && asks(addressKind)
    }

    private var place: [UInt8] { [0, 0, 0, 0] + MDNSMessage.word(port) + target.bytes }

    private var addressKind: UInt16 {
        (address.count == 4 ? MDNSMessage.Kind.address4 : .address6).rawValue
    }

    private func head(
        id: UInt16, questions: [MDNSMessage.AnyQuestion], answers: UInt16
    ) -> [UInt8] {
        // An answer, with authority.
        MDNSMessage.word(id) + [0x84, 0] + MDNSMessage.word(UInt16(questions.count))
            + MDNSMessage.word(answers) + [0, 0, 0, 0]
            + questions.flatMap {
                $0.name.bytes + MDNSMessage.word($0.kind) + MDNSMessage.word(1)
            }
    }

    private func record(
        _ name: MDNSName, _ kind: MDNSMessage.Kind, _ data: [UInt8], _ seconds: UInt32,
        isOnly: Bool
    ) -> [UInt8] {
        record(name, kind.rawValue, data, seconds, isOnly: isOnly)
    }

    private func record(
        _ name: MDNSName, _ kind: UInt16, _ data: [UInt8], _ seconds: UInt32, isOnly: Bool
    ) -> [UInt8] {
        name.bytes + MDNSMessage.word(kind) + MDNSMessage.word(isOnly ? Self.only | 1 : 1)
            + MDNSMessage.word(UInt16(seconds >> 16)) + MDNSMessage.word(UInt16(seconds & 0xFFFF))
            + MDNSMessage.word(UInt16(data.count)) + data
    }
}
