package import Chance
import Raft

/// The list of candidates as the operator or a plugin gave it, and what its names lead to. A name
/// stands for as many nodes as it has addresses, so nothing is counted before it was looked up.
///
/// The host looks up: `due` says which names, `answered` takes what came of it. At most one lookup
/// per name is under way, however long it takes, and its answer counts whenever it comes. What a
/// name led to last stays in use until another answer with addresses has come: name servers that
/// fail, or a name that is gone for a moment, shorten no list.
package struct CandidateNames: Sendable {
    /// What came of a lookup.
    package enum Answer: Equatable, Sendable {
        /// As numbers, IPv6 without brackets.
        case addresses([String])
        /// The name doesn't exist, or has no address.
        case unknown
        /// Who should know could not be asked, in words.
        case failed(String)
    }

    private struct Name: Sendable {
        let host: String
        /// What it led to last, sorted.
        var found: [String] = []
        var isUnderWay = false
        var nextLookup: Duration
        let listedAt: Duration
        /// Since when it has been asked for without an answer that says what it leads to.
        var openSince: Duration?
        /// Why it leads nowhere, while nothing was ever found.
        var problem: CandidateAddress.Gap?
    }

    /// Between an answer and the next lookup, in milliseconds. Drawn anew each time: a name server that
    /// tells each who asks another part would tell nodes that ask in step the same parts for ever.
    private static let pause: ClosedRange<UInt64> = 800...1200

    private var listed: [CandidateAddress] = []
    /// Sorted by host.
    private var names: [Name] = []
    private let own: OwnPlace?
    private var chance: Xoshiro256

    /// - Parameters:
    ///   - own: where a name that leads to loopback leads for others; nil: unknown.
    ///   - chance: another one on each node.
    package init(own: OwnPlace? = nil, chance: Xoshiro256) {
        self.own = own
        self.chance = chance
    }

    /// The list, with names as names. What is known of names that stay listed is kept.
    package mutating func replace(by list: [CandidateAddress], now: Duration) {
        listed = Array(list.prefix(FormationLimits.addresses))
        let all = listed.compactMap { $0.address.nameAndPort?.name }.sorted()
        var hosts: [String] = []
        for host in all where host != hosts.last { hosts.append(host) }
        names = hosts.map { host in
            names.first { $0.host == host } ?? Name(host: host, nextLookup: now, listedAt: now)
        }
    }

    /// The names to look up now; they count as under way until they are answered.
    package mutating func due(_ now: Duration) -> [String] {
        var due: [String] = []
        for index in names.indices where !names[index].isUnderWay && names[index].nextLookup <= now
        {
            names[index].isUnderWay = true
            names[index].openSince = names[index].openSince ?? now
            due.append(names[index].host)
        }
        return due
    }

    /// - Returns: whether the candidates are others now.
    package mutating func answered(_ host: String, _ answer: Answer, now: Duration) -> Bool {
        guard let index = names.firstIndex(where: { $0.host == host }) else { return false }
        let before = names[index]
        names[index].isUnderWay = false
        let spread = Self.pause.upperBound - Self.pause.lowerBound + 1
        let pause = Self.pause.lowerBound + chance.next() % spread
        names[index].nextLookup = now + .milliseconds(Int64(pause))
        switch answer {
        case .addresses(let addresses) where !addresses.isEmpty:
            names[index].found = Array(
                Set(addresses).sorted().prefix(FormationLimits.addresses))
            names[index].problem = nil
            names[index].openSince = nil
        case .addresses, .unknown:
            names[index].problem = .unknown
            names[index].openSince = nil
        case .failed(let text):
            names[index].problem = .failed(text, since: before.openSince ?? now)
        }
        return names[index].found != before.found
            || before.found.isEmpty && names[index].problem != before.problem
    }

    /// What the list amounts to now: each name's addresses, or the name itself where it has none.
    /// - Parameter start: when the clock began, on this value's, that gaps are told on.
    package func candidates(from start: Duration) -> [CandidateAddress] {
        var candidates: [CandidateAddress] = []
        for entry in listed {
            guard let (host, port) = entry.address.nameAndPort,
                let name = names.first(where: { $0.host == host })
            else {
                candidates.append(entry)
                continue
            }
            if name.found.isEmpty {
                let gap = name.problem ?? .waiting(since: name.openSince ?? name.listedAt)
                candidates.append(
                    CandidateAddress(unresolved: entry.address, gap.counted(from: start)))
            }
            for address in name.found {
                if let own = own?.address(of: host, leadingTo: address, port: port) {
                    candidates.append(CandidateAddress(own, name: entry.address))
                    continue
                }
                let text = address.utf8.contains(UInt8(ascii: ":")) ? "[\(address)]" : address
                candidates.append(
                    CandidateAddress(PeerAddress("\(text):\(port)"), name: entry.address))
            }
        }
        return candidates
    }
}
