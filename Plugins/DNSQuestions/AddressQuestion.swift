import CCares
import Glibc
import PluginABI
package import PluginSupport

/// The question for all A and AAAA records of one or several names, which are asked for at once.
package struct AddressQuestion {
    package struct Record: Equatable {
        package let address: String
        /// Seconds; 0 from the hosts file.
        package let timeToLive: UInt32
        package let source: String
    }

    /// How long names without an answer may hold up those with one: a lost packet is asked again
    /// within it.
    package static let patience: UInt64 = 4_000_000_000

    private let names: [String]
    private let servers: [DNSServer]
    private let search: SearchList
    private let patience: UInt64

    /// - Parameters:
    ///   - names: one with a dot at its end is looked for in no search domain.
    ///   - servers: none: the system's.
    ///   - search: where other names are looked for.
    ///   - patience: nanoseconds.
    package init(
        names: [String], servers: [DNSServer], search: SearchList = .system,
        patience: UInt64 = AddressQuestion.patience
    ) {
        self.names = names
        self.servers = servers
        self.search = search
        self.patience = patience
    }

    /// One result for each name, in their order. Throws when there can be none.
    package func ask(_ call: Call) throws(CallFailure) -> [Result<[Record], CallFailure>] {
        let hosts = try Channel(servers: servers, source: .hostsFile)
        let channel = try Channel(servers: servers)
        let searches = names.map { name in
            NameSearch(SearchOrder(name, in: search), patience: patience) {
                AddressAnswer($0, hosts, channel)
            }
        }
        do throws(Call.Interruption) {
            try wait(for: searches, channel, call)
        } catch {
            // At the deadline what is there counts, and the rest is told below.
            if error == .cancelled {
                throw channel.failure(Self.words(names.joined(separator: ", ")), error)
            }
        }
        return zip(names, searches).map { name, search in
            guard let answer = search.best else {
                return .failure(
                    channel.failure(
                        Self.words(name), status: search.status,
                        withoutData: "the name has no addresses"))
            }
            return .success(answer.addresses.map { record($0, of: name) })
        }
    }

    private static func words(_ names: String) -> String { "A and AAAA of \(names)" }

    private func wait(
        for searches: [NameSearch<AddressAnswer>], _ channel: Channel, _ call: Call
    ) throws(Call.Interruption) {
        let start = Call.now
        var first: UInt64?
        do throws(Call.Interruption) {
            try channel.wait(call) {
                let now = Call.now
                for search in searches { search.advance(now) }
                if searches.allSatisfy(\.isOver) { return true }
                guard searches.contains(where: { $0.best != nil }) else { return false }
                first = first ?? now
                return Lateness.isOver(
                    now, since: start, first: first ?? now, patience: patience)
            }
        } catch {
            if error == .deadline, first != nil { return }
            throw error
        }
    }

    private func record(_ found: AddressAnswer.Address, of name: String) -> Record {
        let origin =
            servers.isEmpty ? "" : " from " + servers.map(\.description).joined(separator: ", ")
        return Record(
            address: found.text, timeToLive: found.timeToLive,
            source: "\(found.isVersion6 ? "AAAA" : "A") \(name)\(origin)")
    }
}

/// The addresses of one name, whose two families are asked for each by itself: one that nobody answers
/// for hides nothing of the other. What the hosts file has, servers aren't asked for.
private final class AddressAnswer: NameQuestion {
    struct Address {
        let text: String
        let isVersion6: Bool
        let timeToLive: UInt32
    }

    /// What the callback leaves. It runs on the thread that asks, inside c-ares.
    private final class Part {
        var status: CInt?
        var addresses: [Address] = []
    }

    private var parts: [Part]

    init(_ name: String, _ hosts: Channel, _ channel: Channel) {
        parts = [Self.start(name, AF_UNSPEC, hosts)]
        if !hasData { parts = [AF_INET, AF_INET6].map { Self.start(name, $0, channel) } }
    }

    /// Each once: c-ares takes a numeric address for a name of either family.
    var addresses: [Address] {
        var distinct: [Address] = []
        var texts: Set<String> = []
        for address in parts.flatMap(\.addresses) where texts.insert(address.text).inserted {
            distinct.append(address)
        }
        return distinct
    }
    var hasData: Bool { parts.contains { !$0.addresses.isEmpty } }
    var isComplete: Bool { parts.allSatisfy { $0.status != nil } }

    var status: CInt {
        let all = parts.map { $0.status ?? ARES_ECANCELLED }
        // Silence of one family is no answer for the name.
        let worse = all.first { $0 != ARES_ENOTFOUND && $0 != ARES_ENODATA && $0 != ARES_SUCCESS }
        return worse ?? all.first { $0 == ARES_ENODATA } ?? ARES_ENOTFOUND
    }

    private static func start(_ name: String, _ family: CInt, _ channel: Channel) -> Part {
        let part = Part()
        var hints = ares_addrinfo_hints()
        hints.ai_family = family
        // Sorting by reachability costs a socket per address and would help nobody here.
        hints.ai_flags = CInt(ARES_AI_NOSORT)
        ares_getaddrinfo(
            channel.handle, name, nil, &hints,
            { argument, status, _, result in
                defer { ares_freeaddrinfo(result) }
                guard let argument else { return }
                // Called once, whatever happens.
                let part = Unmanaged<Part>.fromOpaque(argument).takeRetainedValue()
                part.status = status
                var next = result?.pointee.nodes
                while let node = next {
                    if let address = AddressAnswer.address(node.pointee) {
                        part.addresses.append(address)
                    }
                    next = node.pointee.ai_next
                }
            }, Unmanaged.passRetained(part).toOpaque())
        return part
    }

    private static func address(_ node: ares_addrinfo_node) -> Address? {
        guard let socket = node.ai_addr else { return nil }
        let offset: Int?
        switch node.ai_family {
        case AF_INET: offset = MemoryLayout<sockaddr_in>.offset(of: \.sin_addr)
        case AF_INET6: offset = MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr)
        default: return nil
        }
        guard let offset,
            let text = AddressText.make(node.ai_family, UnsafeRawPointer(socket) + offset)
        else { return nil }
        return Address(
            text: text, isVersion6: node.ai_family == AF_INET6,
            timeToLive: UInt32(clamping: node.ai_ttl))
    }
}
