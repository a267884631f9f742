import Foundation
import Synchronization

/// A network namespace of the test's own: several addresses, a DNS server and a `resolv.conf` that
/// names it, joined to the host by a veth pair so that the test reaches the nodes. It goes with the
/// object.
final class Namespace: Sendable {
    let name: String
    private let subnet: String
    private let domain: String
    private let dnsmasq = Mutex<ChildProcess?>(nil)
    private let directory: TestDirectory

    static var isPossible: Bool {
        geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/sbin/dnsmasq")
    }

    /// - Parameters:
    ///   - nodes: addresses to make, ending in 11, 12, …
    ///   - domain: name that the DNS server resolves to all of them; `node-1.`, `node-2.`, … before
    ///     it are one each.
    ///   - named: the addresses that the names lead to at first; nil: all.
    ///   - options: more of dnsmasq's options, as `--srv-host=…`.
    init(
        nodes: Int, domain: String, named: Range<Int>? = nil, options: [String] = []
    ) throws {
        let number = Int(getpid()) % 200 + 20
        let serial = NetworkNumber.next()
        let name = "rqt-\(getpid())-\(serial)"
        let subnet = "10.\(number).\(serial)"
        self.name = name
        self.subnet = subnet
        self.domain = domain
        directory = try TestDirectory()
        let outside = "rq\(serial)h\(getpid() % 10000)"
        let inside = "rq\(serial)n\(getpid() % 10000)"
        try run("ip", "netns", "add", name)
        try run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        try run("ip", "addr", "add", "\(subnet).1/24", "dev", outside)
        try run("ip", "link", "set", outside, "up")
        try run("ip", "-n", name, "link", "set", "lo", "up")
        try run("ip", "-n", name, "link", "set", inside, "up")
        for last in [53] + (0..<nodes).map({ 11 + $0 }) {
            try run("ip", "-n", name, "addr", "add", "\(subnet).\(last)/24", "dev", inside)
        }
        let settings = "/etc/netns/\(name)"
        try FileManager.default.createDirectory(
            atPath: settings, withIntermediateDirectories: true)
        try "nameserver \(subnet).53\noptions timeout:1 attempts:2\n".write(
            toFile: "\(settings)/resolv.conf", atomically: true, encoding: .utf8)
        try serve(named ?? 0..<nodes, options: options)
    }

    /// Lets the names lead to these addresses from now on.
    func serve(_ nodes: Range<Int>, options: [String] = []) throws {
        let hosts = nodes.enumerated().map { number, node in
            "\(subnet).\(11 + node) \(domain) node-\(number + 1).\(domain)\n"
        }.joined()
        try hosts.write(toFile: "\(directory.path)/hosts", atomically: true, encoding: .utf8)
        stopServing()
        let server = try ChildProcess(
            prefix + [
                "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
                "--addn-hosts=\(directory.path)/hosts", "--conf-file=/dev/null",
                "--bind-interfaces", "--listen-address=\(subnet).53", "--port=53", "--user=root",
                "--pid-file=",
            ] + options)
        dnsmasq.withLock { $0 = server }
    }

    private func stopServing() {
        let server = dnsmasq.withLock { $0.take() }
        server?.kill()
        server?.waitForEnd()
    }

    deinit {
        stopServing()
        do {
            try run("ip", "netns", "del", name)
            try FileManager.default.removeItem(atPath: "/etc/netns/\(name)")
        } catch {
            FileHandle.standardError.write(Data("left behind: \(name): \(error)\n".utf8))
        }
    }

    func address(_ node: Int) -> String { "\(subnet).\(11 + node)" }

    /// The host's own address, as the nodes reach it.
    var hostAddress: String { "\(subnet).1" }

    var prefix: [String] { ["ip", "netns", "exec", name] }
}
