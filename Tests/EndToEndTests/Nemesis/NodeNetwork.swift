import Foundation

/// A bridge and a network namespace with one address for each node, between which links are cut and made
/// lossy by nftables; the test reaches every node at all times. All of it goes with the object, and
/// through a guard also when the test's process is killed.
final class NodeNetwork: Sendable {
    /// What is lost of what arrives at a node, or leaves it.
    struct Loss: Sendable {
        enum Direction: String, Sendable {
            case input
            case output
        }

        /// The position of the node, from 0.
        var node: Int
        /// Those at the other ends.
        var others: [Int]
        var direction: Direction
        /// Of a hundred packets; 100 cuts the link.
        var percent: Int
    }

    static var hindrance: String? {
        guard geteuid() == 0 else { return "only root makes network namespaces" }
        let tools = ["/usr/sbin/nft", "/usr/sbin/ip", "/sbin/nft", "/sbin/ip"]
        let found = tools.filter { FileManager.default.isExecutableFile(atPath: $0) }
        return Set(found.map { $0.suffix(3) }).count == 2
            ? nil : "nftables or iproute2 is not installed"
    }

    let count: Int
    private let subnet: String
    private let tag: String
    private let guardian: ChildProcess

    /// - Parameters:
    ///   - mounts: paths that the guard unmounts when the owner is gone.
    ///   - owner: whose end the guard waits for; nil: the test's process.
    init(nodes count: Int, mounts: [String], owner: pid_t? = nil) throws {
        let number = NetworkNumber.next()
        self.count = count
        subnet = "10.\(250 + Int(getpid()) % 5).\(number)"
        tag = "\(number)y\(getpid() % 10_000)"
        let (bridge, tag) = ("rqk\(tag)", tag)
        let names = (0..<count).map { "rqn-\(tag)-\($0)" }
        // Before anything is made, so that nothing is left of what is made in part.
        guardian = try ChildProcess(
            ["setsid", "sh", "-c", Self.guardScript, "sh", "\(owner ?? getpid())", bridge]
                + [names.joined(separator: " "), mounts.joined(separator: " ")])
        try run("ip", "link", "add", bridge, "type", "bridge")
        try run("ip", "addr", "add", "\(subnet).1/24", "dev", bridge)
        try run("ip", "link", "set", bridge, "up")
        for node in 0..<count {
            let (name, inside) = (namespace(node), "rq\(node)p\(tag)")
            try run("ip", "netns", "add", name)
            try run(
                "ip", "link", "add", "rq\(node)h\(tag)", "type", "veth", "peer", "name", inside,
                "netns", name)
            try run("ip", "link", "set", "rq\(node)h\(tag)", "master", bridge, "up")
            try run("ip", "-n", name, "addr", "add", "\(address(node))/24", "dev", inside)
            try run("ip", "-n", name, "link", "set", inside, "up")
            try run("ip", "-n", name, "link", "set", "lo", "up")
        }
    }

    /// The names of what is left of it.
    var remains: [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: "/run/netns")
        let links = try? FileManager.default.contentsOfDirectory(atPath: "/sys/class/net")
        return (names ?? []).filter { $0.hasPrefix("rqn-\(tag)-") }
            + (links ?? []).filter { $0 == "rqk\(tag)" }
    }

    deinit {
        defer {
            guardian.kill()
            guardian.waitForEnd()
        }
        guard !remains.isEmpty else { return }
        do {
            for node in 0..<count {
                try run("ip", "link", "del", "rq\(node)h\(tag)")
                try run("ip", "netns", "del", namespace(node))
            }
            try run("ip", "link", "del", "rqk\(tag)")
        } catch {
            FileHandle.standardError.write(Data("left behind: \(tag): \(error)\n".utf8))
        }
    }

    func address(_ node: Int) -> String { "\(subnet).\(11 + node)" }
    func namespace(_ node: Int) -> String { "rqn-\(tag)-\(node)" }
    func prefix(_ node: Int) -> [String] { ["ip", "netns", "exec", namespace(node)] }

    /// What is lost from now on, and nothing else.
    func lose(_ losses: [Loss]) throws {
        for node in 0..<count {
            var rules = "add table ip nemesis\ndelete table ip nemesis\n"
            let own = losses.filter { $0.node == node && !$0.others.isEmpty }
            if !own.isEmpty { rules += "add table ip nemesis\n" }
            for direction in Set(own.map(\.direction)) {
                rules +=
                    "add chain ip nemesis \(direction.rawValue) "
                    + "{ type filter hook \(direction.rawValue) priority 0 ; }\n"
            }
            for loss in own {
                let match = loss.direction == .input ? "saddr" : "daddr"
                let list = loss.others.map(address).joined(separator: ", ")
                let chance = loss.percent < 100 ? "numgen random mod 100 < \(loss.percent) " : ""
                rules +=
                    "add rule ip nemesis \(loss.direction.rawValue) ip \(match) { \(list) } "
                    + "\(chance)drop\n"
            }
            try run(prefix(node) + ["sh", "-c", "printf '%s' \"$1\" | nft -f -", "sh", rules])
        }
    }

    /// Waits for the end of the process `$1`; then ends what runs in the namespaces `$3`, and takes them,
    /// the bridge `$2` and the mounts `$4` away.
    private static let guardScript = """
        while kill -0 "$1" 2>/dev/null; do sleep 1; done
        for name in $3; do
            ip netns pids "$name" 2>/dev/null | xargs -r kill -9
            ip netns del "$name" 2>/dev/null
        done
        ip link del "$2" 2>/dev/null
        for path in $4; do umount -l "$path" && rm -rf "$path"; done 2>/dev/null
        """
}
