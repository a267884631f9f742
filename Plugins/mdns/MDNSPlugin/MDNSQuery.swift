import Glibc
import PluginABI
import PluginSupport

/// One look around: questions out, answers in, until the window is over. Whoever is there may answer any
/// time in it, so it is never cut short; it is longer where places of those that answered are missing.
///
/// One-shot queries of RFC 6762, section 5.1: from ports of their own, asked twice, for datagrams get lost.
struct MDNSQuery {
    /// Further questions in a window, for those whose answers don't bring all along.
    private static let mostQuestions = 256
    /// Windows more for those that were heard of, but not where they are.
    private static let patience: UInt64 = 3
    /// Datagrams read before the descriptors are looked at again.
    private static let mostAtOnce = 64

    private let configuration: MDNSConfiguration
    private var browse: MDNSBrowse
    private var asked: Set<MDNSMessage.Question> = []
    private let id: UInt16

    init(_ configuration: MDNSConfiguration) {
        self.configuration = configuration
        browse = MDNSBrowse(configuration.service)
        // Without it an answer that nobody asked for could be guessed.
        id = Self.unguessable()
    }

    /// From the system; its clock, where that has none to give.
    private static func unguessable() -> UInt16 {
        var number = UInt16(truncatingIfNeeded: Call.now)
        let source = open("/dev/urandom", O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { return number }
        defer { close(source) }
        var bytes: [UInt8] = [0, 0]
        if read(source, &bytes, 2) == 2 { number ^= UInt16(bytes[0]) << 8 | UInt16(bytes[1]) }
        return number
    }

    mutating func run(_ call: Call) throws(CallFailure) -> [FoundAddress] {
        let links = try links()
        let begun = Call.now
        let end = begun + configuration.window
        let last = end + Self.patience * configuration.window
        var due = begun
        var isOverdue = false
        while !isOverdue {
            let now = Call.now
            // Who was heard of may still tell where it is.
            if now >= end, browse.isComplete || now >= last { break }
            if now >= due {
                // What is still not known is asked again, too.
                due = now + configuration.window / 2
                asked = []
                if now < end {
                    try ask([.init(name: configuration.service, kind: .pointer)], links)
                }
            }
            try askMissing(links)
            isOverdue = try wait(links, until: now < end ? min(due, end) : due, call)
        }
        let found = browse.found
        guard found.isEmpty else { return found }
        throw nothing(links: links.count, isOverdue)
    }

    /// Returns whether the call's deadline has come.
    private mutating func wait(
        _ links: [MDNSLink], until due: UInt64, _ call: Call
    ) throws(CallFailure) -> Bool {
        var sources = links.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        let now = Call.now
        do throws(Call.Interruption) {
            try call.poll(
                &sources,
                milliseconds: due > now ? Int32(clamping: (due - now + 999_999) / 1_000_000) : 0)
        } catch {
            switch error {
            case .deadline: return true
            case .cancelled: throw CallFailure(RQD_CANCELLED, "the host gave the question up")
            }
        }
        for (link, source) in zip(links, sources) where source.revents != 0 {
            for bytes in link.receive(atMost: Self.mostAtOnce) {
                if let records = MDNSMessage.records(of: bytes, id: id) { browse.take(records) }
            }
        }
        return false
    }

    private mutating func askMissing(_ links: [MDNSLink]) throws(CallFailure) {
        let questions = browse.missing.filter { !asked.contains($0) }
            .prefix(max(Self.mostQuestions - asked.count, 0))
        asked.formUnion(questions)
        try ask(Array(questions), links)
    }

    /// Fails where no link takes them.
    private func ask(
        _ questions: [MDNSMessage.Question], _ links: [MDNSLink]
    ) throws(CallFailure) {
        for question in questions {
            let bytes = MDNSMessage.question(question, id: id)
            var reason: Int32?
            for link in links {
                if link.send(bytes) {
                    reason = 0
                } else if reason == nil {
                    reason = errno
                }
            }
            if let reason, reason != 0 {
                throw CallFailure(
                    RQD_UNAVAILABLE,
                    "\(place): can't ask for \(question.name): "
                        + String(cString: strerror(reason)))
            }
        }
    }

    private func links() throws(CallFailure) -> [MDNSLink] {
        if let responder = configuration.responder {
            return [try MDNSLink(responder, interface: 0)]
        }
        let interfaces = MDNSInterfaces.find(configuration.interface)
        var links: [MDNSLink] = []
        var last: CallFailure?
        for interface in interfaces {
            let destination = interface.family == AF_INET ? MDNSAddress.all4 : .all6
            do throws(CallFailure) {
                links.append(try MDNSLink(destination, interface: interface.number))
            } catch {
                last = error
            }
        }
        guard links.isEmpty else { return links }
        throw last
            ?? CallFailure(
                RQD_UNAVAILABLE,
                configuration.interface.isEmpty
                    ? "no interface is up that can do multicast; name one by \"interface\""
                    : "the interface \(configuration.interface) is not up, or has no address")
    }

    private var place: String {
        if let responder = configuration.responder { return "\(responder)" }
        let names = configuration.interface
        return names.isEmpty ? "\(MDNSAddress.all4)" : "\(MDNSAddress.all4) on \(names)"
    }

    /// Silence is no knowledge: that nobody is there can't be told from that nobody could hear.
    private func nothing(links: Int, _ isOverdue: Bool) -> CallFailure {
        let code = isOverdue ? RQD_TIMEOUT : RQD_UNAVAILABLE
        if browse.isEmpty {
            return CallFailure(
                code,
                "\(place): nobody answers for \(configuration.service) within "
                    + "\(configuration.window / 1_000_000) ms")
        }
        return CallFailure(
            code, "\(place): \(browse.names) of \(configuration.service) told no address and port")
    }
}
