import Glibc
import PluginSupport
import Threads

/// Announces one node on the link, and answers who asks, on a thread of its own until it is stopped
/// (RFC 6762, sections 6, 8.3 and 10.1). Interfaces that come later are found within `review`.
///
/// `@unchecked Sendable`: what changes belongs to the thread alone, from its start to its end; the others only
/// write to the descriptor that wakes it.
final class MDNSAnnouncer: @unchecked Sendable {
    /// Milliseconds between two looks at the interfaces.
    private static let review: Int32 = 5_000
    /// Nanoseconds between the first two announcements, and two of one kind on one link at least.
    private static let pause: UInt64 = 1_000_000_000
    /// Datagrams read before the descriptors are looked at again.
    private static let mostAtOnce = 64

    let announcement: MDNSAnnouncement
    private let interface: String
    /// What is written to the first shows at the second.
    private let wake: (Int32, Int32)
    private var thread: NamedThread?

    private var ports: [MDNSInterfaces.Interface: MDNSPort] = [:]

    /// Nil: the system has no thread or descriptor to give.
    init?(_ announcement: MDNSAnnouncement, interface: String) {
        self.announcement = announcement
        self.interface = interface
        var pair: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let isMade = socketpair(AF_UNIX, kind, 0, &pair) == 0
        wake = (pair[0], pair[1])
        guard isMade, start() else { return nil }
    }

    deinit {
        for descriptor in [wake.0, wake.1] where descriptor >= 0 { close(descriptor) }
    }

    /// Says goodbye to all, and waits for the thread to end, which is at once.
    func stop() {
        guard let thread else { return }
        self.thread = nil
        shutdown(wake.0, Int32(SHUT_RDWR))
        thread.join()
    }

    /// The thread takes no signals: those are the host's.
    private func start() -> Bool {
        do throws(ThreadShortage) {
            thread = try NamedThread("mdns", takesSignals: false, waits: false) { self.run() }
            return true
        } catch {
            return false
        }
    }

    // MARK: The thread

    private func run() {
        var isRepeated = false
        while true {
            renewPorts()
            let known = ports
            let timeout = isRepeated ? Self.review : Int32(Self.pause / 1_000_000)
            guard serve(until: Call.now + UInt64(timeout) * 1_000_000) else { break }
            // Once more, for datagrams get lost.
            if !isRepeated { for port in known.values { port.announce(announcement.message()) } }
            isRepeated = true
        }
        for port in ports.values { port.announce(announcement.message(isGoodbye: true)) }
    }

    private func renewPorts() {
        let present = MDNSInterfaces.find(interface)
        ports = ports.filter { present.contains($0.key) }
        for interface in present where ports[interface] == nil {
            guard let port = MDNSPort(interface) else { continue }
            ports[interface] = port
            port.announce(announcement.message())
            port.announcedAt = Call.now
        }
    }

    /// False: it is to end.
    private func serve(until end: UInt64) -> Bool {
        while true {
            let now = Call.now
            guard now < end else { return true }
            let listening = Array(ports.values)
            var sources =
                [pollfd(fd: wake.1, events: Int16(POLLIN), revents: 0)]
                + listening.map {
                    pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0)
                }
            let count = poll(
                &sources, nfds_t(sources.count), Int32(clamping: (end - now) / 1_000_000 + 1))
            guard count > 0 else { continue }
            if sources[0].revents != 0 { return false }
            for (port, source) in zip(listening, sources.dropFirst()) where source.revents != 0 {
                for _ in 0..<Self.mostAtOnce {
                    guard let datagram = port.receive() else { break }
                    answer(datagram, port)
                }
            }
        }
    }

    private func answer(_ datagram: MDNSDatagram, _ port: MDNSPort) {
        guard
            let bytes = announcement.answer(
                to: datagram.bytes, isLegacy: datagram.isLegacy)
        else { return }
        if datagram.isLegacy { return port.answer(bytes, to: datagram) }
        // All have just heard it (section 6).
        let now = Call.now
        guard now >= port.announcedAt + Self.pause else { return }
        port.announcedAt = now
        port.announce(bytes)
    }
}
