import Addresses
import Glibc
import NIOCore
import Synchronization

/// What names of nodes led to last, in a file of the data directory, so that a cluster whose members are
/// known by names comes back while no name server answers. It is no more than a hint: who answers at an
/// address says who it is. So the file is neither synced nor missed, and a line that makes no sense is
/// passed over.
///
///     rqnames1
///     node-1.example.org 10.0.0.1 fd00::1
///
/// Thread-safe, also beside others of the same path in this process.
package struct KnownNames: Sendable {
    /// One line.
    package struct Line: Equatable, Sendable {
        package var host: String
        /// As numbers, IPv6 without brackets.
        package var addresses: [String]
    }

    private static let title = "rqnames1"
    private static let sizeLimit = 1 << 20
    /// The newest stay.
    private static let lineLimit = 1024
    /// Reading and writing again is one step.
    private static let turn = Mutex(())

    private let path: String

    /// - Parameter directory: the data directory; it need not be there yet.
    package init(in directory: String) { path = "\(directory)/names" }

    /// What is remembered; nothing if the file can't be read.
    package func lines() -> [Line] { Self.turn.withLock { _ in read() } }

    /// The addresses of one name; none if it isn't remembered.
    package func addresses(of host: String) -> [String] {
        lines().first { $0.host == host }?.addresses ?? []
    }

    /// Remembers what a name leads to now. Blocks for a small file; where there is no directory, or no
    /// room, nothing is remembered.
    package func remember(_ host: String, _ addresses: [String]) {
        let isPlain = host.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        guard isPlain, !host.isEmpty, !addresses.isEmpty else { return }
        Self.turn.withLock { _ in
            var lines = read()
            let line = Line(host: host, addresses: addresses)
            guard !lines.contains(line) else { return }
            lines.removeAll { $0.host == host }
            lines.append(line)
            write(Array(lines.suffix(Self.lineLimit)))
        }
    }

    private func read() -> [Line] {
        guard let file = fopen(path, "re") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: Self.sizeLimit)
        let count = fread(&bytes, 1, bytes.count, file)
        let lines = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
        guard lines.first == Self.title[...] else { return [] }
        return lines.dropFirst().compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard let host = words.first else { return nil }
            let addresses = words.dropFirst().filter(Self.isAddress)
            return addresses.isEmpty ? nil : Line(host: host, addresses: Array(addresses))
        }.suffix(Self.lineLimit)
    }

    private func write(_ lines: [Line]) {
        let text = ([Self.title] + lines.map { ([$0.host] + $0.addresses).joined(separator: " ") })
            .map { "\($0)\n" }.joined()
        let draft = "\(path).new"
        guard let file = fopen(draft, "we") else { return }
        let isWritten = fputs(text, file) >= 0
        if fclose(file) == 0, isWritten { rename(draft, path) } else { unlink(draft) }
    }

    private static func isAddress(_ text: String) -> Bool {
        // The system reads no further than to the first of these.
        guard !text.utf8.contains(0) else { return false }
        var bytes = [UInt8](repeating: 0, count: 16)
        return [AF_INET, AF_INET6].contains { inet_pton($0, text, &bytes) == 1 }
    }
}

extension KnownNames.Line {
    /// The name is no loopback's, and leads to one all the same: as the machine's own in Debian's file of hosts.
    package var leadsHereAlone: Bool {
        func isLoopback(_ host: String) -> Bool { HostPort(host: host, port: 0).isLoopback }
        return !isLoopback(host) && !addresses.isEmpty && addresses.allSatisfy(isLoopback)
    }
}
